// Failures, and what is left afterwards: GPUs that fail while they are needed, saved sessions that are damaged,
// calls that wait for others, a package that is not all there.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSER } from './support/browser.mjs';
import { engines, inWorker, origin, start } from './support/engine.mjs';

describe(`failures in ${BROWSER.name}`, { timeout: 300_000 }, () => {
  let server, browser, page;

  before(async () => {
    server = await origin();
    browser = await engines(server);
    page = await browser.page();
    await page.evaluate(async () => {
      globalThis.model = await lantern.load('/model.gguf', { context: 256 });
      globalThis.complete = (prompt, count, more = {}) =>
        model.complete(prompt, { ...greedy, ignore_eos: true, max_tokens: count, ...more });
    });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  /** The GPU is gone, and for now there is no other. */
  const loseGpu = () =>
    inWorker(page, () => {
      navigator.gpu.requestAdapter = async () => null; // hides the prototype's
      devices.at(-1).destroy();
    });
  const findGpu = () => inWorker(page, () => delete navigator.gpu.requestAdapter);

  test('waiting for a new GPU can be aborted, and the next call has one', async () => {
    await loseGpu();
    const waited = await page.evaluate(async () => {
      const begun = performance.now();
      const control = new AbortController();
      setTimeout(() => control.abort(), 300);
      const code = await codeOf(complete('a', 4, { signal: control.signal }).completion);
      return { code, after: performance.now() - begun, counters: await lantern.counters() };
    });
    assert.match(waited.code, /^aborted/);
    assert.ok(waited.after < 2000, `${waited.after} ms`);
    assert.ok(waited.counters.wasm_bytes > 0);
    await findGpu();
    assert.equal(await page.evaluate(async () => (await complete('a', 4).completion).tokens.length), 4);
  });

  test('a GPU that comes back late is waited for', async () => {
    await loseGpu();
    const answer = page.evaluate(async () => (await complete('a', 4).completion).tokens.length);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await findGpu();
    assert.equal(await answer, 4);
    assert.match((await page.evaluate(() => notices)).join(), /GPU was lost/);
  });

  test('an error of the GPU fails one call, not all that follow', async () => {
    await inWorker(page, () => void devices.at(-1).createBuffer({ size: 4, usage: 0 }));
    const codes = await page.evaluate(async () => [
      await codeOf(complete('a', 4).completion),
      await codeOf(complete('a', 4).completion),
    ]);
    assert.match(codes[0], /^device: /);
    assert.equal(codes[1], 'none');
  });

  test('a session that went with its GPU does not replace the saved one', async () => {
    await page.evaluate(async () => {
      await complete('one two three', 4).completion;
      await model.save('keep');
      globalThis.saved = await lantern.sessions.list();
    });
    await inWorker(page, () => devices.at(-1).destroy());
    const seen = await page.evaluate(async () => ({
      lost: await codeOf(model.save('keep')),
      empty: await codeOf(model.save('keep')),
      same: JSON.stringify(saved) === JSON.stringify(await lantern.sessions.list()),
      restored: await model.restore('keep'),
      cached: (await complete('one two three', 4).completion).usage.cached_tokens,
    }));
    assert.match(seen.lost, /^device-lost: /);
    assert.match(seen.empty, /^bad-input: .*nothing to save/);
    assert.ok(seen.same && seen.restored);
    assert.ok(seen.cached > 0, 'the saved session is used');
  });

  test('damaged sessions are bad files, and leave an empty session', async () => {
    const seen = await page.evaluate(async () => {
      await complete('one two three', 4).completion;
      await model.save('hurt');
      let folder = await navigator.storage.getDirectory();
      for (const name of ['lantern', 'sessions']) folder = await folder.getDirectoryHandle(name);
      const handle = await folder.getFileHandle('hurt.session');
      const whole = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      const restored = async (bytes) => {
        const stream = await handle.createWritable();
        await stream.write(bytes);
        await stream.close();
        return codeOf(model.restore('hurt'));
      };
      const changed = (at, value) => whole.map((byte, index) => (index === at ? value : byte));
      return {
        magic: await restored(changed(0, 0)),
        head: await restored(changed(9, 0x7d)),
        length: await restored(changed(7, 0xff)),
        cut: await restored(whole.slice(0, -100)),
        cached: (await complete('one two three', 4).completion).usage.cached_tokens,
        whole: await restored(whole),
        names: [
          await codeOf(model.save('')),
          await codeOf(model.save('\ud800')),
          await codeOf(model.save('ä'.repeat(99))),
        ],
      };
    });
    for (const what of ['magic', 'head', 'length', 'cut']) assert.match(seen[what], /^bad-file: .*damaged/, what);
    assert.equal(seen.cached, 0);
    assert.equal(seen.whole, 'none');
    for (const code of seen.names) assert.match(code, /^bad-input: .*name/);
  });

  test('a call that waits for its turn can be aborted; others need not wait', async () => {
    const seen = await page.evaluate(async () => {
      const long = complete('a', 12);
      let ended = false;
      long.completion.finally(() => (ended = true));
      const control = new AbortController();
      const waiting = complete('b', 4, { signal: control.signal });
      setTimeout(() => control.abort(), 10);
      const code = await codeOf(waiting.completion);
      await lantern.counters();
      await lantern.sessions.list();
      const early = !ended;
      const after = await complete('c', 4).completion; // still after the long one
      return { code, early, ended, after: after.tokens.length, long: (await long.completion).tokens.length };
    });
    assert.match(seen.code, /^aborted/);
    assert.deepEqual([seen.early, seen.ended, seen.after, seen.long], [true, true, 4, 12]);
  });

  test('several loops over one answer all see all of it', async () => {
    const seen = await page.evaluate(async () => {
      const answer = complete('a', 12);
      const read = async () => {
        let text = '';
        for await (const piece of answer) text += piece;
        return text;
      };
      const both = await Promise.all([read(), read()]);
      return [...both, await read(), (await answer.completion).text];
    });
    assert.ok(seen[0].length > 0);
    assert.deepEqual(seen, Array(4).fill(seen[0]));
  });

  test('what is no source, no model of this engine or no kernel is said to be none', async () => {
    const codes = await page.evaluate(async () => {
      const { Lantern } = await import('/lantern/index.js');
      const other = await Lantern.create();
      const sources = [null, undefined, 7, {}, '', [], 'file:///etc/passwd', { url: '/x', sha256: 'short' }];
      const codes = [];
      for (const source of sources) codes.push(await codeOf(lantern.load(source)));
      codes.push(await codeOf(other.bench(model)), await codeOf(lantern.selftest({ only: ['none'] })));
      other.close();
      return codes;
    });
    for (const code of codes) assert.match(code, /^bad-input: /);
  });

  test('kernels are tested against their references', async () => {
    const seen = await page.evaluate(async () => {
      const told = [];
      const only = ['norm', 'rope'];
      const rows = await lantern.selftest({ only, onRow: ({ variant }) => told.push(variant) });
      const control = new AbortController();
      const stop = { onRow: () => control.abort(), signal: control.signal };
      return { rows, told, aborted: await codeOf(lantern.selftest(stop)) };
    });
    assert.deepEqual([...new Set(seen.rows.map(({ kernel }) => kernel))].sort(), ['norm', 'rope']);
    assert.equal(seen.told.length, seen.rows.length);
    for (const { cases, failures, kernel } of seen.rows) {
      assert.ok(cases > 0, kernel);
      assert.deepEqual(failures, [], kernel);
    }
    assert.match(seen.aborted, /^aborted/);
  });

  test('a package that is not all there is an error that says so', async () => {
    const without = async (pattern) => {
      const bare = await browser.context.newPage();
      await bare.goto(`${server.url}/blank`);
      await browser.context.route(pattern, (route) => route.fulfill({ status: 404, body: 'none' }));
      try {
        return await bare.evaluate(`(${start})().then(() => 'none', (error) => error.code + ': ' + error.message)`);
      } finally {
        await browser.context.unroute(pattern);
        await bare.close();
      }
    };
    assert.match(await without('**/worker.js'), /^unsupported: the worker could not be started/);
    assert.match(await without('**/*.wasm'), /^network: the engine's code did not come from http/);
  });
});
