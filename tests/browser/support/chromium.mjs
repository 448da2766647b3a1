// Starts the Chromium that is installed, with a profile of its own that lasts as long as the test: what a page keeps is
// there after a reload and in other tabs. WebGPU is SwiftShader's, so that it is there on every machine. Knows nothing
// of what the pages do.

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];

/** The browser's program: LANTERN_CHROMIUM, or where systems put it. */
export function program() {
  const found = process.env.LANTERN_CHROMIUM ?? PLACES.find((path) => existsSync(path));
  if (!found)
    throw new Error('no Chromium; install one (Debian: apt install chromium), or name it in LANTERN_CHROMIUM');
  return found;
}

/**
 * A browser with one page. `args` are more flags, `onConsole` takes what pages print, `options` go to playwright.
 * `close` ends it and removes the profile.
 */
export async function open({ args = [], onConsole = () => {}, options = {} } = {}) {
  const profile = await mkdtemp(join(tmpdir(), 'lantern-chromium-'));
  const clean = () => rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  try {
    const settings = { executablePath: program(), headless: true, args: [...FLAGS, ...args], ...options };
    const context = await chromium.launchPersistentContext(profile, settings);
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
