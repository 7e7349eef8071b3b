/** A GPUDevice that accepts everything and computes nothing: what the WebGPU device then takes is what it would take of a real one. */

/** Its buffers have no contents; what is mapped is zeros. `maxBufferBytes` is the limit of buffers and of their bindings. */
export function createDryGpu(maxBufferBytes: number): GPUDevice {
  const nothing = () => {};
  const queue = { writeBuffer: nothing, submit: nothing, onSubmittedWorkDone: async () => undefined };
  const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
  const encoder = { beginComputePass: () => pass, copyBufferToBuffer: nothing, finish: () => ({}) };
  const gpu = {
    adapterInfo: { vendor: "", architecture: "", device: "", description: "nothing, in order to plan", isFallbackAdapter: false },
    limits: { maxBufferSize: maxBufferBytes, maxStorageBufferBindingSize: maxBufferBytes, minUniformBufferOffsetAlignment: 256 },
    features: new Set<string>(),
    lost: new Promise(nothing),
    queue,
    addEventListener: nothing,
    removeEventListener: nothing,
    pushErrorScope: nothing,
    popErrorScope: async () => null,
    createBuffer: () => ({
      mapAsync: async () => undefined,
      getMappedRange: (_offset: number, size: number) => new ArrayBuffer(size),
      unmap: nothing,
      destroy: nothing,
    }),
    createShaderModule: () => ({}),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createBindGroup: () => ({}),
    createComputePipeline: () => ({}),
    createComputePipelineAsync: async () => ({}),
    createCommandEncoder: () => encoder,
    destroy: nothing,
  };
  // The device uses nothing beside these.
  return gpu as unknown as GPUDevice;
}
