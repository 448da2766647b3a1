// A file that comes over HTTP in chunks: those that are kept are read from the cache, the others are fetched when a
// read waits for them, and all of them in turn where the file is to be kept. Never holds more of the file than the
// chunks under way and a few recent ones.

import { LanternError, aborted } from '../errors.js';
import { mustHold } from './blob.js';
import { CHUNK, chunkLength, chunksOf, messageOf, type Bytes, type ByteSource, type Hasher } from './contract.js';
import type { Entry } from './entry.js';
import { NoRanges, changed, fetchRange, fetchWhole, network } from './http.js';
import type { Feed, Lanes } from './lanes.js';
import type { About } from './log.js';
import { mustBeModel } from './magic.js';
import type { Progress } from './progress.js';

/** Chunks that stay in memory where the file is not kept: reads of neighbouring bytes are small. */
const RECENT = 8;
/** Chunks after the last read that are fetched ahead then. */
const AHEAD = 3;

export interface RemotePlan {
  about: About;
  /** Whether the server gives ranges, as far as is known. */
  ranges: boolean;
  /** Entry of the cache that has the chunks that are here already, and where more are kept. */
  entry?: Entry;
  /** Whether to fetch and keep all of it. */
  keep: boolean;
  lanes: Lanes;
  progress: Progress;
  notice(text: string): void;
  sha256(): Hasher;
  /** Releases the lock of the entry. */
  release(): void;
}

interface Waiter {
  use(chunk: Bytes): void;
  resolve(): void;
  reject(error: unknown): void;
}

/** The part of a chunk that a read wants: `count` bytes of chunk `index`, `from` on, which go to `at`. */
interface Span {
  index: number;
  from: number;
  count: number;
  at: number;
}

export class RemoteFile implements ByteSource, Feed {
  readonly label: string;
  readonly size: number;
  private readonly about: About;
  private readonly entry: Entry | undefined;
  private keeping: boolean;
  private ranges: boolean;
  private streaming = false;
  private readonly control = new AbortController();
  /** Chunks that reads wait for, in the order in which they were asked for. */
  private readonly waiting = new Map<number, Waiter[]>();
  private readonly flying = new Set<number>();
  /** Chunks that progress has counted. */
  private readonly counted = new Set<number>();
  private readonly recent = new Map<number, Bytes>();
  /** Next chunks to fetch that nobody waits for: from the first on, up to before the second. */
  private ahead: [number, number] = [0, 0];
  /** Chunks that callers were given. */
  private readonly given = new Set<number>();
  private failure: LanternError | undefined;
  private allHere: { resolve(): void; reject(error: unknown): void } | undefined;
  private finished: Promise<void> = Promise.resolve();

  constructor(private readonly plan: RemotePlan) {
    const { about, entry, keep, ranges } = plan;
    this.label = about.name;
    this.size = about.size;
    this.about = about;
    this.entry = entry;
    this.keeping = keep;
    this.ranges = ranges;
    for (let index = 0; index < chunksOf(about.size); index += 1) if (entry?.has(index)) this.counted.add(index);
  }

  /** Bytes that are kept. */
  get present(): number {
    return this.entry?.present ?? 0;
  }

  /** Begins to fetch. */
  start(): void {
    this.plan.lanes.join(this);
    if (!this.keeping) return;
    this.finished = this.keepAll().catch((error) => {
      throw this.stop(error);
    });
    this.finished.catch(() => {}); // for those who never ask
  }

  complete(): Promise<void> {
    return this.finished;
  }

  async read(offset: number, length: number): Promise<Bytes> {
    mustHold(this, offset, length);
    const into = new Uint8Array(length);
    await this.collect(offset, into, true);
    return into;
  }

  close(): void {
    this.stop(aborted());
    this.entry?.close();
    this.recent.clear();
    this.plan.release();
  }

  urgent(): (() => Promise<void>) | undefined {
    if (!this.ranges || this.failure) return undefined;
    for (const index of this.waiting.keys()) if (!this.flying.has(index)) return () => this.load(index);
    return undefined;
  }

  idle(): (() => Promise<void>) | undefined {
    if (!this.ranges || this.failure) return undefined;
    const range = this.ahead;
    while (range[0] < range[1]) {
      const index = range[0];
      range[0] += 1;
      if (!this.entry?.has(index) && !this.recent.has(index) && !this.flying.has(index)) return () => this.load(index);
    }
    return undefined;
  }

