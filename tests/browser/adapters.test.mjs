// Poor GPUs: those without subgroups or with small bindings, those that are slow to read from, and none at all.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSER } from './support/browser.mjs';
import { engines, inWorker, origin, reference } from './support/engine.mjs';

describe(`poor GPUs in ${BROWSER.name}`, { timeout: 600_000 }, () => {
  let server, browser, page;

  before(async () => {
    server = await origin();
    browser = await engines(server);
    page = await browser.page();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  test('without subgroups and f16, and with bindings of 16 MiB, tokens are the same', async () => {
    const { greedy, text } = reference('france');
    const options = { without: ['subgroups', 'f16'], max_binding: 16 << 20 };
    const seen = await page.evaluate(
      async ([text, options]) => {
        const { Lantern } = await import('/lantern/index.js');
        const poor = await Lantern.create(options);
        const model = await poor.load('/model.gguf', { context: 256 });
        const { tokens } = await model.complete(text, { ...globalThis.greedy, max_tokens: 8 }).completion;
        poor.close();
        return { tokens, adapter: poor.adapter };
      },
      [text, options],
    );
    assert.equal(seen.adapter.features.subgroups, false);
    assert.equal(seen.adapter.limits.max_storage_buffer_binding_size, options.max_binding);
    assert.deepEqual(seen.tokens, greedy.slice(0, 8));
  });

  test('where reading from the GPU is slow, several tokens come at a time', async () => {
    // A model for each speed: a session measures how slow reading is when it is made.
    const readings = async (costs) => {
      await inWorker(page, (costs) => globalThis.simulate(costs), costs);
      await page.evaluate(async () => {
        globalThis.model = await lantern.load('/reference/formats/Q4_1.gguf', { context: 128, tune: false });
      });
      const before = await inWorker(page, () => globalThis.readings);
      await page.evaluate(async () => {
        await model.complete([1, 2, 3], { ...greedy, max_tokens: 64, ignore_eos: true }).completion;
      });
      const after = await inWorker(page, () => globalThis.readings);
      await page.evaluate(() => model.unload());
      return after - before;
    };
    const quick = await readings({ dispatch: 0.25, reading: 0.01 });
    const slow = await readings({ dispatch: 0.25, reading: 60 });
    await inWorker(page, () => globalThis.simulate());
    assert.deepEqual({ quick, slow }, { quick: 64, slow: 6 }); // the first two tokens by themselves, then 16 at a time
  });

  test('names of what there is not are refused', async () => {
    const seen = await page.evaluate(async () => {
      const { Lantern } = await import('/lantern/index.js');
      return {
        without: await codeOf(Lantern.create({ without: ['fp16'] })),
        faults: await codeOf(Lantern.create({ faults: ['matvec.lanes5'] })),
      };
    });
    assert.match(seen.without, /^bad-input: .*fp16.*f16, subgroups/);
    assert.match(seen.faults, /^bad-input: .*matvec\.lanes5.*lanes4/);
  });

  test('without WebGPU, and without a GPU, the error says what to do', async () => {
    const seen = await page.evaluate(async () => {
      const { openGpu } = await import('/lantern/gpu.js');
      const as = (gpu) => Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
      as(undefined);
      const none = await codeOf(openGpu({ without: [] }));
      as({ requestAdapter: async () => null });
      return { none, empty: await codeOf(openGpu({ without: [] })) };
    });
    assert.match(seen.none, /^no-webgpu: .*Chrome/);
    assert.match(seen.empty, /^no-adapter: .*hardware acceleration/);
  });
});
