// Helpers for tests of the built package: the default model and the references behind a server, pages that load the
// package, the counting of what was fetched. No test.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../../../wasm/serve.mjs';
import { open } from './browser.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const PACKAGE = join(ROOT, 'target/web/package');
export const REFERENCES = join(ROOT, 'tests/reference');

if (!existsSync(join(PACKAGE, 'engine/lantern_wasm_bg.wasm'))) {
  throw new Error('the package is not built; run: cargo verify web');
}

/** The default model on this machine. */
export function defaultModel() {
  return execFileSync(join(ROOT, 'target/release/lantern'), ['fetch', '--quiet'], { encoding: 'utf8' }).trim();
}

/** A reference of the default model: text, tokens, greedy, margin. */
export function reference(name) {
  return JSON.parse(readFileSync(join(REFERENCES, 'smollm2', `${name}.json`), 'utf8'));
}

/** The logits of a reference. */
export function logitsOf(name) {
  const bytes = readFileSync(join(REFERENCES, 'smollm2', `${name}.f32`));
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** Sum((a-b)^2) / sum(b^2). */
export function nmse(a, b) {
  let error = 0;
  let scale = 0;
  for (let i = 0; i < b.length; i += 1) {
    error += (a[i] - b[i]) ** 2;
    scale += b[i] ** 2;
  }
  return error / scale;
}

/**
 * Put before the worker's own code: runs what tests send it (not every driver of browsers reaches workers), keeps
 * devices, to be destroyed, and can simulate a GPU of a given speed. After
 * `simulate({ dispatch, reading })` the worker's clock stands still, but for so many milliseconds for each dispatch and
 * each reading; after `simulate()` it runs again. `readings` counts what was read.
 */
const WORKER_PRELUDE = `
addEventListener('message', (event) => {
  if (!event.data.tests) return;
  event.stopImmediatePropagation();
  event.data.tests.onmessage = async ({ data: { code, argument }, target }) => {
    try {
      target.postMessage({ value: await (0, eval)(code)(argument) });
    } catch (error) {
      target.postMessage({ error: String(error) });
    }
  };
});
globalThis.devices = [];
const request = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (descriptor) {
  const device = await request.call(this, descriptor);
  globalThis.devices.push(device);
  return device;
};
let costs;
let time = 0;
const now = Performance.prototype.now;
Performance.prototype.now = function () {
  return costs ? time : now.call(this);
};
globalThis.simulate = (given) => {
  time = performance.now();
  costs = given;
};
const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...groups) {
  time += costs?.dispatch ?? 0;
  return dispatch.apply(this, groups);
};
const map = GPUBuffer.prototype.mapAsync;
globalThis.readings = 0;
GPUBuffer.prototype.mapAsync = async function (...range) {
  globalThis.readings += 1;
  await map.apply(this, range);
  time += costs?.reading ?? 0;
};
`;

/** A server of the package, of the model and of the references; `bytes()` of the model that went out so far. */
export async function origin() {
  const fetched = { bytes: 0 };
  const hook = (request, response) => {
    if (request.url === '/blank') {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>blank</title>');
      return true;
    }
    if (request.url === '/lantern/worker.js') {
      const code = WORKER_PRELUDE + readFileSync(join(PACKAGE, 'worker.js'), 'utf8');
      response.setHeader('content-type', 'text/javascript').end(code);
      return true;
    }
    if (request.url === '/model.gguf' && request.method === 'GET') {
      const write = response.write;
      response.write = function (chunk, ...rest) {
        fetched.bytes += chunk.length;
        return write.call(this, chunk, ...rest);
      };
    }
    return false;
  };
  const mounts = { '/lantern': PACKAGE, '/model.gguf': defaultModel(), '/reference': REFERENCES };
  const server = await serve({ root: REFERENCES, mounts, hook });
  return { ...server, fetched };
}

/** A browser, and pages in it that have an engine as `lantern`, and notices in `notices`. */
export async function engines(server) {
  const browser = await open();
  const page = async () => {
    const page = await browser.context.newPage();
    page.setDefaultTimeout(120_000);
    await page.goto(`${server.url}/blank`);
    await page.evaluate(start);
    return page;
  };
  return { ...browser, page };
}

/** Runs a function in the first worker that the page started. */
export function inWorker(page, run, argument) {
  return page.evaluate(
    ([code, argument]) =>
      new Promise((resolve, reject) => {
        const [worker] = globalThis.workers;
        worker.onmessage = ({ data }) => ('error' in data ? reject(new Error(data.error)) : resolve(data.value));
        worker.postMessage({ code, argument });
      }),
    [`(${run})`, argument],
  );
}

/** Runs in the page. */
export async function start() {
  globalThis.workers = [];
  globalThis.Worker = class extends Worker {
    constructor(...args) {
      super(...args);
      const { port1, port2 } = new MessageChannel();
      this.postMessage({ tests: port2 }, [port2]);
      globalThis.workers.push(port1);
    }
  };
  const { Lantern } = await import('/lantern/index.js');
  globalThis.notices = [];
  globalThis.lantern = await Lantern.create({ onNotice: (text) => globalThis.notices.push(text) });
  globalThis.greedy = { temperature: 0, top_k: 0, top_p: 1, min_p: 0 };
  /** The code that a promise rejects with. */
  globalThis.codeOf = (promise) =>
    promise.then(
      () => 'none',
      (error) => `${error.code}: ${error.message}`,
    );
}
