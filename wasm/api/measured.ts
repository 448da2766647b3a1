// Measurements of a GPU, kept in OPFS for the next visit: which kernels compute right on it, and which are fastest.

import type { Gpu } from './engine/lantern_wasm.js';
import type { AdapterInfo } from './types.js';

const FOLDER = ['lantern', 'gpus'];
/** Letters of a file's name. */
const NAME_MAX = 120;

/** One file for each GPU. None where nothing can be kept: a private window, or Node. */
async function file(info: AdapterInfo): Promise<FileSystemFileHandle | undefined> {
  try {
    let dir = await globalThis.navigator.storage.getDirectory();
    for (const name of FOLDER) dir = await dir.getDirectoryHandle(name, { create: true });
    const name = info.name.replaceAll(/[^A-Za-z0-9]/g, '-').slice(0, NAME_MAX);
    return await dir.getFileHandle(`${name}.json`, { create: true });
  } catch {
    return undefined;
  }
}

/** Has the engine use what is kept. Whether anything can be. */
export async function recall(gpu: Gpu, info: AdapterInfo): Promise<boolean> {
  const handle = await file(info);
  const text = await handle?.getFile().then((kept) => kept.text());
  try {
    if (text) gpu.recall(text); // passed over where it is of another GPU, driver or version
  } catch {
    // Damaged: it is measured again.
  }
  return handle !== undefined;
}

/** Keeps what is known by now. What cannot be kept is measured again next time. */
export async function keep(gpu: Gpu, info: AdapterInfo): Promise<void> {
  const stream = await (await file(info))?.createWritable().catch(() => undefined);
  await stream
    ?.write(gpu.measured())
    .then(() => stream.close())
    .catch(() => stream.abort().catch(() => {}));
}
