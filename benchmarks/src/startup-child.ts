/** A process that does nothing but take its first training step, and says how long each part took since it was started. */

// Since the process began: the clock's origin.
const started = performance.now();
const { createDevice } = await import("@trimtab/node");
const { llamaConfig, microShape: shape } = await import("./measure/shapes");
const { makeTrainingStep } = await import("./measure/training-step");
const imported = performance.now();
const device = await createDevice(process.argv[2] === "webgpu" ? "webgpu" : "wasm");
const opened = performance.now();
const step = makeTrainingStep(device, llamaConfig(shape), shape.B, shape.T);
await step.run();
const stepped = performance.now();
await step.run();
const again = performance.now();
console.log(
  JSON.stringify({
    node: started,
    import: imported - started,
    device: opened - imported,
    first: stepped - opened,
    second: again - stepped,
    pipelines: device.counters.pipelines,
  }),
);
step.dispose();
await device.destroy();

export {};
