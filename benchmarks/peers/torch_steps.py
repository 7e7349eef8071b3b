"""A training step and generation of a Llama-shaped model in PyTorch (eager, f32 without TF32), one for each line on standard input.

usage: python3 torch_steps.py train|generate cpu|cuda threads layers C heads kv_heads ff vocabulary batch length
Says "ready" when the model stands and has run once, then "done" for each line. A full step: forward, cross-entropy, backward, clipping,
fused AdamW. Generation: `batch` rows of 16 tokens, `length` new ones each, with a cache of keys and values, drawn at temperature 1.
"""
import sys

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as problem:
    print(f"error: {problem}", flush=True)
    sys.exit(0)

work = sys.argv[1]
device = sys.argv[2]
threads, L, C, H, K, ff, V, B, T = map(int, sys.argv[3:])
torch.set_num_threads(threads)
if device == "cuda" and not torch.cuda.is_available():
    print("error: PyTorch finds no CUDA device", flush=True)
    sys.exit(0)
torch.set_default_device(device)
torch.manual_seed(0)


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.w = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.w


def rope(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.D = C // H
        self.n1, self.n2 = RmsNorm(C), RmsNorm(C)
        self.q, self.o = nn.Linear(C, C, False), nn.Linear(C, C, False)
        self.k, self.v = nn.Linear(C, K * self.D, False), nn.Linear(C, K * self.D, False)
        self.gate, self.up, self.down = nn.Linear(C, ff, False), nn.Linear(C, ff, False), nn.Linear(ff, C, False)

    def forward(self, x, cos, sin, cache):
        rows, length, _ = x.shape
        h = self.n1(x)
        heads = lambda y, n: y.view(rows, length, n, self.D).transpose(1, 2)
        q, k = rope(heads(self.q(h), H), cos, sin), rope(heads(self.k(h), K), cos, sin)
        v = heads(self.v(h), K)
        if cache is not None:
            if cache:
                k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
            cache[:] = [k, v]
        shared = H // K
        y = F.scaled_dot_product_attention(
            q, k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1), is_causal=length > 1
        )
        x = x + self.o(y.transpose(1, 2).reshape(rows, length, C))
        h = self.n2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        D = C // H
        self.embedding = nn.Embedding(V, C)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(L))
        self.norm = RmsNorm(C)
        angles = torch.outer(torch.arange(4096.0), 10000 ** (-torch.arange(0, D, 2) / D))
        self.cos, self.sin = angles.cos(), angles.sin()

    def forward(self, ids, caches=None, position=0):
        x = self.embedding(ids)
        place = slice(position, position + ids.shape[1])
        for i, block in enumerate(self.blocks):
            x = block(x, self.cos[place], self.sin[place], None if caches is None else caches[i])
        return self.norm(x) @ self.embedding.weight.T


model = Model()
fused = {"fused": True} if int(torch.__version__.split(".")[0]) > 1 else {}
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, **fused)
ids = torch.randint(0, V, (B, T + 1))


def train():
    loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def generate():
    with torch.no_grad():
        caches = [[] for _ in model.blocks]
        logits = model(ids[:, :16], caches)[:, -1]
        for i in range(T):
            token = torch.multinomial(logits.softmax(-1), 1)
            logits = model(token, caches, 16 + i)[:, -1]


run = {"train": train, "generate": generate}[work]


def finish():
    run()
    if device == "cuda":
        torch.cuda.synchronize()


finish()
print(f"ready, PyTorch {torch.__version__}", flush=True)
for _ in sys.stdin:
    finish()
    print("done", flush=True)
