// A server of made-up model files for tests of the source layer, with the faults that servers have: each is a rule for
// one path. It is wasm/serve.mjs with a hook, and it remembers every request and how many bytes of body it was given.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../../../wasm/serve.mjs';
import { PACKAGE } from './package.mjs';

const PAGE = `<!doctype html><title>source</title><link rel="icon" href="data:,"><script>
  const worker = new Worker('/support/source-worker.mjs', { type: 'module' });
  window.ready = new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = (event) => reject(new Error(event.message || 'the worker did not start'));
  });
</script>`;

export const MIB = 1 << 20;

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes that begin as a model does, and of which no two chunks are alike. */
export function fakeModel(size, seed = 1) {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = seed;
  for (let at = 0; at < words.length; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    words[at] = state ^ (state >>> 15);
  }
  const bytes = Buffer.from(words.buffer, 0, size);
  bytes.write('GGUF');
  return bytes;
}

/**
 * `rules` by path: `status` or `body` to answer with; `down`, the connection is dropped; `ranges: false`;
 * `cors: false`; `hide`, headers left out; `headers`, more of them; `delay` in ms; `cut(start)`, bytes after which a
 * connection is dropped; `flip(start)`, whether the body's first byte is changed.
 */
export async function startOrigin() {
  const folder = await mkdtemp(join(tmpdir(), 'lantern-models-'));
  const rules = {};
  const requests = [];
  const state = { active: new Map(), most: new Map() };
  const hook = (request, response) => handle(request, response, { rules, requests, state });
  const support = fileURLToPath(new URL('.', import.meta.url));
  const server = await serve({ root: folder, mounts: { '/package': PACKAGE, '/support': support }, hook });
  const of = (path) => requests.filter((request) => request.path === path);
  return {
    url: server.url,
    rules,
    /** Requests for a path since the last `forget`. */
    of,
    ranges: (path) => of(path).map(({ range }) => range),
    bytes: (path) => of(path).reduce((sum, request) => sum + request.bytes, 0),
    most: (path) => state.most.get(path) ?? 0,
    forget(path) {
      requests.splice(0, requests.length, ...requests.filter((request) => request.path !== path));
    },
    /** Makes a file, in folders or not, and gives its path. */
    async put(name, bytes) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, bytes);
      return `/${name}`;
    },
    async close() {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function handle(request, response, { rules, requests, state }) {
  const path = new URL(request.url, 'http://here').pathname;
  if (path === '/') {
    response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
    return true;
  }
  const rule = rules[path] ?? {};
  const note = { path, query: request.url.split('?')[1], range: request.headers.range, bytes: 0 };
  requests.push(note);
  if (rule.down) {
    request.socket.destroy();
    return true;
  }
  count(path, response, state);
  if (rule.delay) await new Promise((resolve) => setTimeout(resolve, rule.delay));
  if (rule.body !== undefined || rule.status !== undefined) {
    const headers = { 'access-control-allow-origin': '*', ...rule.headers };
    response.writeHead(rule.status ?? 200, headers).end(rule.body ?? 'no');
    return true;
  }
  if (rule.ranges === false) delete request.headers.range;
  changeHead(response, rule);
  changeBody(response, rule, note, Number(/\d+/.exec(note.range)?.[0] ?? 0));
  return false;
}

/** How many requests for a path are under way, and were at most. */
function count(path, response, { active, most }) {
  active.set(path, (active.get(path) ?? 0) + 1);
  most.set(path, Math.max(most.get(path) ?? 0, active.get(path)));
  response.on('close', () => active.set(path, active.get(path) - 1));
}

function changeHead(response, rule) {
  const writeHead = response.writeHead.bind(response);
  response.writeHead = (status, headers) => {
    const sent = { ...headers, ...rule.headers };
    const hidden = [...(rule.hide ?? []), ...(rule.ranges === false ? ['accept-ranges'] : [])];
    if (rule.cors === false) hidden.push('access-control-allow-origin');
    for (const name of hidden) delete sent[name];
    return writeHead(status, sent);
  };
}

function changeBody(response, rule, note, start) {
  const write = response.write.bind(response);
  const limit = rule.cut?.(start) ?? Infinity;
  response.write = (data, ...rest) => {
    let piece = data.subarray(0, limit - note.bytes);
    if (note.bytes === 0 && rule.flip?.(start)) {
      piece = Buffer.from(piece);
      piece[0] ^= 1;
    }
    note.bytes += piece.length;
    const result = write(piece, ...rest);
    if (note.bytes >= limit) response.socket?.end();
    return result;
  };
}
