// Opens the GPU for the engine, and adds what wgpu's browser backend leaves out: the adapter's name, and subgroups.

import init, { Gpu } from './engine/lantern_wasm.js';
import { LanternError } from './errors.js';
import type { AdapterInfo } from './types.js';

interface Adapter {
  info?: { vendor?: string; architecture?: string; device?: string; description?: string; isFallbackAdapter?: boolean };
  isFallbackAdapter?: boolean;
  features: ReadonlySet<string>;
}
interface Navigator {
  gpu?: { requestAdapter(options?: object): Promise<Adapter | null> };
}
type Request = (this: Adapter, descriptor?: { requiredFeatures?: Iterable<string> }) => Promise<unknown>;

/** Renderers that run on the CPU and do not always say so. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render/i;

let ready: Promise<unknown> | undefined;

const CODE = new URL('./engine/lantern_wasm_bg.wasm', import.meta.url);

/** Starts wasm, once. */
async function start(): Promise<void> {
  ready ??= wasm(CODE).then((module_or_path) => init({ module_or_path }));
  try {
    await ready;
  } catch (cause) {
    ready = undefined;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LanternError('network', `the engine's code did not come from ${CODE.href}: ${why}`, { cause });
  }
}

/** The engine's code; Node's `fetch` reads no files. */
async function wasm(url: URL): Promise<URL | BufferSource> {
  if (url.protocol !== 'file:') return url;
  const fs = 'node:fs/promises'; // not a name that a bundler should look for
  const { readFile } = await import(/* @vite-ignore */ fs);
  return readFile(url);
}

/** Features that the engine can do without. */
const WITHOUT = ['f16', 'subgroups'] as const;

/** Features that the engine is to do without, a smaller limit, and faults to provoke. */
export interface GpuWishes {
  without: (typeof WITHOUT)[number][];
  max_binding?: number | undefined;
  faults?: string[] | undefined;
}

/** A device; `no-webgpu` or `no-adapter` where there is none. */
export async function openGpu({
  without,
  max_binding,
  faults = [],
}: GpuWishes): Promise<{ gpu: Gpu; info: AdapterInfo }> {
  const unknown = without.find((name) => !WITHOUT.includes(name));
  if (unknown !== undefined) {
    throw new LanternError('bad-input', `without: there is no ${unknown}; there are ${WITHOUT.join(', ')}`);
  }
  const { gpu: entry } = (globalThis.navigator ?? {}) as Navigator;
  if (!entry) {
    const where =
      globalThis.isSecureContext === false
        ? 'WebGPU is only there on pages that come over https or from localhost'
        : 'this browser has no WebGPU: use Chrome or Edge 113, Firefox 141 or Safari 26, or a later one';
    throw new LanternError('no-webgpu', where);
  }
  const adapter = await entry.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new LanternError(
      'no-adapter',
      'this browser has WebGPU, but no GPU to offer: switch on hardware acceleration in ' +
        'its settings, or see chrome://gpu (about:support in Firefox) for why the GPU is not used',
    );
  }
  addSubgroups();
  await start();
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info ?? {};
  const name = description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unnamed GPU';
  const software = isFallbackAdapter ?? adapter.isFallbackAdapter ?? false;
  const known = {
    max_binding,
    faults,
    f16: !without.includes('f16'),
    name,
    software: software || SOFTWARE.test(`${name} ${architecture}`),
    subgroups: adapter.features.has('subgroups') && !without.includes('subgroups'),
  };
  const gpu = await Gpu.open(JSON.stringify(known));
  return { gpu, info: JSON.parse(gpu.adapter()) as AdapterInfo };
}

/** wgpu asks for the features that it knows, and subgroups are not among them. */
function addSubgroups(): void {
  const scope = globalThis as { GPUAdapter?: { prototype: { requestDevice: Request & { withSubgroups?: true } } } };
  const prototype = scope.GPUAdapter?.prototype;
  if (!prototype || prototype.requestDevice.withSubgroups) return;
  const request = prototype.requestDevice;
  const patched: Request & { withSubgroups?: true } = function (descriptor = {}) {
    if (!this.features.has('subgroups')) return request.call(this, descriptor);
    const requiredFeatures = [...(descriptor.requiredFeatures ?? []), 'subgroups'];
    return request.call(this, { ...descriptor, requiredFeatures });
  };
  patched.withSubgroups = true;
  prototype.requestDevice = patched;
}
