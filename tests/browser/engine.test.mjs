// The package in a real Chromium: the default model over HTTP, from the cache, across reloads, tabs and lost GPUs, with
// the tokens of the references.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSER } from './support/browser.mjs';
import { engines, inWorker, origin, reference, start } from './support/engine.mjs';

const MEGABYTE = 1 << 20;

describe(`the engine in ${BROWSER.name}`, { timeout: 600_000 }, () => {
  let server, browser, page;

  before(async () => {
    server = await origin();
    browser = await engines(server);
    page = await browser.page();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  const complete = (on, prompt, count, more = {}) =>
    on.evaluate(
      ([prompt, count, more]) => model.complete(prompt, { ...greedy, max_tokens: count, ...more }).completion,
      [prompt, count, more],
    );
  const load = (on) => on.evaluate(async () => void (globalThis.model = await lantern.load('/model.gguf')));

  test('a first load comes over HTTP, and wasm does not grow with the file', async () => {
    const seen = await page.evaluate(async () => {
      const stages = new Set();
      globalThis.model = await lantern.load('/model.gguf', { onProgress: ({ stage }) => stages.add(stage) });
      return {
        stages: [...stages],
        info: model.info,
        counters: await lantern.counters(),
        adapter: lantern.adapter,
      };
    });
    assert.ok(server.fetched.bytes >= seen.info.size, `${server.fetched.bytes} bytes`);
    assert.ok(seen.stages.includes('download') && seen.stages.includes('upload'), `${seen.stages}`);
    assert.ok(seen.stages.includes('tune'), `${seen.stages}`);
    assert.ok(seen.info.chat && seen.info.vocab_size === 49152);
    assert.match(seen.adapter.name, BROWSER.adapter);
    assert.equal(seen.adapter.features.shader_f16, BROWSER.f16); // Chromium: so all of this is without
    assert.ok(seen.counters.wasm_bytes < 96 * MEGABYTE, `${seen.counters.wasm_bytes} bytes of wasm`);
  });

  test('the fastest kernels are looked for once, and kept', async () => {
    const stages = await page.evaluate(async () => {
      const other = await lantern.constructor.create();
      const stages = new Set();
      await other.load('/model.gguf', { onProgress: ({ stage }) => stages.add(stage) });
      other.close();
      return [...stages];
    });
    assert.ok(!stages.includes('tune'), `${stages}`);
  });

  test('an estimate reads little more than the header, and knows what the model takes', async () => {
    const before = server.fetched.bytes;
    const estimate = await page.evaluate(() => lantern.estimate('/model.gguf', { context: 256 }));
    assert.ok(server.fetched.bytes - before < 16 * MEGABYTE, `${server.fetched.bytes - before} bytes`);
    const info = await page.evaluate(() => model.info);
    assert.equal(estimate.weight_bytes, info.weight_bytes);
    assert.equal(estimate.cache_bytes * info.context, info.cache_bytes * 256);
    assert.ok(estimate.context_possible >= 8192 && estimate.fits === null);
    assert.ok(estimate.decode_tokens_per_second > 0.1 && estimate.prefill_tokens_per_second > 0.1);
    const missing = await page.evaluate(() => lantern.estimate('/none.gguf').catch(({ code }) => code));
    assert.equal(missing, 'network');
  });

  test('greedy tokens are those of the references', async () => {
    const { greedy: france, text } = reference('france');
    const done = await complete(page, text, france.length, { ignore_eos: true });
    assert.deepEqual(done.tokens, france);
    assert.equal(done.finish_reason, 'length');

    const { greedy: unicode, text: signs, tokens } = reference('unicode');
    assert.deepEqual(await page.evaluate((text) => model.tokenize(text), signs), tokens);
    assert.deepEqual((await complete(page, signs, unicode.length, { ignore_eos: true })).tokens, unicode);

    const { greedy: chat, tokens: rendered } = reference('chat');
    const answered = await page.evaluate(async (count) => {
      const pieces = [];
      const options = { ...greedy, max_tokens: count, ignore_eos: true };
      const answer = model.chat([{ role: 'user', content: 'What is the capital of France?' }], options);
      for await (const piece of answer) pieces.push(piece);
      return { text: pieces.join(''), ...(await answer.completion), streamed: pieces.length };
    }, chat.length);
    assert.equal(answered.usage.prompt_tokens, rendered.length);
    assert.deepEqual(answered.tokens, chat);
    assert.ok(answered.streamed > 3, 'the answer came in pieces');
  });

  test('stop strings end an answer, and are no part of it', async () => {
    const done = await complete(page, 'The capital of France is', 8, { stop: '\n' });
    assert.deepEqual([done.text, done.finish_reason], [' Paris.', 'stop']);
  });

  test('an abort is heard within a batch of tokens', async () => {
    const seen = await page.evaluate(async () => {
      const control = new AbortController();
      const answer = model.complete('Once upon a time', { ...greedy, max_tokens: 200, signal: control.signal });
      let pieces = 0;
      for await (const _ of answer) if (++pieces === 2) control.abort();
      const { finish_reason, tokens, timings } = await answer.completion;
      const late = await codeOf(lantern.load('/model.gguf', { signal: control.signal }));
      return { finish_reason, tokens: tokens.length, batch: timings.tokens_per_readback, late };
    });
    assert.equal(seen.finish_reason, 'aborted');
    assert.ok(seen.tokens <= 3 + 2 * seen.batch, `${seen.tokens} tokens`);
    assert.match(seen.late, /^aborted/);
  });

  test('leaving the loop early ends the answer', async () => {
    const tokens = await page.evaluate(async () => {
      const answer = model.complete('Once upon a time', { ...greedy, max_tokens: 200 });
      for await (const _ of answer) break;
      return (await answer.completion).tokens.length;
    });
    assert.ok(tokens < 20, `${tokens} tokens`);
  });

  test('a GPU that is lost in mid-answer is replaced, and the answer goes on where it was', async () => {
    const { greedy: france, text } = reference('france');
    const before = server.fetched.bytes;
    const answer = page.evaluate(
      async ([text, count]) => {
        const answer = model.complete(text, { ...greedy, max_tokens: count, ignore_eos: true });
        const pieces = [];
        for await (const piece of answer) {
          pieces.push(piece);
          globalThis.pieces = pieces.length;
        }
        const { tokens, text: whole } = await answer.completion;
        return { tokens, whole, pieces, notices };
      },
      [text, france.length],
    );
    await page.waitForFunction(() => globalThis.pieces >= 3);
    await inWorker(page, () => devices.at(-1).destroy());
    const seen = await answer;
    assert.deepEqual(seen.tokens, france);
    assert.equal(seen.pieces.join(''), seen.whole);
    assert.equal(seen.notices.length, 1, `${seen.notices}`);
    assert.match(seen.notices[0], /GPU was lost/);
    assert.ok(server.fetched.bytes - before < MEGABYTE, 'the model came from the cache');
    assert.equal(await inWorker(page, () => devices.length), 2);
  });

  test('a saved session gives the same next tokens after a reload', async () => {
    const prompt = 'Three colours of the rainbow are red, green and';
    const wanted = await page.evaluate(async (prompt) => {
      await model.complete(prompt, { ...greedy, max_tokens: 3 }).completion;
      await model.save('rainbow');
      const first = await model.complete(prompt, { ...greedy, max_tokens: 6 }).completion;
      return { tokens: first.tokens, saved: await lantern.sessions.list() };
    }, prompt);
    assert.equal(wanted.saved[0].name, 'rainbow');

    await page.reload();
    await page.evaluate(start);
    const before = server.fetched.bytes;
    await load(page);
    assert.ok(server.fetched.bytes - before < MEGABYTE, 'the model came from the cache');
    assert.equal(await page.evaluate(() => model.restore('unknown')), false);
    assert.equal(await page.evaluate(() => model.restore('rainbow')), true);
    const again = await complete(page, prompt, 6);
    assert.deepEqual(again.tokens, wanted.tokens);
    assert.ok(again.usage.cached_tokens >= again.usage.prompt_tokens - 1, 'nothing was read again');
    await page.evaluate(() => lantern.sessions.remove('rainbow'));
    assert.deepEqual(await page.evaluate(() => lantern.sessions.list()), []);
  });

  test('two tabs answer at once', async () => {
    const other = await browser.page();
    await load(other);
    const { greedy: france, text } = reference('france');
    const both = await Promise.all([complete(page, text, 8), complete(other, text, 8)]);
    for (const { tokens } of both) assert.deepEqual(tokens, france.slice(0, 8));
    await other.close();
  });

  test('files that are no models are refused with a code', async () => {
    const seen = await page.evaluate(async () => {
      const bytes = new Uint8Array(await (await fetch('/reference/formats/Q4_0.gguf')).arrayBuffer());
      const file = (bytes, name = 'x.gguf') => new File([bytes], name);
      const hostile = bytes.slice();
      new DataView(hostile.buffer).setBigUint64(16, 1n << 60n, true); // entries of metadata
      return {
        html: await codeOf(lantern.load(file('<!doctype html><title>Not found</title>'))),
        cut: await codeOf(lantern.load(file(bytes.slice(0, bytes.length >> 1)))),
        head: await codeOf(lantern.load(file(bytes.slice(0, 60)))),
        hostile: await codeOf(lantern.load(file(hostile))),
        nowhere: await codeOf(lantern.load('http://127.0.0.1:9/model.gguf')),
        missing: await codeOf(lantern.load('/reference/none.gguf')),
        context: await codeOf(model.complete('word '.repeat(5000)).completion),
        option: await codeOf(model.complete('x', { temperature: -1 }).completion),
        unloaded: await (async () => {
          const small = await lantern.load(file(bytes));
          await small.unload();
          return codeOf(small.logits([1]));
        })(),
      };
    });
    assert.match(seen.html, /^bad-file: .*web page/);
    assert.match(seen.cut, /^bad-file: .*cut short/);
    assert.match(seen.head, /^bad-file: /);
    assert.match(seen.hostile, /^bad-file: .*claimed/);
    assert.match(seen.nowhere, /^network: .*127\.0\.0\.1/);
    assert.match(seen.missing, /^network: .*404/);
    assert.match(seen.context, /^context-full: /);
    assert.match(seen.option, /^bad-input: temperature/);
    assert.match(seen.unloaded, /^not-found: /);
  });
});
