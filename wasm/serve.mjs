#!/usr/bin/env node
// A small static file server for the page and for tests: right types, ranges, tags, any origin may read. Listens on
// this machine only; not meant for the open web. `node wasm/serve.mjs FOLDER [--port N] [--mount /prefix=PATH]...`

import { createReadStream, realpathSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.gguf': 'application/octet-stream',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.ts': 'text/plain; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

const ANY_ORIGIN = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Accept-Ranges, Content-Length, Content-Range, ETag, X-Linked-ETag',
};

/**
 * Serves the folder `root`, and `mounts`: folders or single files by the prefix of their addresses.
 * `hook(request, response)` may answer itself; true, or a promise of it, says that it did. `port` 0 takes a free one.
 */
export async function serve({ root, mounts = {}, hook, port = 0 }) {
  const server = createServer((request, response) => {
    answer(request, response, { root, mounts, hook }).catch((error) => {
      if (response.headersSent) response.destroy();
      else finish(response, 500, error.message);
    });
  });
  await new Promise((listening, failed) => {
    server.once('error', failed);
    server.listen(port, '127.0.0.1', listening);
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((closed) => {
        server.close(closed);
        server.closeAllConnections();
      }),
  };
}

async function answer(request, response, { root, mounts, hook }) {
  if (hook && (await hook(request, response))) return;
  if (request.method === 'OPTIONS') {
    const allowed = { 'access-control-allow-methods': 'GET, HEAD', 'access-control-allow-headers': '*' };
    response.writeHead(204, { ...ANY_ORIGIN, ...allowed }).end();
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    finish(response, 405, 'only GET and HEAD', { allow: 'GET, HEAD' });
    return;
  }
  const path = decoded(request.url);
  let file = path === undefined ? undefined : place(path, root, mounts);
  let found = file && (await stat(file).catch(() => undefined));
  if (found?.isDirectory()) {
    if (!path.endsWith('/')) {
      finish(response, 301, 'a folder', { location: `${encodeURI(path).replace(/^\/+/, '/')}/` });
      return;
    }
    file = join(file, 'index.html');
    found = await stat(file).catch(() => undefined);
  }
  if (found?.isFile()) sendFile(request, response, file, found);
  else finish(response, 404, 'there is no such file');
}

/** The path of an address; none where it is malformed, or leads upwards. */
function decoded(url) {
  try {
    const path = decodeURIComponent(url.split(/[?#]/, 1)[0]);
    const plain = path.startsWith('/') && !/[\0\\]/.test(path) && !path.split('/').includes('..');
    return plain ? path : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The file that is meant by `path`: that of the longest prefix among `mounts`, or one under `root`; none outside of
 * them.
 */
function place(path, root, mounts) {
  const under = (prefix) => path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
  const prefix = Object.keys(mounts)
    .filter(under)
    .sort((a, b) => b.length - a.length)[0];
  const folder = prefix === undefined ? root : mounts[prefix];
  if (folder === undefined) return undefined;
  const rest = path.slice(prefix?.length ?? 0);
  return rest === '' ? folder : join(folder, rest);
}

function sendFile(request, response, file, { size, mtimeMs }) {
  const etag = `"${size.toString(16)}-${Math.trunc(mtimeMs).toString(16)}"`;
  const headers = {
    ...ANY_ORIGIN,
    'accept-ranges': 'bytes',
    'cache-control': 'no-cache',
    'content-type': TYPES[extname(file).toLowerCase()] ?? 'application/octet-stream',
    etag,
  };
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, headers).end();
    return;
  }
  const condition = request.headers['if-range'];
  const wanted = condition === undefined || condition === etag ? rangeOf(request.headers.range, size) : undefined;
  if (wanted === 'none') {
    finish(response, 416, 'no such range', { 'content-range': `bytes */${size}` });
    return;
  }
  const [start, end] = wanted ?? [0, size];
  headers['content-length'] = end - start;
  if (wanted) headers['content-range'] = `bytes ${start}-${end - 1}/${size}`;
  response.writeHead(wanted ? 206 : 200, headers);
  if (request.method === 'HEAD' || end === start) {
    response.end();
    return;
  }
  const stream = createReadStream(file, { start, end: end - 1 });
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
}

/**
 * First byte and the one after the last; `none` where the file has none of them; nothing where all of it is to be sent.
 */
export function rangeOf(header, size) {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === undefined || (first === '' && last === '')) return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  return start < end ? [start, end] : 'none';
}

function finish(response, status, text, headers = {}) {
  const body = `${text}\n`;
  const length = Buffer.byteLength(body);
  response.writeHead(status, { ...ANY_ORIGIN, 'content-type': TYPES['.txt'], 'content-length': length, ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

async function main() {
  const usage = 'usage: node wasm/serve.mjs FOLDER [--port N] [--mount /prefix=PATH]...';
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        port: { type: 'string', default: '8080' },
        mount: { type: 'string', multiple: true, default: [] },
      },
    });
  } catch (error) {
    return fail(`${error.message}\n${usage}`);
  }
  const { positionals, values } = parsed;
  const mounts = Object.fromEntries(values.mount.map((text) => /^(\/[^=]*)=(.+)$/s.exec(text)?.slice(1) ?? ['', '']));
  const port = Number(values.port);
  if (positionals.length !== 1 || '' in mounts || !Number.isInteger(port) || port < 0 || port > 65535)
    return fail(usage);
  let server;
  try {
    server = await serve({ root: positionals[0], mounts, port });
  } catch (error) {
    return fail(error.code === 'EADDRINUSE' ? `port ${port} is taken; choose another with --port` : error.message);
  }
  console.log(`${server.url}/`);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close());
}

function fail(text) {
  console.error(text);
  process.exitCode = 2;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
