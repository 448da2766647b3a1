// How long a benchmark still takes. Tokens of a prompt are prefilled many at a time and those of an answer are sampled one by one,
// so each kind has a speed of its own. Numbers only: nothing here touches the page.

/** Tokens of decode that the engine runs before anything counts. */
const WARM_UP = 8;

/** What a benchmark goes through, in the engine's order: how many tokens are prefilled or sampled. `warm` does not count. */
function stepsOf({ prompt_tokens, generated_tokens, depths, repetitions }) {
  const prompts = prompt_tokens.filter((count) => count > 0);
  const answers = generated_tokens.filter((count) => count > 0);
  const sorted = [...new Set(depths)].sort((a, b) => a - b);
  const times = (list) => Array(repetitions).fill(list).flat();
  // After a prompt one token is sampled; before an answer one is prefilled and one sampled.
  const prefilled = (tokens, warm = false) => [{ kind: 'prefilled', tokens: tokens + 1, warm }];
  const sampled = (tokens, warm = false) => [{ kind: 'sampled', tokens: tokens + 2, warm }];
  const steps = [...prefilled(prompts[0] ?? WARM_UP, true), ...sampled(WARM_UP, true)];
  sorted.forEach((depth, index) => {
    steps.push({ kind: 'prefilled', tokens: depth - (sorted[index - 1] ?? 0), warm: false });
    for (const count of prompts) steps.push(...times(prefilled(count)));
    for (const count of answers) steps.push(...times(sampled(count)));
  });
  return steps;
}

export class TimeLeft {
  #steps;
  #total;
  #speeds = {};
  #done = 0;
  #at;

  constructor(options, now) {
    this.#steps = stepsOf(options);
    this.#total = this.#steps.reduce((sum, { tokens }) => sum + tokens, 0);
    this.#at = now;
  }

  /** Seconds left when `done` of `total` tokens are done at `now` (in milliseconds); undefined while nothing is known. */
  after(done, total, now) {
    // An engine that goes another way is taken to be equally fast all along.
    if (total !== this.#total) {
      this.#steps = [{ kind: 'any', tokens: total, warm: false }];
      this.#total = total;
    }
    if (done > this.#done) this.#note(done, now - this.#at);
    this.#done = done;
    this.#at = now;
    return this.#left();
  }

  /** Counts time for the step that the last of these tokens belong to. */
  #note(done, ms) {
    let end = 0;
    const step = this.#steps.find(({ tokens }) => (end += tokens) >= done);
    if (!step) return;
    const known = this.#speeds[step.kind];
    // While everything runs for the first time it is slow.
    const fresh = !known || (known.warm && !step.warm);
    const speed = fresh ? { ms: 0, tokens: 0, warm: step.warm } : known;
    speed.ms += ms;
    speed.tokens += done - this.#done;
    this.#speeds[step.kind] = speed;
  }

  #left() {
    let start = 0;
    let ms = 0;
    for (const { kind, tokens } of this.#steps) {
      const rest = Math.min(tokens, Math.max(0, start + tokens - this.#done));
      start += tokens;
      if (!rest) continue;
      const speed = this.#speeds[kind];
      if (!speed) return undefined;
      ms += (rest * speed.ms) / speed.tokens;
    }
    return ms / 1000;
  }
}
