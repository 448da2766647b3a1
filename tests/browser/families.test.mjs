// Families and stored types in Chromium: the logits and greedy tokens of the references, by the same crates and kernels as natively.

import { after, before, describe, test } from 'node:test';
import { BROWSER } from './support/browser.mjs';
import { engines, origin } from './support/engine.mjs';
import { MIXERS, holds, ran } from './support/families.mjs';

/** Families whose blocks differ most, one with each mixer, and types that are packed in different ways: every one is tested natively. */
const FILES = [
  'families/gemma3',
  'families/gpt2',
  'families/granite',
  'families/mixtral',
  'families/olmo2',
  'families/phi3',
  'families/smollm3',
  ...MIXERS,
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
      await holds(file, (...wanted) =>
        page.evaluate(
          ([run, ...given]) => (0, eval)(`(${run})`)(lantern, ...given),
          [String(ran), `/reference/${file}.gguf`, ...wanted],
        ),
      );
    });
  }
});
