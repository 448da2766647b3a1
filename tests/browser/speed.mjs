// How fast the engine is in Chromium, against the native one on the same SwiftShader adapter: `node speed.mjs [ROUNDS]`,
// in turns, so that both meet the same machine. Prints a table on stderr and JSON on stdout. A measurement, no test.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { engines, origin } from './support/engine.mjs';

const LANTERN = fileURLToPath(new URL('../../target/release/lantern', import.meta.url));
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
const PROMPT = 32;
const SAMPLED = 16;
const rounds = Number(process.argv[2] ?? 5);

async function native() {
  const env = { ...process.env, VK_DRIVER_FILES: SWIFTSHADER, VK_ICD_FILENAMES: SWIFTSHADER };
  const args = ['bench', '--json', '-q', '-p', PROMPT, '-n', SAMPLED, '-r', 1].map(String);
  const { stdout } = await promisify(execFile)(LANTERN, args, { env });
  return JSON.parse(stdout);
}

const server = await origin();
const browser = await engines(server);
const page = await browser.page();
await page.evaluate(
  async () => void (globalThis.model = await lantern.load('/model.gguf', { context: 128, tune: false })),
);
const all = { native: [], chromium: [] };
let about;
try {
  for (let round = 0; round < rounds; round += 1) {
    about = await native();
    all.native.push(Object.fromEntries(about.rows.map((row) => [row.test, row.tokens_per_second.mean])));
    const options = { prompt_tokens: PROMPT, generated_tokens: SAMPLED, repetitions: 1 };
    const { rows } = await page.evaluate((options) => lantern.bench(model, options), options);
    all.chromium.push(Object.fromEntries(rows.map((row) => [row.test, row.tokens_per_second.mean])));
    console.error(`round ${round + 1}`, all.native.at(-1), all.chromium.at(-1));
  }
} finally {
  await browser.close();
  await server.close();
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const summary = [`pp${PROMPT}`, `tg${SAMPLED}`].map((test) => {
  const of = (side) => median(all[side].map((row) => row[test]));
  const ratios = all.native.map((row, round) => all.chromium[round][test] / row[test]);
  return { test, native: of('native'), chromium: of('chromium'), ratio: median(ratios) };
});
for (const { test, native, chromium, ratio } of summary) {
  const [a, b, percent] = [native, chromium, ratio * 100].map((value) => value.toFixed(1));
  console.error(`${test}: native ${a}, Chromium ${b} tokens/s (medians); ratio ${percent} %`);
}
console.log(
  JSON.stringify({ command: `node tests/browser/speed.mjs ${rounds}`, adapter: about.adapter, summary, all }, null, 2),
);
