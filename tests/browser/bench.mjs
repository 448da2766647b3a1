// A result of the form lantern-bench/1 on stdout: `node bench.mjs chromium`, or `node bench.mjs node`, which is Dawn without
// a browser; both on SwiftShader. A measurement, no test.

import { openAsBlob } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE, defaultModel, engines, origin } from './support/engine.mjs';

const OPTIONS = { prompt_tokens: 32, generated_tokens: 16, depths: [0, 128], repetitions: 5, profile: true };

async function inNode() {
  await import('./support/dawn.mjs');
  const { Lantern } = await import(join(PACKAGE, 'index.js'));
  const lantern = await Lantern.create();
  const model = await lantern.load(await openAsBlob(defaultModel()), { context: 256 });
  const report = await lantern.bench(model, OPTIONS);
  report.selftest = await lantern.selftest();
  lantern.close();
  return report;
}

async function inChromium() {
  const server = await origin();
  const browser = await engines(server);
  const page = await browser.page();
  try {
    return await page.evaluate(async (options) => {
      const model = await lantern.load('/model.gguf', { context: 256 });
      const report = await lantern.bench(model, options);
      report.selftest = await lantern.selftest();
      return report;
    }, OPTIONS);
  } finally {
    await browser.close();
    await server.close();
  }
}

function selftest(rows) {
  const failed = rows.filter(({ failures }) => failures.length > 0);
  return { whole: true, passed: rows.length - failed.length, failed };
}

const report = process.argv[2] === 'node' ? await inNode() : await inChromium();
report.selftest = selftest(report.selftest);
console.log(JSON.stringify(report));
