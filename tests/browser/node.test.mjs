// The package under Node, on Dawn without a browser, and under Deno: the same tokens, and logits close to the references. And the package
// as npm would publish it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { HOST, fileAsBlob } from './support/dawn.mjs';
import { PACKAGE, REFERENCES, defaultModel, logitsOf, nmse, reference } from './support/engine.mjs';
import { MIXERS, holds, ran } from './support/families.mjs';
import { MIB, fakeModel, startOrigin } from './support/origin.mjs';

/** Bytes of wasm and JavaScript together, compressed, that a visitor may have to wait for. */
const BUDGET = 2 << 20;

describe('the package', () => {
  test('is small', () => {
    const files = readdirSync(PACKAGE, { recursive: true }).filter((file) => /\.(js|wasm)$/.test(file));
    const sizes = files.map((file) => gzipSync(readFileSync(join(PACKAGE, file)), { level: 9 }).length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    console.log(`wasm and JavaScript: ${total} bytes compressed`);
    assert.ok(files.length > 5 && total <= BUDGET, `${total} bytes`);
  });

  test('is packed by npm with its types, and names no other package', () => {
    const listed = execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: PACKAGE, encoding: 'utf8' });
    const [{ files, name }] = JSON.parse(listed);
    const paths = files.map(({ path }) => path);
    assert.equal(name, 'lantern-wasm');
    for (const path of [
      'index.js',
      'index.d.ts',
      'worker.js',
      'engine/lantern_wasm_bg.wasm',
      'README.md',
      'LICENSE-MIT',
    ]) {
      assert.ok(paths.includes(path), path);
    }
    const { dependencies = {} } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
    assert.deepEqual(dependencies, {});
  });
});

describe(`the engine under ${HOST.name}`, { timeout: 300_000 }, () => {
  let lantern, model;

  before(async () => {
    const { Lantern } = await import(join(PACKAGE, 'index.js'));
    lantern = await Lantern.create();
    model = await lantern.load(await fileAsBlob(defaultModel()), { context: 256 });
  });
  after(() => lantern?.close());

  test('the adapter is the one that was asked for', () => {
    const { name, features } = lantern.adapter;
    assert.match(name, HOST.adapter);
    const { shader_f16, subgroups } = features;
    assert.deepEqual({ shader_f16, subgroups }, { shader_f16: HOST.f16, subgroups: HOST.subgroups });
  });

  test('greedy tokens are those of the reference', async () => {
    const { text, greedy } = reference('france');
    const options = { temperature: 0, top_k: 0, top_p: 1, min_p: 0, max_tokens: 16 };
    const { tokens, usage } = await model.complete(text, options).completion;
    assert.deepEqual(tokens, greedy.slice(0, 16));
    assert.deepEqual(usage, { prompt_tokens: 5, completion_tokens: 16, total_tokens: 21, cached_tokens: 0 });
  });

  test('logits are within 1e-4 of the references', async () => {
    for (const name of ['france', 'code', 'unicode']) {
      const error = nmse(await model.logits(reference(name).tokens), logitsOf(name));
      console.log(`${name}: NMSE ${error.toExponential(2)}`);
      assert.ok(error <= 1e-4, `${name}: ${error}`);
    }
  });

  for (const file of MIXERS) {
    test(`${file} has the logits and the greedy tokens of its reference`, async () => {
      const path = join(REFERENCES, `${file}.gguf`);
      await holds(file, async (...wanted) => ran(lantern, await fileAsBlob(path), ...wanted));
    });
  }

  test('perplexity is that of the reference, tokens and text go both ways', async () => {
    const { text, tokens, nll_sum, nll_count } = reference('code');
    assert.deepEqual(await model.tokenize(text), tokens);
    assert.equal(await model.detokenize(tokens), text);
    const found = await model.perplexity(text);
    assert.equal(found.count, nll_count);
    assert.ok(Math.abs(found.nll_sum / nll_sum - 1) < 1e-3, `${found.nll_sum}, not ${nll_sum}`);
  });

  test('sessions cannot be saved where there is no storage, and that is said', async () => {
    await assert.rejects(model.save('x'), { code: 'unsupported', name: 'LanternError' });
  });

  test('a repository of split models stands for all parts of the one that the engine prefers', async (t) => {
    const origin = await startOrigin();
    t.after(() => origin.close());
    const parts = (kind) => [1, 2].map((part) => `m-${kind}-0000${part}-of-00002.gguf`);
    const siblings = [...parts('F16'), ...parts('Q4_K_M')].map((rfilename) => ({ rfilename }));
    origin.rules['/api/models/o/r'] = { body: JSON.stringify({ siblings }) };
    const put = (name) => origin.put(`o/r/resolve/main/${name}`, fakeModel(MIB));
    const paths = await Promise.all(parts('Q4_K_M').map(put));
    const { Lantern } = await import(join(PACKAGE, 'index.js'));
    const other = await Lantern.create({ hub: origin.url });
    t.after(() => other.close());
    // Both are opened, and then found to be of a GGUF version that there is none of.
    await assert.rejects(other.load('hf:o/r'), { code: 'unsupported', message: /version/ });
    for (const path of paths) assert.ok(origin.of(path).length > 0, path);
  });
});
