/** Asks which of two completions is better, and trains the model that wrote them on the answers. */
import { createEngine, createFeedbackTrainer, FeedbackSession, feedbackItems } from "@trimtab/web";
import "@trimtab/web/feedback";

const PROMPTS = ["My fellow Americans,", "Tonight, I ask the Congress to", "Our children", "The state of our Union is", "Peace"];

const session = new FeedbackSession({ seed: 1 });
Object.assign(document.querySelector("trimtab-feedback") as HTMLElement, { session });
const output = document.querySelector("output") as HTMLOutputElement;

const engine = await createEngine();
const model = await engine.loadModel({ url: "model/" });
const options = { learningRate: 1e-4, perDeviceTrainBatchSize: 4, numTrainEpochs: 1 };
const trainer = createFeedbackTrainer({ engine, model, session, algorithm: "dpo", minimumRows: 4, options });
trainer.subscribe(({ phase, newRows, round, step, maxSteps }) => {
  output.value = `${phase}: ${newRows} new choices; round ${round}, step ${step} of ${maxSteps}.`;
});

let seed = 0;
async function ask(): Promise<void> {
  const prompt = PROMPTS[seed++ % PROMPTS.length] as string;
  const written = await model.generate({ prompts: [prompt], n: 2, maxNewTokens: 40, seed });
  const texts = written.map(({ text }) => text);
  if (session.add(...feedbackItems("pair", prompt, texts)).length === 0) await ask(); // both were the same
}

// Always two questions ahead of the reader.
session.subscribe(({ type }) => {
  if (type === "answer" || type === "skip") void ask();
});
await ask();
await ask();
await trainer.done;
