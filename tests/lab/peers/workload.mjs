// What every peer is timed with, which is what `lantern bench` times: a prompt of 128 tokens until the logits after it
// are there, and 32 tokens taken greedily after a first. Runs in Node, Deno and browsers.

export const PROMPT = 128;
export const ANSWER = 32;

/** Tokens that a peer reads at a time where it has to be told. */
const BATCH = 512;
const VOCAB_SIZE = 49152;

/** "The capital of France is", and what SmolLM2 says next: " Paris", ".". */
const QUESTION = [504, 3575, 282, 4649, 314];
const RIGHT = [7042, 30];

/** The ids that `lantern bench` reads from a position on; no two prompts begin alike. */
export function tokens(position, count) {
  const id = (index) => (Math.imul(position + index, 2_654_435_761) >>> 0) % VOCAB_SIZE;
  return Array.from({ length: count }, (_, index) => id(index));
}

/**
 * Tokens a second at a depth, and whether the peer answered a question right. Of an engine, `feed(tokens)` reads
 * tokens and gives the likeliest next, `position()` remembers what was read, and `rewind(position)` goes back to that.
 */
export async function measure(engine, depth) {
  const empty = await engine.position();
  const first = await engine.feed(QUESTION);
  const answer = [first, await engine.feed([first])];
  await engine.rewind(empty);
  await engine.feed(tokens(0, PROMPT)); // as ours, each pipeline runs once before anything is timed
  await engine.rewind(empty);
  for (let at = 0; at < depth; at += BATCH) await engine.feed(tokens(at, Math.min(BATCH, depth - at)));
  const start = await engine.position();
  const prefilled = { test: `pp${PROMPT}`, depth, tokens_per_second: await prefill(engine, depth) };
  await engine.rewind(start);
  const decoded = { test: `tg${ANSWER}`, depth, tokens_per_second: await decode(engine, depth) };
  return { rows: [prefilled, decoded], right: answer.join() === RIGHT.join() };
}

async function prefill(engine, depth) {
  const start = performance.now();
  await engine.feed(tokens(depth, PROMPT));
  return (PROMPT / (performance.now() - start)) * 1000;
}

async function decode(engine, depth) {
  let token = await engine.feed(tokens(depth, 1));
  const start = performance.now();
  for (let count = 0; count < ANSWER; count += 1) token = await engine.feed([token]);
  return (ANSWER / (performance.now() - start)) * 1000;
}

/** Rows of a result of the form lantern-bench/1. */
export function rowsOf({ rows }) {
  return rows.map(({ test, depth, tokens_per_second }) => ({ test, depth, tokens_per_second: tokens_per_second.mean }));
}
