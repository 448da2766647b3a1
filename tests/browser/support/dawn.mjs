// WebGPU outside of a browser: Deno's own, or npm's `webgpu` for Node, which is Dawn, on the driver that LANTERN_DAWN_DRIVER
// names or else on SwiftShader, where Debian's Chromium has brought it. To be imported before the package, which looks
// for what a browser has.

import { existsSync, openAsBlob, readFileSync } from 'node:fs';

const IN_DENO = 'Deno' in globalThis;
const { LANTERN_DAWN_DRIVER } = process.env;

/** The program that runs this, and what its adapter is to be, so that it is no other. */
export const HOST = IN_DENO
  ? { name: 'Deno', adapter: /llvmpipe/, f16: true, subgroups: false }
  : LANTERN_DAWN_DRIVER
    ? { name: 'Node', adapter: /llvmpipe/, f16: true, subgroups: true }
    : { name: 'Node', adapter: /swiftshader/i, f16: false, subgroups: true };

/** A file as a Blob. Deno's of files on the disk cannot be sent to a worker. */
export function fileAsBlob(path) {
  return IN_DENO ? new Blob([readFileSync(path)]) : openAsBlob(path);
}

if (!IN_DENO) {
  const { create, globals } = await import('webgpu');
  const driver = LANTERN_DAWN_DRIVER ?? '/usr/lib/chromium/vk_swiftshader_icd.json';
  if (!existsSync(driver)) throw new Error(`${driver} is missing: apt-get install chromium`);
  process.env.VK_DRIVER_FILES = driver;
  process.env.VK_ICD_FILENAMES = driver; // what older loaders look for
  Object.assign(globalThis, globals);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: create([]) }, configurable: true });
}
// wgpu takes what has a `Window` for a page.
globalThis.Window ??= class Window {};
