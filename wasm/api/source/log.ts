// Log that is kept beside a file: which file it is, and which of its chunks are here, each with its SHA-256. Lines
// are only ever added, and only after what they say is on disk; so of a crash nothing is left but a torn last line.
// Text only, no files.

import { CHUNK, asSha256, chunkLength, chunksOf } from './contract.js';

/** File that an entry of the cache is a copy of. */
export interface About {
  url: string;
  name: string;
  size: number;
  etag?: string;
  sha256?: string;
}

export interface Log {
  about: About;
  /** SHA-256 of each chunk that was written. */
  sums: Map<number, string>;
  /** Chunks that were written and found damaged since. */
  lost: Set<number>;
  /** SHA-256 that the whole file was found to have. */
  verified?: string;
  /** When it was last opened, in milliseconds since 1970. */
  used: number;
  /** Bytes of the log without a torn last line. */
  length: number;
}

export const firstLine = (about: About): string => `${JSON.stringify({ version: 1, chunk: CHUNK, ...about })}\n`;
export const chunkLine = (index: number, sum: string): string => `chunk ${index} ${sum}\n`;
export const lostLine = (index: number): string => `lost ${index}\n`;
export const verifiedLine = (sum: string): string => `verified ${sum}\n`;
export const usedLine = (): string => `used ${Date.now()}\n`;

/** None where the log is broken, or of another version: then nothing of the entry can be trusted. */
export function parseLog(bytes: Uint8Array): Log | undefined {
  const length = bytes.lastIndexOf(10) + 1;
  const [first = '', ...lines] = new TextDecoder().decode(bytes.subarray(0, length)).split('\n');
  const about = parseFirst(first);
  if (!about) return undefined;
  const log: Log = { about, sums: new Map(), lost: new Set(), used: 0, length };
  lines.pop(); // what follows the last line end
  return lines.every((line) => addLine(log, line)) ? log : undefined;
}

/** False where `line` is none that is written here. */
function addLine(log: Log, line: string): boolean {
  const chunk = /^(?:chunk (\d{1,9}) ([0-9a-f]{64})|lost (\d{1,9}))$/.exec(line);
  const [, index, sum, lost] = chunk ?? [];
  if (index !== undefined && sum !== undefined && Number(index) < chunksOf(log.about.size)) {
    log.sums.set(Number(index), sum);
    log.lost.delete(Number(index));
    return true;
  }
  if (lost !== undefined) {
    log.lost.add(Number(lost));
    return true;
  }
  const [, verified, used] = /^(?:verified ([0-9a-f]{64})|used (\d{1,15}))$/.exec(line) ?? [];
  if (verified !== undefined) log.verified = verified;
  if (used !== undefined) log.used = Number(used);
  return verified !== undefined || used !== undefined;
}

function parseFirst(line: string): About | undefined {
  try {
    const { version, chunk, url, name, size, etag, sha256 } = JSON.parse(line) as Record<string, unknown>;
    const right =
      version === 1 &&
      chunk === CHUNK &&
      typeof url === 'string' &&
      typeof name === 'string' &&
      Number.isSafeInteger(size) &&
      (size as number) > 0;
    if (!right) return undefined;
    const sum = typeof sha256 === 'string' ? asSha256(sha256) : undefined;
    return { url, name, size: size as number, ...(typeof etag === 'string' && { etag }), ...(sum && { sha256: sum }) };
  } catch {
    return undefined;
  }
}

/**
 * The chunks that are here, in a data file of `length` bytes: what is not wholly within it cannot be, whatever the log
 * says.
 */
export function chunksWithin(log: Log, length: number): number[] {
  const { size } = log.about;
  const within = (index: number) => index * CHUNK + chunkLength(size, index) <= length;
  return [...log.sums.keys()].filter((index) => !log.lost.has(index) && within(index));
}

/** Bytes of `chunks`. */
export function bytesOf(size: number, chunks: Iterable<number>): number {
  let sum = 0;
  for (const index of chunks) sum += chunkLength(size, index);
  return sum;
}
