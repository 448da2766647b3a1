// The package as a web developer with a bundler has it: installed under node_modules, built by Vite, in a real browser.

import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from 'vite';
import { serve } from '../../wasm/serve.mjs';
import { open } from './support/chromium.mjs';
import { PACKAGE, REFERENCES } from './support/engine.mjs';

const MAIN = `
import { Lantern } from 'lantern-wasm';
const engine = await Lantern.create();
const model = await engine.load('/reference/formats/Q4_1.gguf', { context: 64 });
globalThis.logits = await model.logits([1, 2, 3]);
`;

test('Vite builds the package, worker and wasm included', { timeout: 180_000 }, async () => {
  const root = await mkdtemp(join(tmpdir(), 'lantern-vite-'));
  await mkdir(join(root, 'node_modules'));
  await cp(PACKAGE, join(root, 'node_modules/lantern-wasm'), { recursive: true });
  await writeFile(join(root, 'main.js'), MAIN);
  await writeFile(join(root, 'index.html'), '<!doctype html><script type="module" src="/main.js"></script>');
  const options = { root, logLevel: 'error', build: { target: 'es2022' }, worker: { format: 'es' } };
  await build({ ...options, configFile: false });
  const server = await serve({ root: join(root, 'dist'), mounts: { '/reference': REFERENCES } });
  const browser = await open();
  try {
    const trouble = [];
    browser.page.on('pageerror', (error) => trouble.push(error.stack));
    await browser.page.goto(`${server.url}/index.html`);
    await browser.page.waitForFunction(() => globalThis.logits?.length > 0, undefined, { timeout: 60_000 });
    assert.deepEqual(trouble, []);
  } finally {
    await browser.close();
    await server.close();
    await rm(root, { recursive: true, force: true });
  }
});
