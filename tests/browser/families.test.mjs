// Families and stored types in Chromium: the logits and greedy tokens of the references, by the same crates and kernels as natively.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BROWSER } from './support/browser.mjs';
import { REFERENCES, engines, nmse, origin } from './support/engine.mjs';

/** Families whose blocks differ most, and types that are packed in different ways: every one is tested natively. */
const FILES = [
  'families/gemma3',
  'families/gpt2',
  'families/granite',
  'families/mixtral',
  'families/olmo2',
  'families/phi3',
  'families/smollm3',
  'formats/BF16',
  'formats/IQ3_S',
  'formats/MXFP4',
  'formats/Q4_K',
  'formats/Q6_K',
  'formats/TQ1_0',
];

describe(`families and formats in ${BROWSER.name}`, { timeout: 600_000 }, () => {
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

  for (const file of FILES) {
    test(`${file} has the logits and the greedy tokens of its reference`, async () => {
      const { tokens, greedy, margin } = JSON.parse(readFileSync(join(REFERENCES, `${file}.json`), 'utf8'));
      const bytes = readFileSync(join(REFERENCES, `${file}.f32`));
      const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      const expected = all.slice(-all.length / tokens.length); // after the last token
      const { logits, sampled } = await page.evaluate(
        async ([url, tokens, max_tokens]) => {
          const model = await lantern.load(url, { precision: 'exact', tune: false, cache: false });
          const logits = await model.logits(tokens);
          const answer = model.complete(tokens, { temperature: 0, max_tokens, ignore_eos: true });
          const { tokens: sampled } = await answer.completion;
          await model.unload();
          return { logits: [...logits], sampled };
        },
        [`/reference/${file}.gguf`, tokens, greedy.length],
      );
      const error = nmse(logits, expected);
      assert.ok(error <= 1e-6, `NMSE ${error.toExponential(2)}`);
      const unsure = margin.findIndex((least) => least < 1e-3); // from there on the reference may go either way
      const sure = unsure < 0 ? greedy.length : unsure;
      assert.deepEqual(sampled.slice(0, sure), greedy.slice(0, sure));
      assert.equal(sampled.length, greedy.length);
    });
  }
});
