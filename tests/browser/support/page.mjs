// Helpers for tests of the chat page: the page assembled with a mock in place of the engine, a browser, and
// pages that fail their test when anything complains.

import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assemble } from '../../../wasm/assemble.mjs';
import { serve } from '../../../wasm/serve.mjs';
import { BROWSER, open } from './browser.mjs';

export const SHOTS = fileURLToPath(new URL('../../../target/web/screenshots/', import.meta.url));
export const MOCK = fileURLToPath(new URL('./mock-lantern.js', import.meta.url));

export let browser, folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lantern-page-'));
  await mkdir(join(folder, 'package'));
  await cp(MOCK, join(folder, 'package', 'index.js'));
  await assemble({ out: join(folder, 'page'), pkg: join(folder, 'package') });
  await mkdir(SHOTS, { recursive: true });
  browser = await open();
});

after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A test with a page at an origin of its own. Anything in the console, any violation or foreign request fails it. */
export function pageTest(name, { mock = {}, width = 1100, height = 800, expected = [], start = true } = {}, body) {
  test(name, { timeout: 60000 }, async () => {
    const server = await serve({ root: join(folder, 'page') });
    const page = await browser.context.newPage();
    const trouble = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) trouble.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => trouble.push(`thrown: ${error.stack}`));
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(server.url) && !/^(data|blob):/.test(url)) trouble.push(`request: ${url}`);
    });
    await page.exposeFunction('violated', (what) => trouble.push(`violation: ${what}`));
    await page.addInitScript(watchWords);
    await page.addInitScript((given) => {
      globalThis.mock = given;
      addEventListener('securitypolicyviolation', (event) => globalThis.violated(event.violatedDirective));
    }, mock);
    await page.setViewportSize({ width, height });
    page.setDefaultTimeout(10000);
    try {
      await page.goto(`${server.url}/`);
      if (start) await load(page);
      await body(page, server);
      assert.deepEqual(
        trouble.filter((line) => !expected.some((pattern) => pattern.test(line))),
        [],
      );
    } finally {
      await browser.context.setOffline(false);
      await page.close();
      await server.close();
    }
  });
}

/** Reports every text of the page's own that is a value of the program's: what people write and models answer is theirs. */
function watchWords() {
  const wrong = /\b(undefined|NaN)\b|\[object |(^|\s)null(\s|$)/;
  const check = (node) => {
    const element = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement;
    if (!element || element.closest('script, style, .message .body, #conversations')) return;
    const texts =
      node === element ? ['aria-label', 'title', 'placeholder'].map((name) => element.getAttribute(name)) : [node.data];
    for (const text of texts) if (wrong.test(text ?? '')) globalThis.violated(`shows “${text}”`);
    for (const child of node.childNodes) check(child);
  };
  const watch = {
    childList: true,
    characterData: true,
    subtree: true,
    attributeFilter: ['aria-label', 'title', 'placeholder'],
  };
  new MutationObserver((changes) => {
    for (const { target, type, addedNodes } of changes) {
      for (const node of type === 'childList' ? addedNodes : [target]) check(node);
    }
  }).observe(document, watch);
}

/** Loads the default model, as a first visit does. */
export async function load(page) {
  await page.getByRole('button', { name: 'Load SmolLM2-135M-Instruct' }).click();
  await page.getByText('What shall we talk about?').waitFor();
}

/** Sends a message and waits until its answer is complete. */
export async function say(page, text) {
  const answers = await page.locator('.stats').count();
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
  await page.locator('.stats').nth(answers).waitFor();
}

export const calls = (page, kind) => page.evaluate((wanted) => mock.calls.filter(([name]) => name === wanted), kind);
export const set = (page, values) => page.evaluate((given) => Object.assign(mock, given), values);
export const texts = (page) => page.locator('.message .body').allInnerTexts();
/** A screenshot, in Chromium only: by WebDriver BiDi, taking it puts a style into the page, which the page forbids. */
export async function shot(page, name, options = {}) {
  if (BROWSER.name === 'Chromium') await page.screenshot({ path: join(SHOTS, `${name}.png`), ...options });
}

/** Markdown with a bit of everything. */
export const RICH = [
  '# Title',
  'A *line* with `code`.',
  '```python\nprint("hi")\n```',
  '| a | b |\n|---|--:|\n| 1 | 2 |',
  '1. one\n2. two',
  'See [ref].',
  '<think',
  '[ref]: https://example.org/',
].join('\n\n');
