// Starts a browser that is installed, with a profile of its own that lasts as long as the test: what a page keeps is
// there after a reload and in other tabs. Knows nothing of what the pages do.
// LANTERN_BROWSER says which: `chromium`, with SwiftShader for a GPU, so that it is there on every machine, or `firefox`
// (WebDriver BiDi), with the first GPU that Vulkan has.

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, firefox } from 'playwright-core';

const BROWSERS = {
  chromium: {
    name: 'Chromium',
    type: chromium,
    places: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
    settings: {
      args: [
        '--no-sandbox',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--enable-unsafe-webgpu',
        '--use-webgpu-adapter=swiftshader',
        '--enable-features=Vulkan',
      ],
    },
    program: /Chrome/,
    machine: /software.* · Chrome \d+ on Linux/,
    host: /wasm32, [^|]*Chrome/,
    adapter: /swiftshader/i,
    f16: false,
    tried: 3,
    permissions: ['clipboard-read', 'clipboard-write'],
  },
  firefox: {
    name: 'Firefox',
    type: firefox,
    places: ['/usr/bin/firefox'],
    settings: {
      channel: 'moz-firefox', // as its makers build it
      firefoxUserPrefs: {
        'dom.webgpu.enabled': true,
        'dom.webgpu.workers.enabled': true,
        'gfx.webgpu.ignore-blocklist': true,
        'dom.events.testing.asyncClipboard': true,
      },
    },
    program: /Firefox/,
    machine: / · Firefox \d+ on Linux/,
    host: /wasm32, [^|]*Firefox/,
    adapter: /unnamed GPU/, // it says nothing of it
    f16: true,
    tried: 0, // some take longer than the time for all
    permissions: [],
  },
};

const wanted = process.env.LANTERN_BROWSER ?? 'chromium';
if (!Object.hasOwn(BROWSERS, wanted)) {
  throw new Error(`LANTERN_BROWSER: there is no ${wanted}, but ${Object.keys(BROWSERS).join(', ')}`);
}

/**
 * The browser that the tests run in: its `name`, what it, its GPU and both together are called, what that GPU has, how
 * many kernels are tried on it at least, and permissions for the clipboard.
 */
export const BROWSER = BROWSERS[wanted];

/** The browser's program: LANTERN_CHROMIUM or LANTERN_FIREFOX, or where systems put it. */
export function program() {
  const variable = `LANTERN_${wanted.toUpperCase()}`;
  const found = process.env[variable] ?? BROWSER.places.find((path) => existsSync(path));
  if (!found)
    throw new Error(`no ${BROWSER.name}; install one (Debian: apt install ${wanted}), or name it in ${variable}`);
  return found;
}

/**
 * A browser with one page. `args` are more flags, `onConsole` takes what pages print, `options` go to playwright.
 * `close` ends it and removes the profile.
 */
export async function open({ args = [], onConsole = () => {}, options = {} } = {}) {
  const profile = await mkdtemp(join(tmpdir(), `lantern-${wanted}-`));
  const clean = () => rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  try {
    const { type, settings } = BROWSER;
    const flags = [...(settings.args ?? []), ...args];
    const launched = { ...settings, executablePath: program(), headless: true, args: flags, ...options };
    const context = await type.launchPersistentContext(profile, launched);
    context.on('console', (message) => onConsole(message.text()));
    const page = context.pages()[0] ?? (await context.newPage());
    const close = async () => {
      await context.close();
      await clean();
    };
    return { context, page, close };
  } catch (error) {
    await clean();
    throw error;
  }
}
