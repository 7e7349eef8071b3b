"""Loads what write-models.mjs wrote in transformers and PEFT, and compares with the numbers of fixtures/models: python scripts/read-models.py FOLDER"""

import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, logging

logging.set_verbosity_error()
FIXTURES = Path(__file__).parent.parent / "fixtures" / "models"
SETTINGS = dict(dtype=torch.float32, attn_implementation="eager")
ids_of_adapters = load_file(FIXTURES / "lora" / "io.safetensors")["input_ids"]
worst = 0.0


def load(path, auto):
    model, info = auto.from_pretrained(path, output_loading_info=True, **SETTINGS)
    assert not any(info.values()), info
    return model


for path in sorted((Path(sys.argv[1]) / "written").iterdir()):
    name, _, kind = path.name.partition(".")
    golden = load_file(FIXTURES / name / "io.safetensors")
    ids = golden.get("input_ids", ids_of_adapters)
    mask = golden.get("attention_mask", torch.ones_like(ids))
    if kind == "adapter":
        base = AutoModelForCausalLM.from_pretrained(FIXTURES / "llama-untied", **SETTINGS)
        model = PeftModel.from_pretrained(base, path)
    else:
        model = load(path, AutoModelForSequenceClassification if "seqcls" in name else AutoModelForCausalLM)
    AutoTokenizer.from_pretrained(path)
    distance = 0.0
    for row in range(len(ids)):
        length = int(mask[row].sum())
        with torch.no_grad():
            logits = model(input_ids=ids[row : row + 1, :length].long(), use_cache=False).logits[0]
        if "rewards" in golden:
            difference = logits - golden["rewards"].flatten()[row]
        elif "logits" in golden:
            difference = logits - golden["logits"][row, :length]
        else:
            chosen = torch.log_softmax(logits[:-1], -1).gather(1, ids[row, 1:length, None])[:, 0]
            difference = chosen - golden["logprobs"][row, : length - 1]
        distance = max(distance, difference.abs().max().item())
    print(f"{path.name}: {distance:.1e}")
    worst = max(worst, distance)
assert worst < 5e-5, worst
