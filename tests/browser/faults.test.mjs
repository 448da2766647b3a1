// A driver that computes wrong, played by kernels that compute nothing: the engine notices while it loads, says so, and
// answers as though nothing were wrong.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSER } from './support/browser.mjs';
import { engines, origin, reference } from './support/engine.mjs';

describe(`broken kernels in ${BROWSER.name}`, { timeout: 600_000 }, () => {
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

  /** The notices of a load with `faults`, and `count` greedy tokens after `text`. */
  const answer = (faults, text, count) =>
    page.evaluate(
      async ([faults, text, count]) => {
        const { Lantern } = await import('/lantern/index.js');
        const notices = [];
        const broken = await Lantern.create({ faults, onNotice: (notice) => notices.push(notice) });
        const model = await broken.load('/model.gguf', { context: 256 });
        const loaded = notices.length;
        const options = { ...globalThis.greedy, max_tokens: count, ignore_eos: true };
        const { tokens } = await model.complete(text, options).completion;
        broken.close();
        return { notices, loaded, tokens };
      },
      [faults, text, count],
    );

  test('a variant that computes wrong is named with its replacement, and tokens are the same', async () => {
    const { greedy, text } = reference('france');
    const seen = await answer(['matvec.lanes4'], text, greedy.length);
    const named = seen.notices.filter((notice) => notice.startsWith('matvec.lanes4 computes wrong'));
    assert.ok(named.length > 0, `${seen.notices}`);
    for (const notice of named) assert.match(notice, /: matvec\.rows\w+ is used instead/);
    assert.equal(seen.loaded, seen.notices.length, 'all of it was said while the model loaded');
    assert.deepEqual(seen.tokens, greedy);
  });

  test('where nothing is broken, nothing is said', async () => {
    const { greedy, text } = reference('france');
    const { notices, tokens } = await answer([], text, 4);
    assert.deepEqual(notices, []);
    assert.deepEqual(tokens, greedy.slice(0, 4));
  });
});
