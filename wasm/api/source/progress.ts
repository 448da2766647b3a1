// How far the files of one model are, told to the caller at most every 100 ms; the end and a new stage at once.
// Measures, decides nothing.

import type { LoadProgress } from '../types.js';

const PAUSE_MS = 100;
/** The rate is that of the last few seconds. */
const WINDOW_MS = 4000;

type Counted = 'download' | 'verify';

export class Progress {
  private readonly counts = { download: { done: 0, total: 0 }, verify: { done: 0, total: 0 } };
  private last: { stage: LoadProgress['stage']; at: number } | undefined;
  private samples: { at: number; done: number }[] = [];

  constructor(private readonly tell: (progress: LoadProgress) => void) {}

  /** Another tab has the file. */
  wait(): void {
    this.last = { stage: 'wait', at: performance.now() };
    this.tell({ stage: 'wait', done: 0, total: 0, rate: 0 });
  }

  /** `total` more bytes, of which `done` are there already. */
  expect(stage: Counted, done: number, total: number): void {
    this.counts[stage].done += done;
    this.counts[stage].total += total;
    this.samples = [];
    this.report(stage);
  }

  add(stage: Counted, bytes: number): void {
    this.counts[stage].done += bytes;
    this.report(stage);
  }

  private report(stage: Counted): void {
    // Of several files one may be checked while others still come: told is what takes longer.
    if (stage === 'verify' && this.counts.download.done < this.counts.download.total) return;
    const { done, total } = this.counts[stage];
    const at = performance.now();
    if (this.last?.stage !== stage) this.samples = [];
    else if (done < total && at - this.last.at < PAUSE_MS) return;
    this.last = { stage, at };
    this.samples = this.samples.filter((sample) => at - sample.at <= WINDOW_MS);
    this.samples.push({ at, done });
    const first = this.samples[0]!;
    const rate = at > first.at ? Math.max(0, (done - first.done) / ((at - first.at) / 1000)) : 0;
    this.tell({ stage, done, total, rate, ...(rate > 0 && { left: (total - done) / rate }) });
  }
}
