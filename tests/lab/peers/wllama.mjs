// llama.cpp by npm's @wllama/wllama: WebAssembly, with WebGPU where there is one. It takes text and times itself.

import { ANSWER, PROMPT } from './workload.mjs';

/** A text of one token. */
const WORD = ' the';

/** One round, measured by its own clock. `layers` 0 computes on the CPU. An error has what its log says of one. */
export async function wllama(package_, wasm, model, layers) {
  const lines = [];
  try {
    return await round(package_, { wasm, model, layers, lines });
  } catch (error) {
    const reasons = lines.filter((line) => /timed out|error|failed/i.test(line));
    throw new Error([error.message, ...reasons.slice(0, 1)].join('; ').split('\n')[0], { cause: error });
  }
}

async function round({ Wllama }, { wasm, model, layers, lines }) {
  const keep = (...words) => lines.push(words.join(' '));
  const logger = { debug: keep, log: keep, warn: keep, error: keep };
  const engine = new Wllama({ default: wasm }, { logger });
  const options = { n_ctx: 1024, n_batch: 512, n_threads: 2, ...(layers === 0 && { n_gpu_layers: 0 }) };
  await engine.loadModel([model], options);
  const complete = (prompt, count) =>
    engine.createCompletion({
      prompt,
      max_tokens: count,
      temperature: 0,
      ignore_eos: true,
      cache_prompt: false,
      timings_per_token: true,
    });
  const answer = await complete('The capital of France is', 2);
  await complete(WORD.repeat(PROMPT), 1);
  const prefilled = (await complete(WORD.repeat(PROMPT), 1)).timings;
  const decoded = (await complete(WORD, ANSWER + 1)).timings;
  await engine.exit();
  const buffers = lines.map((line) => /(\S+) model buffer size/.exec(line)?.[1]).filter(Boolean);
  const row = (test, count, ms) => ({ test, depth: 0, tokens_per_second: (count / ms) * 1000 });
  return {
    rows: [
      row(`pp${PROMPT}`, prefilled.prompt_n, prefilled.prompt_ms),
      row(`tg${ANSWER}`, decoded.predicted_n - 1, decoded.predicted_ms),
    ],
    right: answer.choices[0].text === ' Paris.',
    adapter: buffers.join() === 'CPU' ? 'CPU, 2 threads' : 'does not say',
    computed: buffers.some((name) => /webgpu/i.test(name)) ? 'GPU' : 'CPU',
    evidence: `its log: weights are in buffers of ${buffers.join(' and ')}`,
  };
}
