// Cache of the source layer, in a real browser: what an earlier visit left is used and checked, tabs wait for each
// other, and where there is no room the file is used without being kept.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MIB, sha256 } from './support/origin.mjs';
import { PROBE, SIZE, startSource, until } from './support/source.mjs';

let stage;
let origin;

before(async () => {
  stage = await startSource();
  origin = stage.origin;
});

after(() => stage?.close());

describe('cache', { concurrency: 3, timeout: 300_000 }, () => {
  test('after a reload a download goes on where it was', async (t) => {
    const model = await stage.putModel('resume.gguf');
    model.rule({ cut: (start) => (start >= 6 * MIB ? 100_000 : Infinity) });
    const tab = await stage.openTab(t);
    await tab.ask('open', model.url);
    await until('6 MiB', async () => (await tab.entry(model.url))?.present === 6 * MIB);
    await tab.load();
    model.rule({});
    origin.forget(model.path);
    const { sums, complete } = await tab.ask('visit', model.url);
    assert.deepEqual([sums, complete], [[model.sum], 'complete']);
    assert.equal(origin.bytes(model.path), 3 * MIB + PROBE);
    assert.equal((await tab.get('lantern.progress'))[0].done, 6 * MIB);
  });

  test('a damaged chunk is noticed, and fetched again alone', async (t) => {
    const model = await stage.putModel('damaged.gguf');
    const tab = await stage.openTab(t);
    await tab.ask('visit', model.url);
    const { key } = await tab.entry(model.url);
    await tab.ask('damage', key, 5 * MIB);
    origin.forget(model.path);
    const seen = await tab.ask('visit', model.url);
    assert.deepEqual(seen.sums, [model.sum]);
    assert.match(seen.notices.join(), /damaged\.gguf was damaged where it is kept; it is fetched again/);
    assert.deepEqual(origin.ranges(model.path), ['bytes=0-3', `bytes=${4 * MIB}-${6 * MIB - 1}`]);
    origin.forget(model.path);
    assert.deepEqual((await tab.ask('visit', { cached: key })).notices, []);
    assert.deepEqual(origin.of(model.path), []);
  });

  test('a damaged chunk without a network is said to be one, and is mended later', async (t) => {
    const model = await stage.putModel('damaged-offline.gguf');
    const tab = await stage.openTab(t);
    await tab.ask('visit', model.url);
    const { key } = await tab.entry(model.url);
    await tab.ask('damage', key, 0);
    model.rule({ down: true });
    await tab.ask('open', model.url);
    const read = await tab.ask('read', 100, 100);
    assert.equal(read.code, 'bad-file');
    assert.match(read.message, /damaged where it is kept, and cannot be fetched again now/);
    assert.equal(await tab.ask('read', 3 * MIB, 100), sha256(model.bytes.subarray(3 * MIB, 3 * MIB + 100)));
    await tab.ask('close');
    assert.equal((await tab.entry(model.url)).present, SIZE - 2 * MIB);
    model.rule({});
    origin.forget(model.path);
    assert.deepEqual((await tab.ask('visit', { cached: key })).sums, [model.sum]);
    assert.equal(origin.bytes(model.path), 2 * MIB + PROBE);
  });

  test('the checksum of the whole is compared once', async (t) => {
    const model = await stage.putModel('sum.gguf');
    const tab = await stage.openTab(t);
    const source = { url: model.url, sha256: model.sum.toUpperCase(), name: 'A name' };
    assert.deepEqual(await tab.ask('visit', source), {
      sizes: [SIZE],
      labels: ['A name'],
      sums: [model.sum],
      complete: 'complete',
      notices: [],
    });
    const stages = async () => [...new Set((await tab.get('lantern.progress')).map(({ stage }) => stage))];
    assert.deepEqual(await stages(), ['download', 'verify']);
    assert.equal((await tab.get('lantern.progress')).at(-1).done, SIZE);
    await tab.ask('visit', source);
    assert.deepEqual(await stages(), ['download']);
    assert.equal((await tab.entry(model.url)).name, 'A name');
  });

  test('a wrong checksum is fetched anew once, and then refused', async (t) => {
    const model = await stage.putModel('wrong-sum.gguf');
    const tab = await stage.openTab(t);
    await tab.ask('open', { url: model.url, sha256: '0'.repeat(64) });
    const complete = await tab.ask('complete');
    assert.equal(complete.code, 'bad-file');
    assert.match(complete.message, /does not have the checksum 0000/);
    assert.equal(origin.bytes(model.path), 2 * SIZE + PROBE);
    assert.equal((await tab.ask('read', 0, 4)).code, 'bad-file');
    assert.equal(await tab.entry(model.url), undefined);
    await tab.ask('close');
  });

  test('what was damaged on its way is right the second time, and who has read it is told', async (t) => {
    for (const early of [false, true]) {
      const model = await stage.putModel(`transit-${early}.gguf`);
      let bad = true;
      model.rule({ flip: (start) => start === 4 * MIB && bad && !(bad = false) });
      const tab = await stage.openTab(t);
      await tab.ask('open', { url: model.url, sha256: model.sum });
      if (early) await tab.ask('read', 5 * MIB, 10);
      const complete = await tab.ask('complete');
      if (early) assert.match(complete.message, /load it again/);
      else assert.equal(complete, 'complete');
      await tab.ask('close');
      assert.deepEqual((await tab.ask('visit', { cached: (await tab.entry(model.url)).key })).sums, [model.sum]);
      assert.equal(origin.bytes(model.path), 2 * SIZE + PROBE);
    }
  });

  test('a file that has changed is fetched anew', async (t) => {
    const first = await stage.putModel('changed.gguf');
    const tab = await stage.openTab(t);
    await tab.ask('visit', first.url);
    for (const size of [SIZE, SIZE - MIB]) {
      const second = await stage.putModel('changed.gguf', size);
      const seen = await tab.ask('visit', first.url);
      assert.deepEqual(seen.sums, [second.sum]);
      assert.match(seen.notices.join(), /changed\.gguf has changed on its server/);
      assert.equal((await tab.entry(first.url)).size, size);
    }
    assert.deepEqual((await tab.ask('visit', first.url)).notices, []);
  });

  test('what will not fit is used without being kept, and that is said', async (t) => {
    const model = await stage.putModel('large.gguf');
    const tab = await stage.openTab(t);
    await tab.get('{ navigator.storage.estimate = async () => ({ usage: 6e6, quota: 8e6 }); }');
    const seen = await tab.ask('visit', model.url);
    assert.deepEqual([seen.sums, seen.complete], [[model.sum], 'complete']);
    assert.deepEqual(seen.notices, [
      'large.gguf is not kept for the next visit: it needs 9.4 MB, and this browser has room for 2.0 MB.',
    ]);
    assert.equal(await tab.entry(model.url), undefined);
    model.rule({ ranges: false });
    const refused = await tab.ask('open', model.url);
    assert.equal(refused.code, 'quota');
    assert.match(refused.message, /needs 9\.4 MB, and this browser has room for 2\.0 MB/);
  });

  test('where the room ends midway, the rest is used without being kept', async (t) => {
    const model = await stage.putModel('full.gguf');
    const tab = await stage.openTab(t);
    await tab.get(`{
      const { write } = FileSystemSyncAccessHandle.prototype;
      FileSystemSyncAccessHandle.prototype.write = function (bytes, options) {
        if (options.at + bytes.length > ${6 * MIB}) throw new DOMException('full', 'QuotaExceededError');
        return write.call(this, bytes, options);
      };
    }`);
    const seen = await tab.ask('visit', model.url);
    assert.deepEqual([seen.sums, seen.complete], [[model.sum], 'complete']);
    assert.deepEqual(seen.notices, [
      'The rest of full.gguf is not kept for the next visit: there is no more room for it in this browser.',
    ]);
    const { present, complete } = await tab.entry(model.url);
    assert.ok(present <= 6 * MIB && !complete);
    const other = await stage.putModel('full-no-ranges.gguf');
    other.rule({ ranges: false });
    await tab.ask('open', other.url);
    assert.equal((await tab.ask('complete')).code, 'quota');
    await tab.ask('close');
  });

  test('two tabs download a file once', async (t) => {
    const model = await stage.putModel('tabs.gguf');
    model.rule({ delay: 200 });
    const tabs = await Promise.all([stage.openTab(t), stage.openTab(t)]);
    const seen = await Promise.all(tabs.map((tab) => tab.ask('visit', model.url)));
    for (const { sums, complete } of seen) assert.deepEqual([sums, complete], [[model.sum], 'complete']);
    assert.equal(origin.bytes(model.path), SIZE + 2 * PROBE);
    const waits = await Promise.all(
      tabs.map((tab) => tab.get('lantern.progress.some(({ stage }) => stage === "wait")')),
    );
    assert.deepEqual(waits.sort(), [false, true]);
  });

  test('a file in use is not removed, and waiting for it can be given up', async (t) => {
    const model = await stage.putModel('in-use.gguf');
    const [one, two] = await Promise.all([stage.openTab(t), stage.openTab(t)]);
    await one.ask('open', model.url);
    await one.ask('complete');
    const { key } = await two.entry(model.url);
    const remove = () =>
      two.worker.evaluate((which) => lantern.cache.remove(which).then(() => 'removed', lantern.told), key);
    const refused = await remove();
    assert.equal(refused.code, 'bad-input');
    assert.match(refused.message, /in-use\.gguf is in use/);
    const waiting = two.ask('open', model.url);
    await until('the lock', () => two.get('lantern.progress.at(-1)?.stage === "wait"'));
    await two.get('lantern.abort.abort()');
    assert.equal((await waiting).code, 'aborted');
    await one.ask('close');
    assert.equal(await remove(), 'removed');
    assert.equal(await two.entry(model.url), undefined);
  });

  test('an abort stops all of it, and keeps what is here', async (t) => {
    const model = await stage.putModel('abort.gguf', 24 * MIB);
    model.rule({ cut: (start) => (start >= 8 * MIB ? 0 : Infinity) });
    const tab = await stage.openTab(t);
    await tab.ask('open', model.url);
    await until('8 MiB', async () => (await tab.entry(model.url))?.present === 8 * MIB);
    const pending = [tab.ask('read', 0, 24 * MIB), tab.ask('read', 23 * MIB, 1), tab.ask('complete')];
    await tab.get('lantern.abort.abort()');
    for (const { code } of await Promise.all(pending)) assert.equal(code, 'aborted');
    assert.equal((await tab.ask('read', 0, 1)).code, 'aborted');
    await new Promise((resolve) => setTimeout(resolve, 100));
    origin.forget(model.path);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.deepEqual(origin.of(model.path), []);
    model.rule({});
    assert.deepEqual((await tab.ask('visit', model.url)).sums, [model.sum]);
    assert.equal(origin.bytes(model.path), 16 * MIB + PROBE);
    await tab.get('lantern.abort.abort()');
    assert.equal(
      (await tab.get('lantern.open("http://x.invalid/a.gguf", { signal: AbortSignal.abort() })')).code,
      'aborted',
    );
  });

  test('what is kept is used without a network', async (t) => {
    const model = await stage.putModel('offline.gguf');
    const tab = await stage.openTab(t);
    await tab.ask('visit', model.url);
    model.rule({ down: true });
    await tab.load();
    origin.forget(model.path);
    assert.deepEqual((await tab.ask('visit', model.url)).sums, [model.sum]);
    const { key } = await tab.entry(model.url);
    origin.forget(model.path);
    assert.deepEqual((await tab.ask('visit', { cached: key })).sums, [model.sum]);
    assert.deepEqual(origin.of(model.path), []);
    model.rule({ body: '<p>log in to this network' });
    assert.deepEqual((await tab.ask('visit', model.url)).sums, [model.sum]);
  });

  test('of a torn log the last line is left out; a broken one begins anew', async (t) => {
    const model = await stage.putModel('log.gguf');
    const tab = await stage.openTab(t);
    await tab.ask('visit', model.url);
    const { key } = await tab.entry(model.url);
    const fetchedAgain = async () => {
      origin.forget(model.path);
      assert.deepEqual((await tab.ask('visit', model.url)).sums, [model.sum]);
      return origin.bytes(model.path) - PROBE;
    };
    await tab.ask('resize', key, '.log', -10);
    const refetched = await fetchedAgain();
    assert.ok(refetched === 2 * MIB || refetched === MIB, `${refetched}`);
    assert.equal(await fetchedAgain(), 0, 'what follows a torn line is whole again');
    await tab.ask('breakLog', key);
    assert.equal(await fetchedAgain(), SIZE);
    await tab.ask('resize', key, '.gguf', -10);
    assert.equal(await fetchedAgain(), MIB, 'the chunk that is cut short');
    await tab.ask('resize', key, '.gguf', 4);
    assert.equal(await fetchedAgain(), SIZE);
  });
});

test('the cache is emptied, and says what it takes', async (t) => {
  const tab = await stage.openTab(t);
  const model = await stage.putModel('last.gguf', 4 * MIB);
  await tab.ask('visit', model.url);
  const { usage, quota } = await tab.get('lantern.cache.estimate()');
  assert.ok(usage >= 4 * MIB && quota > usage);
  assert.equal(typeof (await tab.get('lantern.cache.persist()')), 'boolean');
  const used = (await tab.get('lantern.cache.list()')).map((entry) => entry.used);
  assert.ok(used.length > 1);
  assert.deepEqual(
    used,
    used.toSorted((a, b) => b - a),
  );
  await tab.get('lantern.cache.clear()');
  assert.deepEqual(await tab.get('lantern.cache.list()'), []);
});
