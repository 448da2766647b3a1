// One round of one engine in the browser that LANTERN_BROWSER names: `browse.mjs ENGINE DEPTH`. The last line on stdout
// is the result, as JSON.

import { fileURLToPath } from 'node:url';
import { BROWSER, open } from '../../browser/support/browser.mjs';
import { serve } from '../../../wasm/serve.mjs';

const [name, depth = '0'] = process.argv.slice(2);
const { PEERS_GGUF, PEERS_ONNX } = process.env;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Runs in the page. */
async function round([name, depth]) {
  const web = await import('/peers/web.mjs');
  const engines = {
    lantern: async () => web.lantern((await import('/lantern/index.js')).Lantern, '/model.gguf', depth),
    'onnx-web': async () => {
      const dispatches = web.countDispatches();
      const ort = await import('/npm/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs');
      const folder = `${location.origin}/npm/onnxruntime-web/dist/`;
      return web.onnxOnWeb(ort, folder, '/model.onnx', depth, dispatches);
    },
    wllama: async (layers) => {
      const { wllama } = await import('/peers/wllama.mjs');
      const package_ = await import('/npm/@wllama/wllama/esm/index.js');
      const model = await (await fetch('/model.gguf')).blob();
      const wasm = `${location.origin}/npm/@wllama/wllama/esm/wasm/wllama.wasm`;
      return wllama(package_, wasm, model, layers);
    },
    'wllama-cpu': () => engines.wllama(0),
  };
  return engines[name]();
}

const server = await serve({
  root: here('.'),
  mounts: {
    '/peers': here('.'),
    '/npm': here('node_modules'),
    '/lantern': here('../../../target/web/package'),
    '/model.gguf': PEERS_GGUF,
    '/model.onnx': PEERS_ONNX,
  },
  hook: (request, response) => {
    // Threads of WebAssembly need a page that is isolated.
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    response.setHeader('cross-origin-resource-policy', 'same-origin');
    if (request.url !== '/blank') return false;
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>peers</title>');
    return true;
  },
});
// llama.cpp in WebAssembly waits for the GPU by promises, which Firefox has behind a preference.
const firefoxUserPrefs = {
  ...BROWSER.settings.firefoxUserPrefs,
  'javascript.options.wasm_js_promise_integration': true,
};
const browser = await open({ onConsole: (text) => console.error(text), options: { firefoxUserPrefs } });
let result;
try {
  await browser.page.goto(`${server.url}/blank`);
  result = await browser.page.evaluate(round, [name, Number(depth)]);
} catch (error) {
  result = { refused: String(error?.message ?? error).split('\n')[0] };
}
await browser.close();
await server.close();
console.log(JSON.stringify(result));
process.exit('refused' in result ? 1 : 0);
