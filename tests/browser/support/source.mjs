// Helpers for browser tests of the source layer: a server, a browser, pages with the worker, files to load.

import assert from 'node:assert/strict';
import { open } from './browser.mjs';
import { MIB, fakeModel, sha256, startOrigin } from './origin.mjs';
import { compile } from './package.mjs';

/** Bytes of a file: four chunks and a half. */
export const SIZE = 9 * MIB;
/** Bytes of the request that asks what a server has. */
export const PROBE = 4;

export async function startSource() {
  compile(/^api\/(source|types|errors)/);
  const origin = await startOrigin();
  const browser = await open();
  let seed = 1;
  return {
    origin,
    openTab: (t) => openTab(t, browser, origin),
    /** A file on the server; the same name again replaces it. */
    async putModel(name, size = SIZE) {
      const bytes = fakeModel(size, (seed += 1));
      const path = await origin.put(name, bytes);
      return {
        path,
        url: origin.url + path,
        bytes,
        sum: sha256(bytes),
        rule: (rule) => (origin.rules[path] = rule),
      };
    },
    async close() {
      await browser.close();
      await origin.close();
    },
  };
}

/** A page with a worker. `ask` calls one of its functions, `get` evaluates there, `load` loads the page again. */
async function openTab(t, browser, origin) {
  const page = await browser.context.newPage();
  t.after(() => page.close());
  const tab = {
    async load() {
      await page.goto(`${origin.url}/`);
      await page.evaluate('ready');
      tab.worker = page.workers()[0];
    },
    ask: (name, ...args) => tab.worker.evaluate(([what, list]) => lantern[what](...list), [name, args]),
    get: (expression) => tab.worker.evaluate(expression),
    entry: async (url) => (await tab.get('lantern.cache.list()')).find((entry) => entry.url === url),
  };
  await tab.load();
  return tab;
}

export async function until(what, condition) {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`waited too long for ${what}`);
}
