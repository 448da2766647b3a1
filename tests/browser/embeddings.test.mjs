// Embeddings and scores in Chromium: those of the references, by the same crates and kernels as natively.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BROWSER } from './support/browser.mjs';
import { REFERENCES, engines, nmse, origin } from './support/engine.mjs';

const EMBEDDING = 'families-2026/qwen3-embedding';
const RANK = 'families-2026/qwen3-rank';

const tokensOf = (file) => JSON.parse(readFileSync(join(REFERENCES, `${file}.json`), 'utf8')).tokens;
const floats = (file) => {
  const bytes = readFileSync(join(REFERENCES, file));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

describe(`embeddings in ${BROWSER.name}`, { timeout: 600_000 }, () => {
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

  test('texts have the vectors of the reference, and a length of 1 unless asked otherwise', async () => {
    const tokens = tokensOf(EMBEDDING);
    const found = await page.evaluate(
      async ([url, tokens]) => {
        const model = await lantern.load(url, { precision: 'exact', tune: false, cache: false });
        const progress = [];
        const onProgress = ({ done, total }) => progress.push(done / total);
        const raw = await model.embed([tokens.slice(0, 5), tokens], { normalize: false, onProgress });
        const rows = await model.embed([tokens], { pooling: 'none', normalize: false });
        const unit = await model.embed([tokens], { dimensions: 8 });
        const refused = await model.rerank('', [tokens]).catch((error) => `${error.code}: ${error.message}`);
        await model.unload();
        const plain = ({ embedding }) => (Array.isArray(embedding) ? embedding.map((row) => [...row]) : [...embedding]);
        return {
          pooling: raw.pooling,
          counts: raw.data.map(({ tokens }) => tokens),
          raw: plain(raw.data[1]),
          rows: plain(rows.data[0]),
          unit: plain(unit.data[0]),
          progress,
          refused,
        };
      },
      [`/reference/${EMBEDDING}.gguf`, tokens],
    );
    assert.equal(found.pooling, 'last');
    assert.deepEqual(found.counts, [5, tokens.length]);
    assert.ok(nmse(found.raw, floats(`${EMBEDDING}.last.f32`)) <= 1e-9);
    assert.equal(found.rows.length, tokens.length);
    assert.ok(nmse(found.rows.flat(), floats(`${EMBEDDING}.none.f32`)) <= 1e-9);
    assert.equal(found.unit.length, 8);
    assert.ok(Math.abs(found.unit.reduce((sum, v) => sum + v * v, 0) - 1) < 1e-5);
    assert.equal(found.progress.at(-1), 1);
    assert.match(found.refused, /^unsupported: .*no classifier/);
  });

  test('texts have the scores of the reference, the best first', async () => {
    const tokens = tokensOf(RANK);
    const { data } = await page.evaluate(
      async ([url, tokens]) => {
        const model = await lantern.load(url, { precision: 'exact', tune: false, cache: false });
        const ranking = await model.rerank('', [tokens.slice(3), tokens, tokens.slice(0, 4)]);
        await model.unload();
        return ranking;
      },
      [`/reference/${RANK}.gguf`, tokens],
    );
    const firsts = data.map(({ scores }) => scores[0]);
    assert.deepEqual(
      firsts,
      firsts.toSorted((a, b) => b - a),
    );
    const own = data.find(({ index }) => index === 1);
    assert.ok(nmse(own.scores, floats(`${RANK}.rank.f32`)) <= 1e-9);
  });
});
