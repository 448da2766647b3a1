// The chat page in Chromium, with a mock in place of the engine: hostile answers, browsers without WebGPU,
// keyboards, no network, new versions, phones, colours. Screenshots go to target/web/screenshots. What a user does
// is in page.test.mjs.

import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { assemble } from '../../wasm/assemble.mjs';
import { serve } from '../../wasm/serve.mjs';
import { MOCK, RICH, browser, folder, pageTest, say, shot, texts } from './support/page.mjs';

const EVIL = `Hello <b>there</b>
<script>globalThis.hit = 1</script>
<img src=x onerror="globalThis.hit = 2">

<img src="https://evil.example/pixel.png">

![tracker](https://evil.example/track.png) ![same](/secret.png) ![inline](data:image/gif;base64,R0lGODlhAQABAAAAACw=)

[click](javascript:globalThis.hit=3) [data](data:text/html,<script>1</script>) [fine](https://example.org/)

<style>body { display: none }</style>
<b style="position: fixed" onclick="globalThis.hit=4" id="prompt">x</b>
<iframe src="https://evil.example/"></iframe><svg onload="globalThis.hit=5"></svg>
<form action="https://evil.example/"><input name="q"></form><link rel="stylesheet" href="https://evil.example/a.css">

- [ ] task

\`\`\`html" onmouseover="globalThis.hit=6
<script>globalThis.hit = 7</script>
\`\`\``;

pageTest(
  'what a model writes cannot run, fetch, style or pose as the page',
  { mock: { answer: EVIL, piece: 17 } },
  async (page) => {
    await say(page, 'Be evil.');
    // The dangerous links are there as text, and have nowhere to go.
    await page.getByText('click', { exact: false }).first().click();
    await page.waitForTimeout(200);
    const found = await page.evaluate(() => ({
      hit: globalThis.hit,
      tags: [...document.querySelectorAll('.markdown *')].map((node) => node.localName),
      attributes: [...document.querySelectorAll('.markdown *')].flatMap((node) => node.getAttributeNames()),
      links: [...document.querySelectorAll('.markdown a[href]')].map((a) => [a.href, a.target, a.rel]),
      images: [...document.querySelectorAll('.markdown img')].map((image) => image.getAttribute('src').slice(0, 11)),
      shown: getComputedStyle(document.body).display,
      prompts: document.querySelectorAll('#prompt').length,
    }));
    assert.equal(found.hit, undefined);
    for (const tag of ['script', 'style', 'iframe', 'form', 'link']) assert.ok(!found.tags.includes(tag), tag);
    assert.deepEqual(
      found.attributes.filter((name) => /^on|^style$|^id$|^name$|^srcset$/.test(name)),
      [],
    );
    assert.deepEqual(found.links, [['https://example.org/', '_blank', 'noopener noreferrer']]);
    assert.deepEqual(found.images, ['data:image/']);
    assert.equal(found.shown, 'block');
    assert.equal(found.prompts, 1);
    await page.locator('.markdown', { hasText: '[image: tracker]' }).waitFor();
    // A page of HTML is still readable, as code.
    await page.locator('.markdown', { hasText: '<style>body { display: none }</style>' }).waitFor();
  },
);

pageTest(
  'follows the answer, but lets somebody read above',
  { mock: { answer: 'line\n\n'.repeat(120), delay: 10 }, height: 500 },
  async (page) => {
    const below = () => page.locator('#scroller').evaluate((s) => s.scrollHeight - s.scrollTop - s.clientHeight);
    await page.locator('#prompt').fill('Go');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('.markdown p').length > 30);
    assert.ok((await below()) < 4);
    await page.locator('#scroller').hover();
    await page.mouse.wheel(0, -60);
    await page.waitForTimeout(150);
    const top = await page.locator('#scroller').evaluate((s) => s.scrollTop);
    await page.waitForTimeout(300);
    assert.equal(await page.locator('#scroller').evaluate((s) => s.scrollTop), top);
    await page.getByRole('button', { name: 'Latest' }).click();
    await page.locator('.stats').waitFor();
    assert.ok((await below()) < 4);
  },
);

for (const [code, words] of [
  ['no-webgpu', 'This browser has no WebGPU.'],
  ['no-adapter', 'no GPU that it may use'],
]) {
  pageTest(
    `${code}: says which browser and setting would do`,
    { mock: { create: code }, start: false },
    async (page) => {
      await page.getByText(words).waitFor();
      await page.getByText(/You use Chrome on Linux: enable chrome:\/\/flags\/#enable-unsafe-webgpu/).waitFor();
      for (const browserName of ['Firefox', 'Safari'])
        await page.locator('.welcome li', { hasText: browserName }).waitFor();
      assert.ok(await page.locator('#prompt').isDisabled());
      await shot(page, code);
    },
  );
}

pageTest('is used by keyboard alone', { mock: { answer: 'word '.repeat(400) }, start: false }, async (page) => {
  await page.getByText('Mock Adapter').waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'skip');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'prompt');
  // Sending without a model asks for one, and loses nothing.
  await page.keyboard.type('one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  await page.keyboard.press('Enter');
  await page.locator('#models-dialog[open]').waitFor();
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press('Tab');
    const outside = await page.evaluate(
      () => document.activeElement !== document.body && !document.activeElement.closest('dialog'),
    );
    assert.ok(!outside, 'the focus stays in the dialog');
  }
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Load SmolLM2' }).press('Enter');
  await page.getByText('What shall we talk about?').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'prompt');
  assert.equal(await page.locator('#prompt').inputValue(), 'one\ntwo');
  await page.keyboard.press('Enter');
  await page.locator('.growing .markdown', { hasText: 'word' }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.stats', { hasText: 'stopped' }).waitFor();
  assert.equal((await texts(page))[0], 'one\ntwo');
});

