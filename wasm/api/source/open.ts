// Opens the files of one model at their addresses: takes their locks, finds what is kept of them, asks the servers what
// they have now, and decides what is kept. Reads no bytes of the files itself.

import { LanternError, aborted } from '../errors.js';
import { messageOf, sizeText, type ByteSource, type OpenOptions } from './contract.js';
import { Entry } from './entry.js';
import { describe, type Described } from './http.js';
import { Lanes } from './lanes.js';
import { Progress } from './progress.js';
import { RemoteFile, noRanges } from './remote.js';
import { keyOf, lock, persistOnce, room, usable } from './storage.js';

/** One file: where it is, and what is known of it. */
export interface Target {
  url: string;
  /** Name that it is listed by; by default, the one that it is kept by already, or the end of its address. */
  name?: string;
  sha256?: string;
}

/** One file as it is being opened. */
interface Part {
  target: Target;
  key?: string;
  entry?: Entry | undefined;
  server?: Described;
  release(): void;
}

interface Opening {
  options: OpenOptions;
  signal: AbortSignal;
  progress: Progress;
  lanes: Lanes;
  /** Bytes that can still be kept. */
  room: number;
}

/** `trusting` uses what is wholly kept without asking its server. */
export async function openRemote(targets: Target[], options: OpenOptions, trusting: boolean): Promise<ByteSource[]> {
  const signal = options.signal ?? new AbortController().signal;
  if (signal.aborted) throw aborted();
  const keeping = options.cache && (await usable());
  const progress = new Progress((state) => options.onProgress(state));
  const opening: Opening = { options, signal, progress, lanes: new Lanes(), room: keeping ? await room() : 0 };
  const parts: Part[] = [];
  const files: RemoteFile[] = [];
  try {
    // In the order of the parts, so that two tabs cannot each hold what the other waits for.
    for (const target of targets) parts.push(keeping ? await claim(target, opening) : { target, release() {} });
    await Promise.all(parts.map((part) => inspect(part, opening, trusting)));
    for (const part of parts) files.push(await planFile(part, opening));
    if (signal.aborted) throw aborted();
  } catch (error) {
    for (const file of files) file.close();
    for (const part of parts) {
      part.entry?.close();
      part.release();
    }
    throw signal.aborted ? aborted() : error;
  }
  const sum = (what: 'present' | 'size') => files.reduce((total, file) => total + file[what], 0);
  progress.expect('download', sum('present'), sum('size'));
  for (const file of files) file.start();
  return files;
}

async function claim(target: Target, { signal, progress }: Opening): Promise<Part> {
  const key = await keyOf(target.url);
  const release = await lock(key, signal, () => progress.wait());
  try {
    return { target, key, release, entry: await Entry.open(key) };
  } catch (error) {
    release();
    throw error;
  }
}

/** Asks the server what it has, and drops what is kept where that is something else. */
async function inspect(part: Part, { options, signal }: Opening, trusting: boolean): Promise<void> {
  const { target, entry } = part;
  if (trusting && entry?.complete) return;
  try {
    part.server = await describe(target.url, signal, entry?.complete ?? false);
  } catch (error) {
    // Without a network, or behind a page that asks to log in, what is here is as good as it was.
    if (entry?.complete && !signal.aborted) return;
    throw error;
  }
  if (!entry) return;
  const { size, etag, sha256 } = entry.about;
  const server = part.server;
  const other = (a: string | undefined, b: string | undefined) => a !== undefined && b !== undefined && a !== b;
  if (size === server.size && !other(etag, server.etag) && !other(sha256, target.sha256 ?? server.sha256)) return;
  options.onNotice(`${entry.about.name} has changed on its server since it was kept; it is fetched anew.`);
  part.entry = undefined;
  await entry.remove();
}

async function planFile(part: Part, opening: Opening): Promise<RemoteFile> {
  const { target, server } = part;
  const { options, signal, lanes, progress } = opening;
  const kept = part.entry?.about;
  const etag = kept?.etag ?? server?.etag;
  const sha256 = target.sha256 ?? server?.sha256 ?? kept?.sha256;
  const about = {
    url: target.url,
    name: target.name ?? kept?.name ?? nameOf(target.url),
    size: (kept ?? server!).size,
    ...(etag && { etag }),
    ...(sha256 && { sha256 }),
  };
  const keep = await keeps(part, about, opening);
  const ranges = server?.ranges ?? true;
  // A name or a checksum that was given now is for this visit; the entry goes on with what it was begun with.
  const file: RemoteFile = new RemoteFile({
    about,
    ranges,
    keep,
    lanes,
    progress,
    ...(part.entry && { entry: part.entry }),
    notice: (text) => options.onNotice(text),
    sha256: () => options.sha256(),
    release() {
      signal.removeEventListener('abort', stop);
      part.release();
    },
  });
  const stop = () => file.close();
  signal.addEventListener('abort', stop);
  return file;
}

/**
 * Whether the file is kept; makes its entry where there is none. Says why not, and refuses where it could not be read
 * then.
 */
async function keeps(part: Part, about: Entry['about'], opening: Opening): Promise<boolean> {
  const { options } = opening;
  const missing = about.size - (part.entry?.present ?? 0);
  let problem: string | undefined;
  if (part.key === undefined) {
    if (options.cache) problem = 'there is no storage for it here';
  } else if (missing > opening.room) {
    problem = `it needs ${sizeText(missing)}, and this browser has room for ${sizeText(opening.room)}`;
  } else {
    opening.room -= missing;
    try {
      part.entry ??= await Entry.create(part.key, about);
      persistOnce();
      return true;
    } catch (error) {
      problem = messageOf(error);
    }
  }
  if (part.server && !part.server.ranges) {
    if (part.key === undefined) throw noRanges(about.url);
    throw new LanternError(
      'quota',
      `${about.name} cannot be kept: ${problem}; and its server gives no parts of a file, so it` +
        ' cannot be used without keeping it. Remove other models, or use another server.',
    );
  }
  const unchecked = about.sha256 ? ' Its checksum is not compared.' : '';
  if (problem) options.onNotice(`${about.name} is not kept for the next visit: ${problem}.${unchecked}`);
  else if (unchecked) options.onNotice(`${about.name} is not kept.${unchecked}`);
  return false;
}

function nameOf(url: string): string {
  const { pathname, host } = new URL(url);
  const last = pathname.split('/').at(-1);
  try {
    return decodeURIComponent(last || host);
  } catch {
    return last || host;
  }
}
