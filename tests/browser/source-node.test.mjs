// The source layer under Node, where nothing is kept; the rules by which names are understood; and the file server that
// tests and the page use.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { rangeOf, serve } from '../../wasm/serve.mjs';
import { MIB, fakeModel, sha256, startOrigin } from './support/origin.mjs';
import { PACKAGE, compile } from './support/package.mjs';

let source;

before(async () => {
  compile(/^api\/(source|types|errors)/);
  source = await import(`${PACKAGE}/source/index.js`);
});

function optionsWith(notices) {
  return {
    cache: true,
    hub: 'https://hub.invalid',
    onProgress() {},
    onNotice: (text) => notices.push(text),
    sha256() {
      throw new Error('nothing is kept, so nothing is hashed');
    },
    preferred() {
      throw new Error('no repository is named, so no file is chosen');
    },
  };
}

test('Node reads a file by its address, and says that it is not kept', async (t) => {
  const origin = await startOrigin();
  t.after(() => origin.close());
  const bytes = fakeModel(9 * MIB, 5);
  const path = await origin.put('node.gguf', bytes);
  const notices = [];
  const [file] = await source.openSource(new URL(origin.url + path), optionsWith(notices));
  t.after(() => file.close());
  assert.deepEqual(notices, ['node.gguf is not kept for the next visit: there is no storage for it here.']);
  await file.complete();
  assert.equal(sha256(await file.read(0, file.size)), sha256(bytes));
  assert.equal(Buffer.compare(await file.read(5 * MIB - 3, 7), bytes.subarray(5 * MIB - 3, 5 * MIB + 4)), 0);
  assert.ok(origin.most(path) > 1 && origin.most(path) <= 4);
  assert.deepEqual(await source.cache.list(), []);
  assert.equal(await source.cache.persist(), false);
  await source.cache.clear();
  await assert.rejects(source.openSource({ cached: '00' }, optionsWith([])), { code: 'not-found' });
  await assert.rejects(source.openSource({ url: origin.url + path, sha256: 'x' }, optionsWith([])), {
    code: 'bad-input',
  });
});

test('a checksum that cannot be compared is not passed over in silence', async (t) => {
  const origin = await startOrigin();
  t.after(() => origin.close());
  const url = origin.url + (await origin.put('sum.gguf', fakeModel(MIB)));
  const notices = [];
  const [file] = await source.openSource({ url, sha256: '0'.repeat(64) }, { ...optionsWith(notices), cache: false });
  file.close();
  assert.deepEqual(notices, ['sum.gguf is not kept. Its checksum is not compared.']);
});

test('Node reads Blobs', async () => {
  const bytes = fakeModel(3 * MIB);
  const files = await source.openSource([new Blob([bytes]), new Blob(['GGUF and more'])], optionsWith([]));
  assert.deepEqual(
    files.map((file) => file.size),
    [3 * MIB, 13],
  );
  assert.equal(sha256(await files[0].read(0, 3 * MIB)), sha256(bytes));
  assert.equal(Buffer.from(await files[1].read(5, 3)).toString(), 'and');
  await assert.rejects(files[1].read(10, 4), { code: 'bad-file' });
  for (const [offset, length] of [
    [-1, 1],
    [0.5, 1],
    [0, -1],
  ])
    await assert.rejects(files[1].read(offset, length));
  files[1].close();
  await assert.rejects(files[1].read(0, 1), { code: 'aborted' });
  await assert.rejects(source.openSource(new Blob(['<html>']), optionsWith([])), {
    code: 'bad-file',
    message: /web page/,
  });
  await assert.rejects(source.openSource(undefined, optionsWith([])), { code: 'bad-input' });
  await assert.rejects(source.openSource(7, optionsWith([])), { code: 'bad-input' });
});

test('the server gives ranges, types and tags, and nothing outside of its folders', async (t) => {
  const top = await mkdtemp(join(tmpdir(), 'lantern-serve-'));
  t.after(() => rm(top, { recursive: true }));
  await mkdir(join(top, 'site', 'folder'), { recursive: true });
  await mkdir(join(top, 'site-secret'));
  const files = {
    'secret.txt': 'secret',
    'site-secret/a.txt': 'secret',
    'site/a.wasm': '0123456789',
    'site/folder/index.html': 'hello',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(top, name), text);
  const server = await serve({ root: join(top, 'site'), mounts: { '/one.txt': join(top, 'secret.txt') } });
  t.after(() => server.close());
  const get = async (path, headers = {}, method = 'GET') => {
    const response = await fetch(server.url + path, { headers, method });
    return { status: response.status, text: await response.text(), header: (name) => response.headers.get(name) };
  };
  const whole = await get('/a.wasm?x=1');
  assert.deepEqual([whole.status, whole.text, whole.header('content-type')], [200, '0123456789', 'application/wasm']);
  assert.equal((await get('/a.wasm', { 'if-none-match': whole.header('etag') })).status, 304);
  const part = await get('/a.wasm', { range: 'bytes=2-4' });
  assert.deepEqual([part.status, part.text, part.header('content-range')], [206, '234', 'bytes 2-4/10']);
  assert.equal(part.header('access-control-allow-origin'), '*');
  assert.equal((await get('/a.wasm', { range: 'bytes=10-' })).status, 416);
  const head = await get('/a.wasm', {}, 'HEAD');
  assert.deepEqual([head.status, head.text, head.header('content-length')], [200, '', '10']);
  assert.equal((await get('/a.wasm', {}, 'POST')).status, 405);
  assert.equal((await get('/folder')).text, 'hello');
  assert.equal((await get('/one.txt')).text, 'secret');
  const { port } = new URL(server.url);
  for (const path of [
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/one.txt/../site-secret/a.txt',
    '/one.txt/x',
    '/../site-secret/a.txt',
    '/%',
  ]) {
    const answer = await raw(port, path);
    assert.match(answer, /^HTTP\/1\.1 404 /, path);
  }
  assert.deepEqual(rangeOf('bytes=-3', 10), [7, 10]);
  assert.deepEqual(rangeOf('bytes=3-99', 10), [3, 10]);
  assert.equal(rangeOf('bytes=4-3', 10), undefined);
  assert.equal(rangeOf('bytes=0-1,3-4', 10), undefined);
});

/** A request for exactly `path`; fetch would tidy it up first. */
function raw(port, path) {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    );
    let text = '';
    socket.on('data', (data) => (text += data));
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
}
