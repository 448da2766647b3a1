// The page that measures, with the real engine in Chromium: what it saves is a report in the form of the command line, it
// stops when told to, and says what is wrong. Screenshots go to target/web/screenshots.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv/dist/2020.js';
import { assemble } from '../../wasm/assemble.mjs';
import { serve } from '../../wasm/serve.mjs';
import { TimeLeft } from '../../wasm/web/bench-time.js';
import { BROWSER, open } from './support/browser.mjs';
import { PACKAGE, REFERENCES, defaultModel } from './support/engine.mjs';
import { SHOTS, shot as pageShot } from './support/page.mjs';

const SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';
const RESULTS = fileURLToPath(new URL('../results', import.meta.url));
const LANTERN = fileURLToPath(new URL('../../target/release/lantern', import.meta.url));
const SMALL = join(REFERENCES, 'formats/Q4_1.gguf');

test('time left: each kind of token has its speed, and what ran for the first time does not count', () => {
  const options = { prompt_tokens: [8], generated_tokens: [4], depths: [0], repetitions: 2 };
  const total = 9 + 10 + 2 * 9 + 2 * 6;
  const time = new TimeLeft(options, 0);
  assert.equal(time.after(9, total, 9000), undefined, 'nothing was sampled yet');
  assert.equal(time.after(19, total, 19000), 30, 'a second a token so far');
  assert.equal(time.after(28, total, 19900), 0.9 + 12, 'a prompt is ten times as fast');
  assert.equal(time.after(37, total, 20800), 12);
  assert.equal(time.after(43, total, 23800), 3, 'and so is the answer twice');
  assert.equal(time.after(10, 20, 1000), undefined, 'it began anew: nothing is known');
  assert.equal(time.after(15, 20, 6000), 5, 'an engine that goes another way');
});

