// llama.cpp by npm's node-llama-cpp, in Node: on a GPU by Vulkan, or on the CPU.

/** An engine for `measure`, with what it says of itself. `gpu` is `vulkan` or false. */
export async function llama(model, gpu) {
  const { getLlama, LlamaLogLevel } = await import('node-llama-cpp');
  const lines = [];
  const logger = (_, line) => lines.push(line);
  const options = { build: 'never', maxThreads: 2, logLevel: LlamaLogLevel.debug, logger };
  const backend = await getLlama({ gpu, ...options });
  const loaded = await backend.loadModel({ modelPath: model, gpuLayers: gpu ? 'max' : 0 });
  const context = await loaded.createContext({ contextSize: 2304, batchSize: 512, threads: 2 });
  const sequence = context.getSequence();
  const next = { generateNext: { token: true, options: { temperature: 0 } } };

  async function feed(tokens) {
    const inputs = tokens.map((token, index) => (index === tokens.length - 1 ? [token, next] : token));
    const outputs = await sequence.controlledEvaluate(inputs);
    return outputs.at(-1).next.token;
  }

  const buffers = lines.map((line) => /(\S+) model buffer size/.exec(line)?.[1]).filter(Boolean);
  return {
    feed,
    position: () => sequence.nextTokenIndex,
    rewind: (position) => sequence.eraseContextTokenRanges([{ start: position, end: sequence.nextTokenIndex }]),
    adapter: gpu ? (await backend.getGpuDeviceNames()).join() : 'CPU, 2 threads',
    library: `llama.cpp ${backend.llamaCppRelease.release}`,
    computed: buffers.some((name) => /vulkan\d/i.test(name)) ? 'GPU' : 'CPU',
    evidence: `its log: weights are in buffers of ${[...new Set(buffers)].join(' and ')}`,
  };
}
