// Which chunk of which file is fetched next: at most 4 at once over all files of a model, those that a read waits for
// first, then the files in their order. Knows nothing of how a chunk is fetched.

const LANES = 4;

/** A file that has chunks to fetch. Each gives a job that never rejects, or nothing. */
export interface Feed {
  urgent(): (() => Promise<void>) | undefined;
  idle(): (() => Promise<void>) | undefined;
}

export class Lanes {
  private readonly feeds: Feed[] = [];
  private running = 0;

  join(feed: Feed): void {
    this.feeds.push(feed);
    this.pump();
  }

  /** To be called when there is more to fetch than before. */
  pump(): void {
    while (this.running < LANES) {
      const job = this.next();
      if (!job) return;
      this.running += 1;
      void job().finally(() => {
        this.running -= 1;
        this.pump();
      });
    }
  }

  private next(): (() => Promise<void>) | undefined {
    for (const kind of ['urgent', 'idle'] as const) {
      for (const feed of this.feeds) {
        const job = feed[kind]();
        if (job) return job;
      }
    }
    return undefined;
  }
}
