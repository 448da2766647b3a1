// Families and stored types in Chromium: the logits of the references, by the same crates and kernels as natively.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { REFERENCES, engines, nmse, origin } from './support/engine.mjs';

/** Those whose blocks differ most, and types that are packed in different ways: every one is tested natively. */
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

describe('families and formats in Chromium', { timeout: 600_000 }, () => {
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
    test(`${file} has the logits of its reference`, async () => {
      const { tokens } = JSON.parse(readFileSync(join(REFERENCES, `${file}.json`), 'utf8'));
      const bytes = readFileSync(join(REFERENCES, `${file}.f32`));
      const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      const expected = all.slice(-all.length / tokens.length); // after the last token
      const logits = await page.evaluate(
        async ([url, tokens]) => {
          const model = await lantern.load(url, { precision: 'exact', tune: false, cache: false });
          const logits = await model.logits(tokens);
          await model.unload();
          return [...logits];
        },
        [`/reference/${file}.gguf`, tokens],
      );
      const error = nmse(logits, expected);
      assert.ok(error <= 1e-6, `NMSE ${error.toExponential(2)}`);
      assert.equal(logits.indexOf(Math.max(...logits)), expected.indexOf(Math.max(...expected)));
    });
  }
});
