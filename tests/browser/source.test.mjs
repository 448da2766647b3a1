// The source layer in a real browser, within a dedicated worker: what is fetched from servers, and what is said where
// that fails. Files are made up and small; no engine, no GPU.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MIB, fakeModel, sha256, startOrigin } from './support/origin.mjs';
import { PROBE, SIZE, startSource, until } from './support/source.mjs';

let stage;
let origin;

before(async () => {
  stage = await startSource();
  origin = stage.origin;
});

after(() => stage?.close());

describe('source', { concurrency: 3, timeout: 300_000 }, () => {
  test('a file comes in ranges, several at once, and is kept', async (t) => {
    const model = await stage.putModel('ranges.gguf');
    model.rule({ delay: 600 }); // so long that requests meet on a machine with other work, too
    const tab = await stage.openTab(t);
    const seen = await tab.ask('visit', model.url);
    assert.deepEqual(seen, {
      sizes: [SIZE],
      labels: ['ranges.gguf'],
      sums: [model.sum],
      complete: 'complete',
      notices: [],
    });
    assert.equal(origin.most(model.path), 4);
    assert.equal(origin.bytes(model.path), SIZE + PROBE);
    const lengths = origin.ranges(model.path).map((range) => {
      const [first, last] = range.slice(6).split('-');
      return last - first + 1;
    });
    assert.equal(Math.max(...lengths), 2 * MIB);
    const { key, used, ...entry } = await tab.entry(model.url);
    assert.deepEqual(entry, { name: 'ranges.gguf', url: model.url, size: SIZE, present: SIZE, complete: true });
    assert.match(key, /^[0-9a-f]{20}$/);
    assert.ok(Math.abs(Date.now() - used) < 60_000);
  });

  test('progress is told at most every 100 ms, with a rate, and ends at the whole', async (t) => {
    const model = await stage.putModel('progress.gguf', 24 * MIB);
    model.rule({ delay: 200 });
    const tab = await stage.openTab(t);
    await tab.ask('visit', model.url);
    const told = await tab.get('lantern.progress');
    assert.ok(told.length >= 4 && told.every(({ stage, total }) => stage === 'download' && total === 24 * MIB));
    assert.equal(told.at(-1).done, 24 * MIB);
    for (let at = 1; at < told.length; at += 1) assert.ok(told[at].done >= told[at - 1].done);
    for (let at = 1; at < told.length - 1; at += 1) assert.ok(told[at].at - told[at - 1].at >= 99);
    const middle = told.at(-2);
    assert.ok(middle.rate > 0 && Math.abs(middle.left - (middle.total - middle.done) / middle.rate) < 0.001);
  });

  test('a read puts its chunks before the others', async (t) => {
    const model = await stage.putModel('urgent.gguf', 40 * MIB);
    model.rule({ delay: 100 });
    const tab = await stage.openTab(t);
    await tab.ask('open', model.url);
    const sum = await tab.ask('read', 39 * MIB, MIB);
    assert.equal(sum, sha256(model.bytes.subarray(39 * MIB)));
    const place = origin.ranges(model.path).indexOf(`bytes=${38 * MIB}-${40 * MIB - 1}`);
    assert.ok(place >= 1 && place <= 9, `request ${place}`);
    await tab.ask('close');
  });

  test('a connection that breaks is taken up again at the byte', async (t) => {
    const model = await stage.putModel('breaks.gguf', 4 * MIB);
    model.rule({ cut: (start) => (start === 2 * MIB ? MIB : Infinity) });
    const tab = await stage.openTab(t);
    assert.deepEqual((await tab.ask('visit', model.url)).sums, [model.sum]);
    const again = origin.of(model.path).at(-1);
    const start = Number(/\d+/.exec(again.range)[0]);
    assert.ok(start > 2 * MIB && start <= 3 * MIB && again.range.endsWith(`-${4 * MIB - 1}`), again.range);
  });

  test('a chunk that fails five times ends it, and every read that waits', async (t) => {
    const model = await stage.putModel('fails.gguf');
    const tab = await stage.openTab(t);
    await tab.ask('open', model.url, { cache: false });
    model.rule({ status: 503 });
    const begun = Date.now();
    const reads = await Promise.all([tab.ask('read', 3 * MIB, 10), tab.ask('read', 8 * MIB, 10)]);
    for (const read of reads) {
      assert.equal(read.code, 'network');
      assert.ok(read.message.includes(model.url) && read.message.includes('503') && /Try again/.test(read.message));
    }
    assert.ok(Date.now() - begun > 6000, 'pauses grow between the attempts');
    const first = origin.ranges(model.path).filter((range) => range === `bytes=${2 * MIB}-${4 * MIB - 1}`);
    assert.equal(first.length, 5);
    assert.equal((await tab.ask('read', 0, 10)).code, 'network');
  });

  test('a server without ranges is taken in one go, and only where the file is kept', async (t) => {
    const model = await stage.putModel('no-ranges.gguf');
    model.rule({ ranges: false });
    const tab = await stage.openTab(t);
    const refused = await tab.ask('open', model.url, { cache: false });
    assert.equal(refused.code, 'network');
    assert.match(refused.message, /no parts of a file \(HTTP ranges\)/);
    origin.forget(model.path);
    const { sums, complete } = await tab.ask('visit', model.url);
    assert.deepEqual([sums, complete], [[model.sum], 'complete']);
    assert.deepEqual(origin.ranges(model.path), ['bytes=0-3', undefined]);
    assert.equal(origin.of(model.path)[1].bytes, SIZE);
    assert.equal((await tab.get('lantern.progress')).at(-1).done, SIZE);
    await tab.ask('damage', (await tab.entry(model.url)).key, 3 * MIB);
    assert.deepEqual((await tab.ask('visit', model.url)).sums, [model.sum]);
  });

  test('a file that cannot be had is said to be so, with what to do', async (t) => {
    const tab = await stage.openTab(t);
    const expect = async (name, rule, code, message) => {
      const model = await stage.putModel(name, 4 * MIB);
      model.rule(rule);
      const url = rule.cors === false ? model.url.replace('127.0.0.1', 'localhost') : model.url;
      const refused = await tab.ask('open', url);
      assert.equal(refused.code, code, name);
      assert.match(refused.message, message);
      assert.equal(await tab.entry(url), undefined);
    };
    await expect(
      '404.gguf',
      { status: 404 },
      'network',
      /404\.gguf: there is no such file \(status 404\).*Check the address/,
    );
    await expect('403.gguf', { status: 403 }, 'network', /status 403.*logged in/);
    await expect(
      'page.gguf',
      { body: '<!doctype html><p>Log in' },
      'bad-file',
      /page\.gguf is a web page, not a model/,
    );
    await expect('lfs.gguf', { body: 'version https://git-lfs…' }, 'bad-file', /Git LFS pointer/);
    await expect('text.gguf', { body: 'hello' }, 'bad-file', /does not begin with "GGUF"/);
    await expect('down.gguf', { down: true }, 'network', /127\.0\.0\.1:\d+ cannot be reached/);
    const unknown = { hide: ['content-range', 'content-length'], headers: { 'transfer-encoding': 'chunked' } };
    await expect('size.gguf', unknown, 'network', /does not say how large/);
    assert.equal((await tab.ask('open', 'ftp://example.org/a.gguf')).code, 'bad-input');
    assert.equal((await tab.ask('open', 'http://')).code, 'bad-input');
    assert.equal((await tab.ask('open', { cached: '0123' })).code, 'not-found');
  });

  test('another origin must let its files be read', async (t) => {
    const tab = await stage.openTab(t);
    const model = await stage.putModel('cors.gguf', 4 * MIB);
    const elsewhere = await startOrigin();
    t.after(() => elsewhere.close());
    const path = await elsewhere.put('cors.gguf', model.bytes);
    elsewhere.rules[path] = { cors: false };
    const refused = await tab.ask('open', elsewhere.url + path);
    assert.equal(refused.code, 'network');
    assert.ok(refused.message.includes(new URL(elsewhere.url).host) && refused.message.includes('CORS'));
    // Where the range that came is not shown to scripts, the size is asked for in another way.
    elsewhere.rules[path] = { headers: { 'access-control-expose-headers': 'ETag' } };
    assert.deepEqual((await tab.ask('visit', elsewhere.url + path)).sums, [model.sum]);
  });

  test('a file that changes while it comes is not mixed', async (t) => {
    const model = await stage.putModel('changes.gguf', 12 * MIB);
    model.rule({ cut: (start) => (start >= 8 * MIB ? 1000 : Infinity) });
    const tab = await stage.openTab(t);
    await tab.ask('open', model.url);
    await until('8 MiB', async () => (await tab.entry(model.url))?.present === 8 * MIB);
    await stage.putModel('changes.gguf', 12 * MIB);
    const complete = await tab.ask('complete');
    assert.equal(complete.code, 'bad-file');
    assert.match(complete.message, /has changed on the server while it was being loaded/);
    await tab.ask('close');
  });

  test('what is not kept leaves nothing, and small reads do not fetch twice', async (t) => {
    const model = await stage.putModel('uncached.gguf', 24 * MIB);
    const tab = await stage.openTab(t);
    await tab.ask('open', model.url, { cache: false });
    assert.equal(await tab.ask('complete'), 'complete');
    for (let at = 0; at < 8 * MIB; at += 500_000) {
      assert.equal(await tab.ask('read', at, 1000), sha256(model.bytes.subarray(at, at + 1000)));
    }
    assert.equal(new Set(origin.ranges(model.path)).size, origin.of(model.path).length);
    assert.ok(origin.most(model.path) > 1 && origin.bytes(model.path) <= 14 * MIB + PROBE);
    assert.deepEqual(await tab.ask('readAll'), [model.sum]);
    const beyond = await tab.ask('read', 24 * MIB - 1, 2);
    assert.equal(beyond.code, 'bad-file');
    await tab.ask('close');
    assert.equal((await tab.ask('read', 0, 1)).code, 'aborted');
    assert.equal(await tab.entry(model.url), undefined);
  });

  test('a split file is found by one of its names', async (t) => {
    const parts = [];
    for (const part of [1, 2, 3]) parts.push(await stage.putModel(`split-0000${part}-of-00003.gguf`, 3 * MIB + part));
    const tab = await stage.openTab(t);
    const expected = {
      sizes: parts.map(({ bytes }) => bytes.length),
      sums: parts.map(({ sum }) => sum),
      complete: 'complete',
    };
    for (const source of [parts[0].url, { url: parts[1].url, sha256: parts[1].sum }]) {
      const { sizes, sums, complete } = await tab.ask('visit', source);
      assert.deepEqual({ sizes, sums, complete }, expected);
    }
    const whole = 9 * MIB + 6;
    assert.ok((await tab.get('lantern.progress')).every(({ stage, total }) => stage === 'verify' || total === whole));
    for (const { path } of parts) assert.ok(origin.bytes(path) < 3 * MIB + 100);
    for (const part of parts) part.rule({ down: true });
    assert.deepEqual((await tab.ask('visit', { cached: (await tab.entry(parts[2].url)).key })).sums, expected.sums);
    const many = await tab.worker.evaluate(async (urls) => {
      const file = (name, text) => new File([`GGUF${text}`], name);
      const files = [3, 1, 2].map((part) => file(`m-0000${part}-of-00003.gguf`, `part ${part}`));
      const opened = await lantern.open(files);
      const texts = [];
      for (const one of lantern.files) texts.push(new TextDecoder().decode(await one.read(4, 6)));
      const refused = [];
      for (const bad of [files.slice(1), [...files, files[0]], [files[0]], files[0], new Blob(['<html>']), []]) {
        refused.push((await lantern.open(bad)).code);
      }
      return { opened, texts, refused };
    });
    assert.deepEqual(many.texts, ['part 1', 'part 2', 'part 3']);
    assert.deepEqual(many.refused, ['bad-input', 'bad-input', 'bad-input', 'bad-input', 'bad-file', 'bad-input']);
  });

  test('ids of the hub name a file, its address and its checksum', async (t) => {
    const tab = await stage.openTab(t);
    const bytes = fakeModel(3 * MIB, 99);
    const sum = sha256(bytes);
    const other = 'f'.repeat(64);
    const siblings = [
      { rfilename: 'README.md' },
      { rfilename: 'm-Q4_0.gguf', lfs: { sha256: other } },
      { rfilename: 'm-Q8_0.gguf', lfs: { sha256: sum } },
      { rfilename: 'sub/m x.gguf' },
    ];
    origin.rules['/api/models/o/r'] = { body: JSON.stringify({ siblings }) };
    const hub = { hub: `${origin.url}/` };
    const files = ['/o/r/resolve/main/m-Q8_0.gguf', '/o/r/resolve/main/sub/m%20x.gguf'];
    for (const path of files) origin.rules[path] = { body: bytes, headers: { 'content-length': bytes.length } };
    const seen = await tab.ask('visit', 'hf:o/r', hub);
    assert.deepEqual([seen.labels, seen.sums, seen.complete], [['m-Q8_0.gguf'], [sum], 'complete']);
    assert.ok((await tab.get('lantern.progress')).some(({ stage }) => stage === 'verify'));
    origin.rules[files[1]].headers = {
      'x-linked-etag': `"${other}"`,
      'access-control-expose-headers': '*',
      'content-length': bytes.length,
    };
    await tab.ask('open', 'hf:o/r/sub/m x.gguf', hub);
    assert.match((await tab.ask('complete')).message, /does not have the checksum ffff/);
    await tab.ask('close');
    const absent = await tab.ask('open', 'hf:o/r/n.gguf', hub);
    assert.equal(absent.code, 'not-found');
    assert.match(absent.message, /o\/r has no file n\.gguf.*hf:o\/r\/FILE, from: m-Q4_0\.gguf/);
    assert.equal((await tab.ask('open', 'hf:o', hub)).code, 'bad-input');
    assert.equal((await tab.ask('open', 'hf:o/r/../x.gguf', hub)).code, 'bad-input');
    for (const path of ['/api/models/o/r', ...files]) origin.rules[path] = { down: true };
    assert.deepEqual((await tab.ask('visit', 'hf:o/r', hub)).sums, [sum]);
  });
});
