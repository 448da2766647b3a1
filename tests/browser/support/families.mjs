// Families with every mixer that there is, and what holds a run of one against its reference. No test.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REFERENCES, nmse } from './engine.mjs';

/** A family with each mixer beside plain attention. */
export const MIXERS = [
  'families-2026/granitehybrid', // Mamba 2
  'families-2026/jamba', // Mamba 1, experts
  'families-2026/kimi-linear', // delta nets that decay by channel, latent attention
  'families-2026/lfm2', // short convolutions
  'families-2026/qwen35', // gated delta nets
  'families-2026/rwkv7',
];

/** Holds what `run(tokens, count)` resolves to, logits after the last token and so many greedy ones, against a reference. */
export async function holds(file, run) {
  const { tokens, greedy, margin } = JSON.parse(readFileSync(join(REFERENCES, `${file}.json`), 'utf8'));
  const bytes = readFileSync(join(REFERENCES, `${file}.f32`));
  const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const expected = all.slice(-all.length / tokens.length); // after the last token
  const { logits, sampled } = await run(tokens, greedy.length);
  const error = nmse(logits, expected);
  assert.ok(error <= 1e-6, `NMSE ${error.toExponential(2)}`);
  const unsure = margin.findIndex((least) => least < 1e-3); // from there on the reference may go either way
  const sure = unsure < 0 ? greedy.length : unsure;
  assert.deepEqual(sampled.slice(0, sure), greedy.slice(0, sure));
  assert.equal(sampled.length, greedy.length);
}

/** Logits after `tokens`, and so many greedy tokens, of the model of a URL or file. Also what a page runs. */
export async function ran(lantern, source, tokens, max_tokens) {
  const model = await lantern.load(source, { precision: 'exact', tune: false, cache: false });
  const logits = await model.logits(tokens);
  const answer = model.complete(tokens, { temperature: 0, max_tokens, ignore_eos: true });
  const { tokens: sampled } = await answer.completion;
  await model.unload();
  return { logits: [...logits], sampled };
}
