// What runs on the WebGPU of where it is imported: a page, Node with Dawn, Deno.

import { ANSWER, PROMPT, measure, rowsOf } from './workload.mjs';
import { onnx } from './onnx.mjs';

/** Counts what is dispatched by this thread from now on. */
export function countDispatches() {
  let count = 0;
  for (const name of ['dispatchWorkgroups', 'dispatchWorkgroupsIndirect']) {
    const dispatch = GPUComputePassEncoder.prototype[name];
    GPUComputePassEncoder.prototype[name] = function (...groups) {
      count += 1;
      return dispatch.apply(this, groups);
    };
  }
  return () => count;
}

/** What WebGPU calls its adapter. */
async function adapterName() {
  const { vendor, architecture, device, description } = (await navigator.gpu.requestAdapter()).info;
  return [vendor, architecture, device, description].filter(Boolean).join(' ') || 'does not say';
}

/** Ours, by its own measurement. */
export async function lantern(Lantern, model, depth) {
  const engine = await Lantern.create();
  const context = depth + PROMPT + ANSWER + 2;
  const loaded = await engine.load(model, { context: Math.max(context, 256), tune: false, cache: false });
  const report = await engine.bench(loaded, {
    prompt_tokens: PROMPT,
    generated_tokens: ANSWER,
    depths: depth,
    repetitions: 1,
  });
  engine.close();
  return {
    rows: rowsOf(report),
    adapter: await adapterName(),
    computed: 'GPU',
    evidence: `${Math.round(report.counters.dispatches_per_token)} dispatches a token`,
  };
}

/** ONNX Runtime's package for the web. */
export async function onnxOnWeb(ort, paths, model, depth, dispatches) {
  ort.env.wasm.wasmPaths = paths;
  ort.env.wasm.numThreads = 1; // the GPU computes
  const engine = await onnx(ort, model, 'webgpu');
  const before = dispatches();
  const measured = await measure(engine, depth);
  const count = dispatches() - before;
  return {
    ...measured,
    adapter: await adapterName(),
    computed: count > 0 ? 'GPU' : 'CPU',
    evidence: `${count} dispatches, and computing on the CPU was forbidden`,
  };
}
