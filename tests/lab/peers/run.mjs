// One round of one engine in Node or Deno: `run.mjs ENGINE DEPTH`. The last line on stdout is the result, as JSON.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { countDispatches, lantern, onnxOnWeb } from './web.mjs';
import { llama } from './llama.mjs';
import { measure } from './workload.mjs';
import { onnx } from './onnx.mjs';
import { wllama } from './wllama.mjs';

const [name, depth = '0'] = process.argv.slice(2);
const { PEERS_GGUF, PEERS_ONNX } = process.env;
const require = createRequire(import.meta.url);
const DEPTH = Number(depth);

async function native(provider) {
  const ort = require('onnxruntime-node');
  const engine = await onnx(ort, PEERS_ONNX, provider);
  const measured = await measure(engine, DEPTH);
  return provider === 'cpu'
    ? { ...measured, adapter: 'CPU, 2 threads', computed: 'CPU', evidence: 'its CPU provider was asked for' }
    : { ...measured, adapter: 'does not say', computed: 'GPU', evidence: 'computing on the CPU was forbidden' };
}

async function llamaCpp(gpu) {
  const { feed, position, rewind, ...about } = await llama(PEERS_GGUF, gpu);
  return { ...(await measure({ feed, position, rewind }, DEPTH)), ...about };
}

/** The package for the web, and ONNX Runtime's, on WebGPU of Node's or Deno's. */
async function onDawn(run) {
  await import('../../browser/support/dawn.mjs');
  return run(countDispatches());
}

const ENGINES = {
  lantern: () =>
    onDawn(async () => {
      const { fileAsBlob } = await import('../../browser/support/dawn.mjs');
      const { Lantern } = await import('../../../target/web/package/index.js');
      return lantern(Lantern, await fileAsBlob(PEERS_GGUF), DEPTH);
    }),
  'onnx-web': () =>
    onDawn(async (dispatches) => {
      const folder = new URL('node_modules/onnxruntime-web/dist/', import.meta.url);
      const ort = await import(new URL('ort.webgpu.min.mjs', folder));
      // It would fetch both, which works for addresses alone.
      const module = new URL('ort-wasm-simd-threaded.asyncify.mjs', folder);
      ort.env.wasm.wasmBinary = readFileSync(new URL('ort-wasm-simd-threaded.asyncify.wasm', folder));
      return onnxOnWeb(ort, { mjs: module.href }, readFileSync(PEERS_ONNX), DEPTH, dispatches);
    }),
  'onnx-webgpu': () => native('webgpu'),
  'onnx-cpu': () => native('cpu'),
  'llama-vulkan': () => llamaCpp('vulkan'),
  'llama-cpu': () => llamaCpp(false),
  wllama: () =>
    onDawn(async () => {
      const folder = new URL('node_modules/@wllama/wllama/esm/', import.meta.url);
      const package_ = await import(new URL('index.js', folder));
      const { fileAsBlob } = await import('../../browser/support/dawn.mjs');
      return wllama(package_, new URL('wasm/wllama.wasm', folder).href, await fileAsBlob(PEERS_GGUF));
    }),
};

try {
  console.log(JSON.stringify(await ENGINES[name]()));
  process.exit(0);
} catch (error) {
  console.log(JSON.stringify({ refused: String(error?.message ?? error) }));
  process.exit(1);
}
