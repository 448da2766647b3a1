// Where a model's bytes come from: addresses, picked files, the hub, the cache. What the engine uses of this folder is
// exported here.

import { LanternError } from '../errors.js';
import type { ModelSource } from '../types.js';
import { openBlobs } from './blob.js';
import { asSha256, type ByteSource, type OpenOptions } from './contract.js';
import { findOnHub } from './hub.js';
import { openRemote, type Target } from './open.js';
import { allParts } from './split.js';
import { clear, estimate, list, persist, remove } from './storage.js';

export type { ByteSource, Hasher, OpenOptions } from './contract.js';

export const cache = { list, remove, clear, estimate, persist };

/** The files of the model in their order: one, or the parts of one that is split. */
export async function openSource(source: ModelSource, options: OpenOptions): Promise<ByteSource[]> {
  if (source instanceof Blob) return openBlobs([source]);
  if (Array.isArray(source)) return openBlobs(source);
  if (typeof source === 'string' && source.startsWith('hf:')) {
    const { url, sums } = await findOnHub(source, options);
    const targets = targetsAt(address(url)).map((target) => ({ ...target, ...sumOf(sums.get(target.url)) }));
    return openRemote(targets, options, false);
  }
  if (typeof source === 'string' || source instanceof URL)
    return openRemote(targetsAt(address(source)), options, false);
  if (typeof source === 'object' && 'cached' in source) {
    const entry = (await list()).find(({ key }) => key === source.cached);
    if (!entry)
      throw new LanternError('not-found', `the cache has no entry ${source.cached}; it may have been removed`);
    return openRemote(targetsAt(address(entry.url)), { ...options, cache: true }, true);
  }
  if (typeof source === 'object' && 'url' in source) return openRemote(withDetails(source), options, false);
  throw new LanternError('bad-input', 'a model is an address, a file, the parts of a file, or an entry of the cache');
}

function withDetails({ url, sha256, name }: { url: string | URL; sha256?: string; name?: string }): Target[] {
  const sum = asSha256(sha256);
  if (sha256 !== undefined && !sum)
    throw new LanternError('bad-input', `${sha256} is not a SHA-256: that has 64 hex digits`);
  const given = address(url);
  const targets = targetsAt(given);
  // The checksum is that of the one file whose address was given.
  return targets.map((target, at) => ({
    ...target,
    ...(target.url === given.href && sumOf(sum)),
    ...(name && { name: targets.length === 1 ? name : `${name}, part ${at + 1} of ${targets.length}` }),
  }));
}

function sumOf(sha256: string | undefined): { sha256?: string } {
  return sha256 ? { sha256 } : {};
}

function address(given: string | URL): URL {
  let url: URL;
  try {
    url = new URL(given, globalThis.location?.href);
  } catch (cause) {
    throw new LanternError('bad-input', `${given} is not an address`, { cause });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new LanternError('bad-input', `${url.href} is not an address of the web; open a file by picking it`);
  }
  url.hash = '';
  return url;
}

function targetsAt(url: URL): Target[] {
  return allParts(url.pathname).map((pathname) => {
    const part = new URL(url);
    part.pathname = pathname;
    return { url: part.href };
  });
}