pageTest('works offline after the first visit', { expected: [/ERR_INTERNET_DISCONNECTED/] }, async (page, server) => {
  await say(page, 'Remember this');
  await page.evaluate(() => navigator.serviceWorker.ready);
  const kept = await page.evaluate(async () =>
    (await (await caches.open((await caches.keys())[0])).keys()).map(({ url }) => url),
  );
  assert.ok(kept.includes(`${server.url}/lantern/index.js`));
  // Offline in earnest: the server is gone too.
  await browser.context.setOffline(true);
  await server.close();
  await page.reload();
  await page.locator('.stats').waitFor();
  assert.deepEqual(await texts(page), ['Remember this', 'It is blue.']);
  await page.locator('#model-name', { hasText: 'SmolLM2-135M-Instruct' }).waitFor();
});

test('a new version is offered, and taken over on request', { timeout: 60000 }, async () => {
  const root = join(folder, 'updated');
  const pkg = join(folder, 'package-2');
  await cp(join(folder, 'package'), pkg, { recursive: true });
  await assemble({ out: root, pkg });
  const server = await serve({ root });
  const page = await browser.context.newPage();
  try {
    await page.goto(`${server.url}/`);
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.waitForFunction(() => navigator.serviceWorker.controller);
    await writeFile(join(pkg, 'index.js'), (await readFile(MOCK, 'utf8')).replace('Mock Adapter', 'Newer Adapter'));
    await assemble({ out: root, pkg });
    await page.reload();
    await page.getByText('Mock Adapter').waitFor();
    await page.getByText('A new version of Lantern is ready.').waitFor();
    await page.getByRole('button', { name: 'Reload' }).click();
    await page.getByText('Newer Adapter').waitFor();
  } finally {
    await page.close();
    await server.close();
  }
});

pageTest(
  'fits a phone: nothing sideways, conversations in a drawer',
  { mock: { answer: RICH.replace('hi', 'x'.repeat(200)) }, width: 360, height: 740 },
  async (page) => {
    const sideways = () =>
      page.evaluate(() =>
        Math.max(
          document.documentElement.scrollWidth - innerWidth,
          ...['#scroller', '#sidebar', 'dialog[open] .dialog-body']
            .map((where) => document.querySelector(where))
            .filter(Boolean)
            .map((node) => node.scrollWidth - node.clientWidth),
        ),
      );
    await say(page, `A long word: ${'y'.repeat(120)}`);
    assert.equal(await sideways(), 0);
    await shot(page, 'phone-chat');
    assert.ok(await page.locator('#sidebar').evaluate((node) => node.inert));
    await page.getByRole('button', { name: 'Conversations' }).click();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'new');
    assert.equal(await sideways(), 0);
    await page.waitForTimeout(250);
    await shot(page, 'phone-drawer');
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'menu');
    for (const id of ['model', 'settings']) {
      await page.locator(`#${id}`).click();
      await page.locator('dialog[open]').waitFor();
      assert.equal(await sideways(), 0, id);
      await shot(page, `phone-${id}`);
      await page.keyboard.press('Escape');
    }
    const small = await page.evaluate(() =>
      [...document.querySelectorAll('textarea, input[type=text], input[type=number]')]
        .filter((node) => parseFloat(getComputedStyle(node).fontSize) < 16)
        .map((node) => node.id),
    );
    assert.deepEqual(small, []);
  },
);

pageTest('is readable in both themes, which are chosen and kept', { mock: { answer: RICH } }, async (page) => {
  await say(page, 'Show me.');
  const luminance = ([r, g, b]) =>
    [r, g, b]
      .map((c) => c / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const colours = () =>
    page.evaluate(() =>
      Object.fromEntries(
        ['page', 'raised', 'side', 'soft', 'text', 'quiet', 'accent', 'accent-text', 'bad', 'bad-soft'].map((name) => {
          const probe = document.createElement('i');
          probe.style.color = `var(--${name})`;
          document.body.append(probe);
          const found = getComputedStyle(probe).color.match(/\d+/g).map(Number);
          probe.remove();
          return [name, found];
        }),
      ),
    );
  const seen = [];
  for (const theme of ['Light', 'Dark']) {
    await page.getByText(theme, { exact: true }).click();
    const c = await colours();
    seen.push(c.page.join());
    for (const back of ['page', 'raised', 'side', 'soft']) {
      for (const fore of ['text', 'quiet', 'accent'])
        assert.ok(contrast(c[fore], c[back]) >= 4.5, `${theme}: ${fore} on ${back}`);
    }
    assert.ok(contrast(c['accent-text'], c.accent) >= 4.5 && contrast(c.bad, c['bad-soft']) >= 4.5, theme);
    await shot(page, `${theme.toLowerCase()}-chat`);
  }
  assert.notEqual(seen[0], seen[1]);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.reload();
  await page.locator('.stats').waitFor();
  assert.equal((await colours()).page.join(), seen[1], 'the choice outlives a reload');
  await page.getByText('Auto', { exact: true }).click();
  assert.equal((await colours()).page.join(), seen[0], 'without a choice the system decides');
});
