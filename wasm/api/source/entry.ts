// One file that is kept in the browser's private file system (OPFS): its bytes and, beside them, the log of what is
// here. Whoever opens an entry holds its lock. Works in dedicated workers only, as other places have no synchronous
// handles; knows nothing of networks.

import { LanternError, aborted } from '../errors.js';
import { CHUNK, chunkLength, chunksOf, sha256Hex, type Bytes } from './contract.js';
import {
  bytesOf,
  chunkLine,
  chunksWithin,
  firstLine,
  lostLine,
  parseLog,
  usedLine,
  verifiedLine,
  type About,
  type Log,
} from './log.js';
import { dataName, folder, logName, removeFiles } from './storage.js';

/** Only workers have it, so the DOM's types lack it. */
interface SyncHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

export class Entry {
  /** Chunks that are here. */
  private readonly here: Set<number>;
  /** Chunks whose bytes were compared with their sum in this visit. */
  private readonly checked = new Set<number>();
  private sums: Map<number, string>;
  private verifiedSum: string | undefined;
  private closed = false;

  private constructor(
    readonly key: string,
    readonly about: About,
    private readonly data: SyncHandle,
    private readonly log: SyncHandle,
    found?: Log,
  ) {
    this.sums = found?.sums ?? new Map();
    this.here = new Set(found ? chunksWithin(found, data.getSize()) : []);
    this.verifiedSum = found?.verified;
  }

  /** Opens what an earlier visit left; none where that is nothing, or of no use. */
  static async open(key: string): Promise<Entry | undefined> {
    const dir = await folder(false);
    const handles = dir && (await openHandles(dir, key, false));
    if (!dir || !handles) return undefined;
    const { data, log } = handles;
    const text = new Uint8Array(log.getSize());
    log.read(text, { at: 0 });
    const found = parseLog(text);
    if (!found || data.getSize() > found.about.size) {
      data.close();
      log.close();
      await removeFiles(dir, key);
      return undefined;
    }
    log.truncate(found.length);
    const entry = new Entry(key, found.about, data, log, found);
    entry.note(usedLine());
    return entry;
  }

  /** A new one, with nothing in it yet. */
  static async create(key: string, about: About): Promise<Entry> {
    const { data, log } = (await openHandles((await folder(true))!, key, true))!;
    const entry = new Entry(key, about, data, log);
    try {
      entry.reset();
    } catch (error) {
      await entry.remove();
      throw error;
    }
    return entry;
  }

  has(index: number): boolean {
    return this.here.has(index);
  }

  get present(): number {
    return bytesOf(this.about.size, this.here);
  }

  get complete(): boolean {
    return this.here.size === chunksOf(this.about.size);
  }

  /** The sum that chunk `index` has, or had before it was found damaged. */
  sum(index: number): string | undefined {
    return this.sums.get(index);
  }

  verified(sum: string): boolean {
    return this.verifiedSum === sum;
  }

  markVerified(sum: string): void {
    this.note(verifiedLine(sum));
    this.verifiedSum = sum;
  }

  /** Keeps a chunk. False where it is not what the same chunk was before: then the file has changed. */
  async put(index: number, bytes: Bytes): Promise<boolean> {
    const sum = await sha256Hex(bytes);
    if (this.closed) throw aborted();
    if ((this.sums.get(index) ?? sum) !== sum) return false;
    writeAll(this.data, bytes, index * CHUNK);
    this.data.flush();
    this.note(chunkLine(index, sum));
    this.sums.set(index, sum);
    this.here.add(index);
    this.checked.add(index);
    return true;
  }

  /** Fills `into` from chunk `index`, `from` bytes on. False where the chunk is damaged: then it is here no longer. */
  async fill(index: number, from: number, into: Uint8Array): Promise<boolean> {
    if (this.closed) throw aborted();
    if (this.checked.has(index)) {
      return this.data.read(into, { at: index * CHUNK + from }) === into.length || this.lose(index);
    }
    const chunk = new Uint8Array(chunkLength(this.about.size, index));
    const count = this.data.read(chunk, { at: index * CHUNK });
    if (count !== chunk.length || (await sha256Hex(chunk)) !== this.sums.get(index)) return this.lose(index);
    this.checked.add(index);
    into.set(chunk.subarray(from, from + into.length));
    return true;
  }

  /** Empties it, to fetch all of the file anew. */
  reset(): void {
    this.here.clear();
    this.checked.clear();
    this.sums = new Map();
    this.verifiedSum = undefined;
    this.log.truncate(0); // first, so that no log ever speaks of what is gone
    this.data.truncate(0);
    this.note(firstLine(this.about) + usedLine());
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.data.close();
    this.log.close();
  }

  async remove(): Promise<void> {
    this.close();
    const dir = await folder(false);
    if (dir) await removeFiles(dir, this.key);
  }

  private lose(index: number): false {
    if (this.closed) throw aborted();
    this.checked.delete(index);
    if (this.here.delete(index)) this.note(lostLine(index));
    return false;
  }

  private note(lines: string): void {
    writeAll(this.log, new TextEncoder().encode(lines), this.log.getSize());
    this.log.flush();
  }
}

async function openHandles(dir: FileSystemDirectoryHandle, key: string, create: boolean) {
  const data = await syncHandle(dir, dataName(key), create);
  if (!data) return undefined;
  const log = await syncHandle(dir, logName(key), create).catch((error) => {
    data.close();
    throw error;
  });
  if (log) return { data, log };
  data.close();
  return undefined;
}

async function syncHandle(
  dir: FileSystemDirectoryHandle,
  name: string,
  create: boolean,
): Promise<SyncHandle | undefined> {
  const file = await dir.getFileHandle(name, { create }).catch((error) => {
    if (error.name === 'NotFoundError') return undefined;
    throw error;
  });
  if (!file) return undefined;
  const open = () => (file as unknown as { createSyncAccessHandle(): Promise<SyncHandle> }).createSyncAccessHandle();
  // The page before this one may have left a handle that the browser has not taken back yet.
  for (let tries = 0; ; tries += 1) {
    try {
      return await open();
    } catch (error) {
      const busy = (error as Error).name === 'NoModificationAllowedError';
      if (!busy) throw error;
      if (tries === 20)
        throw new LanternError('bad-input', `${name} is in use elsewhere; close the other tab`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function writeAll(handle: SyncHandle, bytes: Uint8Array, at: number): void {
  const count = handle.write(bytes, { at });
  if (count !== bytes.length) throw new DOMException('less was written than was given', 'QuotaExceededError');
}
