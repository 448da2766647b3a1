// The page with the real engine, as a visitor has it: the first visit over HTTP, an answer, and the next visit with no
// server at all.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assemble } from '../../wasm/assemble.mjs';
import { serve } from '../../wasm/serve.mjs';
import { BROWSER, open } from './support/browser.mjs';
import { PACKAGE, defaultModel } from './support/engine.mjs';
import { SHOTS, shot } from './support/page.mjs';

const SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';

describe(`the page with its engine in ${BROWSER.name}`, { timeout: 300_000 }, () => {
  let folder, server, browser, page;
  const trouble = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lantern-offline-'));
    const out = join(folder, 'page');
    await assemble({ out, pkg: PACKAGE });
    const model = { name: 'SmolLM2-135M-Instruct', url: 'model.gguf', sha256: SHA256 };
    await writeFile(join(out, 'models.json'), JSON.stringify({ default: model }));
    server = await serve({ root: out, mounts: { '/model.gguf': defaultModel() } });
    await mkdir(SHOTS, { recursive: true });
    browser = await open();
    page = browser.page;
    page.setDefaultTimeout(120_000);
    page.on('pageerror', (error) => trouble.push(error.stack));
    await page.exposeFunction('violated', (what) => trouble.push(`violation: ${what}`));
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => globalThis.violated(event.violatedDirective));
    });
    await page.setViewportSize({ width: 1100, height: 800 });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Asks, and waits for the whole answer. */
  async function ask(text) {
    const answers = await page.locator('.stats').count();
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.keyboard.press('Enter');
    await page.locator('.stats').nth(answers).waitFor();
    return (await page.locator('.message .body').allInnerTexts()).at(-1);
  }

  test('a first visit loads the model, checks it and answers', async () => {
    await page.goto(`${server.url}/`);
    await page.getByRole('button', { name: 'Load SmolLM2-135M-Instruct' }).click();
    await page.getByText('What shall we talk about?').waitFor();
    assert.match(await page.locator('#adapter').innerText(), BROWSER.adapter);
    await page.getByRole('button', { name: 'Settings' }).click();
    // Typed, since Firefox takes what playwright fills in for no change of a person's.
    await page.getByLabel('Temperature').pressSequentially('0');
    await page.getByLabel(/Longest answer|max/i).pressSequentially('24');
    await page.keyboard.press('Escape');
    await page.getByLabel('Temperature').waitFor({ state: 'hidden' });
    assert.match(await ask('What is the capital of France?'), /Paris/);
    assert.match(await page.locator('.stats').last().innerText(), /tokens\/s/);
    await shot(page, 'engine');
  });

  test('the next visit answers without a server', async () => {
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await browser.context.setOffline(true);
    await server.close();
    await page.reload();
    await page.getByText('What is the capital of France?').first().waitFor(); // the conversation is still there
    await page.waitForFunction(() => document.querySelector('#model-name').textContent.includes('SmolLM2'));
    assert.match(await ask('And the capital of Italy?'), /Rome/);
    assert.deepEqual(trouble, []);
  });
});