  private async collect(offset: number, into: Bytes, forCaller: boolean): Promise<void> {
    if (this.failure && this.failure.code !== 'network') throw this.failure;
    const kept: Span[] = [];
    const coming: Promise<void>[] = [];
    const spans = spansOf(offset, into.length);
    for (const span of spans) {
      if (forCaller) this.given.add(span.index);
      if (this.entry?.has(span.index)) kept.push(span);
      else coming.push(this.fetched(span, into));
    }
    const last = spans.at(-1);
    if (last && !this.keeping) this.lookAhead(last.index + 1);
    const rest = Promise.all(coming);
    rest.catch(() => {}); // met below, after what is kept
    // One by one: the first time that a chunk is touched all of it is read, to compare its sum.
    for (const span of kept) {
      const whole = await this.entry!.fill(span.index, span.from, into.subarray(span.at, span.at + span.count));
      if (!whole) await this.mend(span, into);
    }
    await rest;
  }

  private fetched(span: Span, into: Bytes): Promise<void> {
    const use = (chunk: Bytes) => into.set(chunk.subarray(span.from, span.from + span.count), span.at);
    const recent = this.recent.get(span.index);
    if (recent) {
      use(recent);
      return Promise.resolve();
    }
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const waiters = this.waiting.get(span.index) ?? [];
      waiters.push({ use, resolve, reject });
      this.waiting.set(span.index, waiters);
      if (this.ranges) this.plan.lanes.pump();
      else void this.stream();
    });
  }

  /** Fetches again a chunk that was kept and is damaged. */
  private async mend(span: Span, into: Bytes): Promise<void> {
    this.plan.notice(`A part of ${this.label} was damaged where it is kept; it is fetched again.`);
    try {
      await this.fetched(span, into);
    } catch (error) {
      if (!(error instanceof LanternError) || error.code !== 'network') throw error;
      throw new LanternError(
        'bad-file',
        `a part of ${this.label} is damaged where it is kept, and cannot be fetched again now (${error.message})`,
        { cause: error },
      );
    }
  }

  private lookAhead(index: number): void {
    this.ahead = [index, Math.min(index + AHEAD, chunksOf(this.size))];
    this.plan.lanes.pump();
  }

  private async load(index: number): Promise<void> {
    this.flying.add(index);
    const count = this.counted.has(index) ? () => {} : (bytes: number) => this.plan.progress.add('download', bytes);
    try {
      const bytes = await fetchRange(
        this.about,
        index * CHUNK,
        chunkLength(this.size, index),
        this.control.signal,
        count,
      );
      this.counted.add(index);
      await this.arrived(index, bytes);
    } catch (error) {
      if (error instanceof NoRanges) void this.stream();
      else this.stop(error);
    } finally {
      this.flying.delete(index);
    }
  }

  /** Takes the whole file in one go, from a server that gives no ranges. */
  private async stream(): Promise<void> {
    this.ranges = false;
    if (this.streaming) return;
    if (!this.keeping) {
      this.stop(noRanges(this.about.url));
      return;
    }
    this.streaming = true;
    try {
      await fetchWhole(this.about, this.control.signal, () => this.inChunks());
    } catch (error) {
      this.stop(error);
    }
    this.streaming = false;
    // Again, for a chunk that was found damaged after it had gone by, and where all of it was in vain.
    if (!this.failure && !this.entry!.complete) void this.stream();
  }

  /** Takes pieces of the file from its start, and makes chunks of them. */
  private inChunks(): (piece: Bytes) => Promise<void> {
    let index = 0;
    let have = 0;
    let chunk = new Uint8Array(chunkLength(this.size, 0));
    return async (piece) => {
      for (let at = 0; at < piece.length;) {
        const count = Math.min(piece.length - at, chunk.length - have);
        chunk.set(piece.subarray(at, at + count), have);
        at += count;
        have += count;
        if (have < chunk.length) return;
        if (!this.entry?.has(index)) {
          if (!this.counted.has(index)) this.plan.progress.add('download', have);
          this.counted.add(index);
          await this.arrived(index, chunk);
        }
        index += 1;
        have = 0;
        chunk = new Uint8Array(Math.max(0, chunkLength(this.size, index)));
      }
    };
  }

  private async arrived(index: number, bytes: Bytes): Promise<void> {
    if (index === 0) await this.checkStart(bytes);
    if (this.keeping) await this.keep(index, bytes);
    if (this.failure) throw this.failure;
    if (!this.entry?.has(index)) this.remember(index, bytes);
    const waiters = this.waiting.get(index) ?? [];
    this.waiting.delete(index);
    for (const waiter of waiters) {
      waiter.use(bytes);
      waiter.resolve();
    }
    if (this.entry?.complete) this.allHere?.resolve();
  }

  private async checkStart(bytes: Bytes): Promise<void> {
    try {
      mustBeModel(bytes, this.about.url);
    } catch (error) {
      this.stop(error); // before other chunks find the entry closed
      await this.entry?.remove();
      throw error;
    }
  }

  private async keep(index: number, bytes: Bytes): Promise<void> {
    let same: boolean;
    try {
      same = await this.entry!.put(index, bytes);
    } catch (error) {
      if (error instanceof LanternError) throw error;
      const full = (error as Error).name === 'QuotaExceededError';
      const reason = full ? 'there is no more room for it in this browser' : messageOf(error);
      if (!this.ranges) {
        throw new LanternError(
          'quota',
          `${this.label} cannot be kept: ${reason}; and its server gives no parts of a` +
            ' file, so it cannot be used without keeping it. Remove other models, or use another server.',
          { cause: error },
        );
      }
      if (!this.keeping) return; // another chunk met it first
      this.keeping = false;
      this.ahead = [0, 0];
      this.plan.notice(
        `The rest of ${this.label} is not kept for the next visit: ${reason}.` +
          (this.about.sha256 ? ' Its checksum is not compared.' : ''),
      );
      this.allHere?.resolve();
      return;
    }
    if (!same) throw changed(this.about.url);
  }

  private remember(index: number, bytes: Bytes): void {
    this.recent.set(index, bytes);
    if (this.recent.size > RECENT) this.recent.delete(this.recent.keys().next().value!);
  }

  /** Fetches all that is missing, and then compares the sum of the whole where it is known. */
  private async keepAll(): Promise<void> {
    const { sha256 } = this.about;
    const entry = this.entry!;
    await this.wanted();
    if (!this.keeping || !sha256 || entry.verified(sha256)) return;
    if ((await this.wholeSum()) === sha256) return entry.markVerified(sha256);
    const before = [...this.given].map((index) => [index, entry.sum(index)] as const);
    this.plan.notice(`${this.label} does not have the checksum that it should have; it is fetched anew.`);
    this.plan.progress.add('download', -this.size);
    entry.reset();
    this.counted.clear();
    await this.wanted();
    if (!this.keeping) return;
    if ((await this.wholeSum()) !== sha256) {
      const error = new LanternError(
        'bad-file',
        `${this.label} does not have the checksum ${sha256}, fetched twice; it` +
          ' is not kept. See whether the checksum is right, or use another server.',
      );
      this.stop(error); // before a read finds the entry closed
      await entry.remove();
      throw error;
    }
    entry.markVerified(sha256);
    if (before.every(([index, sum]) => entry.sum(index) === sum)) return;
    throw new LanternError(
      'bad-file',
      `${this.label} was damaged on its way, and parts of that were in use already.` +
        ' It has been fetched anew and is right now: load it again.',
    );
  }

  /** Resolves when all of the file is here, or will not be. */
  private wanted(): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    const done = new Promise<void>((resolve, reject) => (this.allHere = { resolve, reject }));
    if (this.entry!.complete) this.allHere?.resolve();
    this.ahead = [0, chunksOf(this.size)];
    if (this.ranges) this.plan.lanes.pump();
    else if (!this.entry!.complete) void this.stream();
    return done;
  }

  private async wholeSum(): Promise<string> {
    const { progress } = this.plan;
    const hasher = this.plan.sha256();
    progress.expect('verify', 0, this.size);
    for (let at = 0; at < this.size; at += CHUNK) {
      const chunk = new Uint8Array(Math.min(CHUNK, this.size - at));
      await this.collect(at, chunk, false);
      hasher.update(chunk);
      progress.add('verify', chunk.length);
      // What is kept is read without waiting for anything, and an abort must be heard.
      if (at % (4 * CHUNK) === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    return hasher.digest();
  }

  /**
   * Ends the download. After a failure of the network, what is kept can still be read; all that waits for more is
   * refused.
   */
  private stop(error: unknown): LanternError {
    if (this.failure) return this.failure;
    this.failure =
      error instanceof LanternError
        ? error
        : new LanternError('internal', `${this.label}: ${messageOf(error)}`, { cause: error });
    this.control.abort();
    const waiters = [...this.waiting.values()].flat();
    this.waiting.clear();
    for (const waiter of waiters) waiter.reject(this.failure);
    this.allHere?.reject(this.failure);
    return this.failure;
  }
}

export function noRanges(url: string): LanternError {
  return network(
    url,
    'the server gives no parts of a file (HTTP ranges), so it can be read only where it is kept',
    'Use another server, or let the file be kept',
  );
}

function spansOf(offset: number, length: number): Span[] {
  const spans: Span[] = [];
  for (let at = 0; at < length;) {
    const index = Math.floor((offset + at) / CHUNK);
    const from = offset + at - index * CHUNK;
    const count = Math.min(CHUNK - from, length - at);
    spans.push({ index, from, count, at });
    at += count;
  }
  return spans;
}
