// The folder of kept files: where it is, what is in it, how much fits, and the locks that keep tabs apart. Of the files
// it reads logs only.

import { LanternError, aborted } from '../errors.js';
import type { CacheEntry } from '../types.js';
import { sha256Hex } from './contract.js';
import { bytesOf, chunksWithin, parseLog } from './log.js';

const FOLDER = ['lantern', 'models'];
const LOG = '.log';
const DATA = '.gguf';

export const dataName = (key: string): string => key + DATA;
export const logName = (key: string): string => key + LOG;

/** Whether files can be kept here: a dedicated worker of a secure page, and not a private window. */
export async function usable(): Promise<boolean> {
  try {
    const sync =
      typeof FileSystemFileHandle !== 'undefined' && 'createSyncAccessHandle' in FileSystemFileHandle.prototype;
    return sync && Boolean(await navigator.storage.getDirectory());
  } catch {
    return false;
  }
}

/** The folder; none where nothing was ever kept and `create` is not set. */
export async function folder(create: boolean): Promise<FileSystemDirectoryHandle | undefined> {
  const storage = globalThis.navigator?.storage;
  if (!storage?.getDirectory) return undefined;
  try {
    let dir = await storage.getDirectory();
    for (const name of FOLDER) dir = await dir.getDirectoryHandle(name, { create });
    return dir;
  } catch (error) {
    if (create) throw error;
    return undefined;
  }
}

/** Key that a file is kept under: short, and fit for a file name. */
export async function keyOf(url: string): Promise<string> {
  return (await sha256Hex(new TextEncoder().encode(url))).slice(0, 20);
}

/** Takes the lock of `key`, and gives what releases it. `waiting` is called where another holds it. */
export async function lock(key: string, signal: AbortSignal, waiting: () => void): Promise<() => void> {
  const free = await tryLock(key);
  if (free) return free;
  waiting();
  return new Promise((resolve, reject) => {
    const held = () => new Promise<void>((release) => resolve(release));
    navigator.locks
      .request(lockName(key), { signal }, held)
      .catch((error) => reject(signal.aborted ? aborted() : error));
  });
}

/** Takes the lock of `key` and gives what releases it; none where another holds it. */
export function tryLock(key: string): Promise<(() => void) | undefined> {
  const locks = globalThis.navigator?.locks as LockManager | undefined;
  if (!locks) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    const held = (got: Lock | null) => (got ? new Promise<void>((release) => resolve(release)) : resolve(undefined));
    locks.request(lockName(key), { ifAvailable: true }, held).catch(reject);
  });
}

const lockName = (key: string): string => `lantern/models/${key}`;

/** Bytes that the browser still has for this site. */
export async function room(): Promise<number> {
  try {
    const { quota = Infinity, usage = 0 } = await navigator.storage.estimate();
    return Math.max(0, quota - usage);
  } catch {
    return Infinity;
  }
}

let asked = false;
/** Asks once that the browser may not throw away what is kept. It may refuse, and in workers most cannot be asked. */
export async function persist(): Promise<boolean> {
  asked = true;
  try {
    const storage = navigator.storage as Partial<StorageManager>;
    return (await storage.persisted?.()) || ((await storage.persist?.()) ?? false);
  } catch {
    return false;
  }
}

export function persistOnce(): void {
  if (!asked) void persist();
}

async function keys(dir: FileSystemDirectoryHandle, ending: string): Promise<string[]> {
  const found: string[] = [];
  for await (const name of dir.keys()) if (name.endsWith(ending)) found.push(name.slice(0, -ending.length));
  return found;
}

/** All entries, the last used first. */
export async function list(): Promise<CacheEntry[]> {
  const dir = await folder(false);
  if (!dir) return [];
  const read = async (name: string) => (await dir.getFileHandle(name)).getFile();
  const described = async (key: string): Promise<CacheEntry | undefined> => {
    try {
      const log = parseLog(new Uint8Array(await (await read(logName(key))).arrayBuffer()));
      if (!log) return undefined;
      const { name, url, size } = log.about;
      const present = bytesOf(size, chunksWithin(log, (await read(dataName(key))).size));
      return { key, name, url, size, present, complete: present === size, used: log.used };
    } catch {
      return undefined; // removed by another tab a moment ago
    }
  };
  const entries = await Promise.all((await keys(dir, LOG)).map(described));
  return entries.filter((entry) => entry !== undefined).sort((a, b) => b.used - a.used);
}

export async function remove(key: string): Promise<void> {
  const dir = await folder(false);
  if (!dir || !/^[0-9a-f]+$/.test(key)) return;
  const release = await tryLock(key);
  if (!release) {
    const name = (await list()).find((entry) => entry.key === key)?.name ?? key;
    throw new LanternError('bad-input', `${name} is in use, here or in another tab; close it there first`);
  }
  try {
    await removeFiles(dir, key);
  } finally {
    release();
  }
}

/** Removes all that is not in use, and then says what was. */
export async function clear(): Promise<void> {
  const dir = await folder(false);
  if (!dir) return;
  const all = new Set([...(await keys(dir, LOG)), ...(await keys(dir, DATA))]);
  const results = await Promise.allSettled([...all].map(remove));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** The log goes first: data without one is of no use, and is replaced when the file is kept again. */
export async function removeFiles(dir: FileSystemDirectoryHandle, key: string): Promise<void> {
  for (const name of [logName(key), dataName(key)]) {
    await dir.removeEntry(name).catch((error) => {
      if (error.name !== 'NotFoundError') throw error;
    });
  }
}

export async function estimate(): Promise<{ usage: number; quota: number }> {
  const { usage = 0, quota = 0 } = (await globalThis.navigator?.storage?.estimate?.()) ?? {};
  return { usage, quota };
}
