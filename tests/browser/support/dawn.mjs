// WebGPU for Node: Dawn without a browser, on SwiftShader where Debian's Chromium has brought it. To be imported before
// the package, which looks for what a browser has.

import { existsSync } from 'node:fs';
import { create, globals } from 'webgpu';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

if (!existsSync(SWIFTSHADER)) throw new Error(`${SWIFTSHADER} is missing: apt-get install chromium`);
process.env.VK_DRIVER_FILES = SWIFTSHADER;
process.env.VK_ICD_FILENAMES = SWIFTSHADER; // what older loaders look for

Object.assign(globalThis, globals);
Object.defineProperty(globalThis, 'navigator', { value: { gpu: create([]) }, configurable: true });
// wgpu takes what has a `Window` for a page.
globalThis.Window ??= class Window {};
