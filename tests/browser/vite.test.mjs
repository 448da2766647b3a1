// The package as a web developer with a bundler has it: installed under node_modules, served and built by Vite, in a real
// browser.

import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { build, createServer } from 'vite';
import { serve } from '../../wasm/serve.mjs';
import { open } from './support/browser.mjs';
import { PACKAGE, REFERENCES } from './support/engine.mjs';

const MAIN = `
import { Lantern } from 'lantern-wasm';
const engine = await Lantern.create();
const model = await engine.load(new URLSearchParams(location.search).get('model'), { context: 64 });
globalThis.logits = await model.logits([1, 2, 3]);
`;

describe('with Vite', { timeout: 180_000 }, () => {
  let root, models, browser;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'lantern-vite-'));
    await mkdir(join(root, 'node_modules'));
    await cp(PACKAGE, join(root, 'node_modules/lantern-wasm'), { recursive: true });
    await writeFile(join(root, 'main.js'), MAIN);
    await writeFile(join(root, 'index.html'), '<!doctype html><script type="module" src="/main.js"></script>');
    models = await serve({ root: REFERENCES });
    browser = await open();
  });
  after(async () => {
    await browser?.close();
    await models?.close();
    if (root) await rm(root, { recursive: true, force: true });
  });

  // Vite's options as the package's README has them: none to build it, one line more to serve it in development.
  const options = () => ({ root, logLevel: 'error', configFile: false });

  /** Opens the page at `url`, and waits until the engine in it has answered. */
  async function answers(url) {
    const page = await browser.context.newPage();
    const trouble = [];
    page.on('pageerror', (error) => trouble.push(error.stack));
    await page.goto(`${url}/index.html?model=${models.url}/formats/Q4_1.gguf`);
    await page.waitForFunction(() => globalThis.logits?.length > 0, undefined, { timeout: 60_000 });
    await page.close();
    assert.deepEqual(trouble, []);
  }

  test('the development server has the package, worker and wasm included', async () => {
    const server = await createServer({
      ...options(),
      optimizeDeps: { exclude: ['lantern-wasm'] },
      server: { port: 0 },
    });
    try {
      await server.listen();
      await answers(server.resolvedUrls.local[0].replace(/\/$/, ''));
    } finally {
      await server.close();
    }
  });

  test('a build has it', async () => {
    await build({ ...options(), build: { target: 'es2022' } });
    const server = await serve({ root: join(root, 'dist') });
    try {
      await answers(server.url);
    } finally {
      await server.close();
    }
  });
});
