// Sessions in OPFS: what a session says of itself, then its cache piece by piece. A file is written beside the old one
// and takes its place when it is whole.

import type { LoadedModel } from './engine/lantern_wasm.js';
import { LanternError, aborted } from './errors.js';
import type { SavedSession } from './types.js';

const FOLDER = ['lantern', 'sessions'];
const ENDING = '.session';
/** Marks the file, and its form. */
const MAGIC = 0x4c53_4e31;
const HEAD_MAX = 64 << 20;
/** Letters of a file's name, which file systems hold to 255. */
const NAME_MAX = 240;

async function folder(): Promise<FileSystemDirectoryHandle> {
  const storage = globalThis.navigator?.storage;
  if (!storage?.getDirectory) {
    throw new LanternError(
      'unsupported',
      'sessions cannot be kept here: there is no storage (a private window, or Node)',
    );
  }
  let dir = await storage.getDirectory();
  for (const name of FOLDER) dir = await dir.getDirectoryHandle(name, { create: true });
  return dir;
}

function fileName(name: string): string {
  if (!name) throw new LanternError('bad-input', 'a session is saved under a name');
  let file: string;
  try {
    file = encodeURIComponent(name) + ENDING;
  } catch (cause) {
    throw new LanternError('bad-input', 'the name of the session is no text (half a surrogate pair)', { cause });
  }
  if (file.length > NAME_MAX) throw new LanternError('bad-input', `the name of the session is too long: ${name}`);
  return file;
}

function full(error: unknown): unknown {
  if ((error as Error).name !== 'QuotaExceededError') return error;
  return new LanternError(
    'quota',
    'there is no room left in this browser to save the session; remove models or other sessions',
    { cause: error },
  );
}

export async function save(model: LoadedModel, name: string, signal: AbortSignal): Promise<void> {
  const head = new TextEncoder().encode(model.save());
  const file = await (await folder()).getFileHandle(fileName(name), { create: true });
  const stream = await file.createWritable();
  try {
    await stream.write(new Uint32Array([MAGIC, head.length]));
    await stream.write(head);
    for (let index = 0; index < model.pieces(); index += 1) {
      if (signal.aborted) throw aborted();
      await stream.write((await model.read_piece(index)) as Uint8Array<ArrayBuffer>);
    }
    await stream.close();
  } catch (error) {
    await stream.abort().catch(() => {});
    throw full(error);
  }
}

export async function restore(model: LoadedModel, name: string, signal: AbortSignal): Promise<boolean> {
  const dir = await folder();
  let file: File;
  try {
    file = await (await dir.getFileHandle(fileName(name))).getFile();
  } catch (error) {
    if ((error as Error).name === 'NotFoundError') return false;
    throw error;
  }
  if (file.size === 0) return false; // begun by a tab that was closed before it could write
  const damaged = (cause?: unknown) =>
    new LanternError('bad-file', `the saved session ${name} is damaged; save it again`, { cause });
  const bytes = async (from: number, count: number) => {
    try {
      return new Uint8Array(await file.slice(from, from + count).arrayBuffer());
    } catch (cause) {
      throw damaged(cause);
    }
  };
  const start = await bytes(0, 8);
  if (start.length < 8) throw damaged();
  const [magic = 0, length = 0] = new Uint32Array(start.buffer);
  if (magic !== MAGIC || length > HEAD_MAX || 8 + length > file.size) throw damaged();
  model.restore(new TextDecoder().decode(await bytes(8, length)));
  try {
    const sizes = Array.from({ length: model.pieces() }, (_, index) => model.piece_bytes(index));
    let place = 8 + length;
    if (file.size !== sizes.reduce((all, size) => all + size, place)) throw damaged();
    for (const [index, size] of sizes.entries()) {
      if (signal.aborted) throw aborted();
      model.write_piece(index, await bytes(place, size));
      place += size;
    }
    return true;
  } catch (error) {
    model.reset(); // half a session is none
    throw error;
  }
}

export async function list(): Promise<SavedSession[]> {
  const found: SavedSession[] = [];
  for await (const [name, handle] of (await folder()).entries()) {
    if (!name.endsWith(ENDING) || handle.kind !== 'file') continue;
    const { size, lastModified } = await (handle as FileSystemFileHandle).getFile();
    if (size > 0) found.push({ name: decodeURIComponent(name.slice(0, -ENDING.length)), size, saved: lastModified });
  }
  return found.sort((a, b) => b.saved - a.saved);
}

export async function remove(name: string): Promise<void> {
  try {
    await (await folder()).removeEntry(fileName(name));
  } catch (error) {
    if ((error as Error).name !== 'NotFoundError') throw error;
  }
}