describe('the page that measures', { timeout: 600_000 }, () => {
  let folder, server, browser, page;
  const trouble = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lantern-bench-'));
    const out = join(folder, 'page');
    await assemble({ out, pkg: PACKAGE });
    const model = { name: 'SmolLM2-135M-Instruct', url: 'model.gguf', sha256: SHA256 };
    await writeFile(join(out, 'models.json'), JSON.stringify({ default: model }));
    server = await serve({ root: out, mounts: { '/model.gguf': defaultModel() } });
    await mkdir(SHOTS, { recursive: true });
    browser = await open();
    page = browser.page;
    page.setDefaultTimeout(120_000);
    page.on('pageerror', ({ stack }) => {
      // Firefox says so of what is still loading when the page is left.
      if (!/A ServiceWorker intercepted the request and encountered an unexpected error/.test(stack))
        trouble.push(stack);
    });
    await page.exposeFunction('violated', (what) => trouble.push(`violation: ${what}`));
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => globalThis.violated(event.violatedDirective));
    });
    await page.setViewportSize({ width: 1100, height: 1000 });
  });
  beforeEach(async () => {
    if (!browser) return;
    await page.goto(`${server.url}/bench.html`);
    await page.getByText(BROWSER.adapter).first().waitFor();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const set = async (values) => {
    for (const [label, value] of Object.entries(values)) await page.getByLabel(label, { exact: true }).fill(value);
  };
  const TINY = { Prompt: '8', Answer: '4', Repetitions: '2' };
  const measure = () => page.getByRole('button', { name: 'Measure' }).click();
  const shot = (name) => pageShot(page, `bench-${name}`, { fullPage: true });
  const saved = async () => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save as JSON' }).click(),
    ]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') };
  };
  /** Report of the command line, as Markdown, on a result of the browser's and one of its own. */
  const reportWith = async (name, text) => {
    const path = join(folder, name);
    await writeFile(path, text);
    const files = [path, join(RESULTS, 'lavapipe.bench.json')];
    return execFileSync(LANTERN, ['report', ...files, '-o', 'md'], { encoding: 'utf8' });
  };
  const sideways = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

  test('measures the default model, and saves what the command line would write', async () => {
    assert.match(await page.locator('#machine').innerText(), BROWSER.machine);
    await shot('light-start');
    await set({ ...TINY, Depth: '16, 0' });
    const byKernel = page.getByLabel('By kernel');
    const timed = await byKernel.isEnabled();
    if (timed) await byKernel.check();
    await measure();
    await page
      .getByText(/^Downloading SmolLM2|^Checking|^Moving|^Looking for/)
      .first()
      .waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'stop');
    assert.ok(await page.getByLabel('Prompt', { exact: true }).isDisabled());
    await page.getByRole('heading', { name: 'Results' }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'results-title');

    const { name, text } = await saved();
    assert.match(name, /^lantern-bench-[a-z0-9-]+-\d{4}-\d\d-\d\d\.json$/);
    const report = JSON.parse(text);
    const valid = new Ajv({ strict: false, validateFormats: false }).compile(
      JSON.parse(await readFile(join(RESULTS, 'bench.schema.json'), 'utf8')),
    );
    assert.ok(valid(report), JSON.stringify(valid.errors));
    assert.equal(report.schema, 'lantern-bench/1');
    assert.deepEqual(
      report.rows.map((row) => [row.test, row.depth, row.tokens_per_second.samples.length]),
      [
        ['pp8', 0, 2],
        ['tg4', 0, 2],
        ['pp8', 16, 2],
        ['tg4', 16, 2],
      ],
    );
    for (const { tokens_per_second, ceiling_share } of report.rows) {
      assert.ok(tokens_per_second.mean > 0 && tokens_per_second.samples.every((sample) => sample > 0));
      assert.ok(ceiling_share > 0);
    }
    assert.match(report.host.browser, BROWSER.program);
    assert.equal(report.host.arch, 'wasm32');
    assert.match(report.adapter.name, BROWSER.adapter);
    assert.ok(report.ceilings.read_bytes_per_second > 0 && report.ceilings.f32_operations_per_second > 0);
    assert.equal(report.selftest.whole, false, 'those in use were tried when the model was loaded');
    assert.ok(report.selftest.passed > BROWSER.tried && report.selftest.failed.length === 0);
    const joined = await reportWith(name, text);
    assert.match(joined, /llvmpipe/);
    assert.match(joined, BROWSER.host);
    assert.equal(report.profile !== null, timed);

    assert.match(await page.locator('#report tbody tr').first().innerText(), /^pp8\s+8 read\s+0\s+[\d.,]+\s±\s/);
    await browser.context.grantPermissions(BROWSER.permissions);
    await page.getByRole('button', { name: 'Copy' }).click();
    await page.getByText('Copied').first().waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
    await page.evaluate(() => document.activeElement.blur());
    await shot('light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await shot('dark');
    await page.setViewportSize({ width: 360, height: 740 });
    assert.ok((await sideways()) <= 0);
    await shot('phone');
    await page.setViewportSize({ width: 1100, height: 1000 });
    await page.emulateMedia({ colorScheme: 'light' });
  });

  test('the self-test goes into the report; a file is measured; both can be stopped', async () => {
    // All kernels would take minutes on the software adapter.
    await page.evaluate(async () => {
      const { Lantern } = await import('./lantern/index.js');
      const { selftest } = Lantern.prototype;
      globalThis.wrong = [];
      Lantern.prototype.selftest = async function (options) {
        return [...(await selftest.call(this, { ...options, only: ['norm', 'rope', 'embed'] })), ...wrong];
      };
    });
    await page.locator('#model-file').setInputFiles(SMALL);
    assert.match(await page.locator('#model option:checked').innerText(), /^Q4_1 \(a file\)/);
    await page.getByLabel('Self-test first').check();
    await set(TINY);
    await measure();
    await page.getByText(/^\d+ of \d+ variants · .+ left/).waitFor();
    await shot('light-progress');
    await page.keyboard.press('Escape');
    await page.getByText('Stopped. Nothing is left of this run.').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'start');

    await measure();
    await page.getByRole('heading', { name: 'Results' }).waitFor();
    const { selftest } = JSON.parse((await saved()).text);
    assert.ok(selftest.passed > 3, `${selftest.passed} passed`);
    assert.deepEqual(selftest.failed, []);
    await page.getByText(`${selftest.passed} variants of kernels computed right.`).waitFor();

    const wrong = { kernel: 'matvec', variant: 'rows8', cases: 9, nmse: 1, failures: ['q4_0: all 0'], known: 'A bug.' };
    await page.evaluate((row) => globalThis.wrong.push(row), wrong);
    await measure();
    await page.getByText(`1 of ${selftest.passed + 1} variants computed wrong`).waitFor();
    assert.match(await page.getByRole('row', { name: 'matvec.rows8' }).innerText(), /q4_0: all 0\s*A bug\./);
    assert.deepEqual(JSON.parse((await saved()).text).selftest, {
      whole: true,
      passed: selftest.passed,
      failed: [wrong],
    });
    await shot('light-selftest');

    await page.getByLabel('Self-test first').uncheck();
    await set({ Prompt: '64', Answer: '128', Repetitions: '100' });
    await measure();
    await page.getByText(/^[\d,]+ of [\d,]+ tokens · .+ left$/).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped. Nothing is left of this run.').waitFor();
    assert.ok(await page.locator('#results').isHidden());
  });

  test('wrong addresses and numbers are named', async () => {
    const wrong = page.locator('#form-fields .bad:not(:empty)');
    await page.getByLabel('Model', { exact: true }).selectOption('address');
    const address = page.getByLabel('Address or Hugging Face name');
    await address.fill('nonsense');
    await measure();
    assert.deepEqual(await wrong.allInnerTexts(), ['That is neither an address nor a name such as owner/repo.']);
    await address.fill(`${server.url}/none.gguf`);
    await set({ Prompt: '8, x', Answer: '', Depth: '-1', Repetitions: '0' });
    await measure();
    assert.equal((await wrong.allInnerTexts()).length, 4);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'prompt_tokens');
    await set({ Prompt: '0', Answer: '0', Depth: '0', Repetitions: '1' });
    await measure();
    assert.deepEqual(await wrong.allInnerTexts(), ['Prompt and answer are both 0: nothing is left to measure.']);
    await shot('light-wrong');
    await set(TINY);
    await measure();
    const error = page.getByRole('alert');
    await error.getByText('The download failed.').waitFor();
    assert.match(await error.innerText(), /404/);
    await shot('light-error');
    // And the next run is none the worse.
    await page.locator('#model-file').setInputFiles(SMALL);
    await measure();
    await page.getByRole('heading', { name: 'Results' }).waitFor();
    assert.ok(await error.isHidden());
  });

  test('is there without a server, linked from the chat and back', async () => {
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.goto(`${server.url}/`);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await browser.context.setOffline(true);
    await page.getByRole('link', { name: 'How fast is it here?' }).click();
    await page.locator('#model option:checked', { hasText: 'on this device' }).waitFor({ state: 'attached' });
    await set(TINY);
    await measure();
    await page.getByRole('heading', { name: 'Results' }).waitFor();
    await page.getByRole('link', { name: 'Chat' }).click();
    await page.getByLabel('Message', { exact: true }).waitFor();
    await browser.context.setOffline(false);
    assert.deepEqual(trouble, []);
  });
});
