// Ids of the Hugging Face hub, `hf:owner/repo` or `hf:owner/repo/file.gguf`: which file is meant, its address and its
// checksum. The choice among several files is the engine's.

import { LanternError } from '../errors.js';
import { asSha256, type OpenOptions } from './contract.js';
import { fetchJson } from './http.js';
import { list } from './storage.js';

const FORM = /^hf:([A-Za-z0-9_-][\w.-]*\/[A-Za-z0-9_-][\w.-]*)(?:\/(.+))?$/;

interface Listing {
  siblings: { rfilename: string; lfs?: { sha256?: string } }[];
}

/** A file of the hub, and the checksums of all files of its repository by their addresses. */
export interface HubFile {
  url: string;
  sums: Map<string, string>;
}

export async function findOnHub(id: string, options: OpenOptions): Promise<HubFile> {
  const { hub, preferred, signal = new AbortController().signal } = options;
  const [, repo, file] = FORM.exec(id) ?? [];
  if (!repo || (file !== undefined && !staysInside(file))) {
    throw new LanternError(
      'bad-input',
      `${id} is not an id of the hub; write hf:owner/repo or hf:owner/repo/file.gguf`,
    );
  }
  const base = hub.replace(/\/+$/, '');
  const url = (name: string) => `${base}/${repo}/resolve/main/${name.split('/').map(encodeURIComponent).join('/')}`;
  let listing: Listing;
  try {
    listing = (await fetchJson(`${base}/api/models/${repo}?blobs=true`, signal)) as Listing;
  } catch (error) {
    // Without a network, a file that is named or was kept is still known.
    if (!(error instanceof LanternError) || error.code !== 'network') throw error;
    const kept = file === undefined ? await keptOf(url('')) : url(file);
    if (kept === undefined) throw error;
    return { url: kept, sums: new Map() };
  }
  if (!Array.isArray(listing?.siblings)) {
    throw new LanternError('network', `${base} did not list the files of ${repo}; is that the address of a hub?`);
  }
  const names = listing.siblings.map((sibling) => sibling.rfilename).filter(staysInside);
  const chosen = file === undefined ? preferred(names) : names.find((name) => name === file);
  if (chosen === undefined) throw noSuchFile(repo, file, names);
  const sums = new Map<string, string>();
  for (const { rfilename, lfs } of listing.siblings) {
    const sum = asSha256(lfs?.sha256);
    if (sum) sums.set(new URL(url(rfilename)).href, sum);
  }
  return { url: url(chosen), sums };
}

async function keptOf(prefix: string): Promise<string | undefined> {
  const start = new URL(prefix).href;
  return (await list()).find((entry) => entry.complete && entry.url.startsWith(start))?.url;
}

function noSuchFile(repo: string, file: string | undefined, names: string[]): LanternError {
  const problem =
    file === undefined ? `${repo} does not say which of its files is the model` : `${repo} has no file ${file}`;
  const models = names.filter(isGguf);
  return new LanternError(
    'not-found',
    models.length === 0
      ? `${problem}, and no .gguf file at all; look for a repository with GGUF in its name`
      : `${problem}. Name one as hf:${repo}/FILE, from: ${models.join(', ')}`,
  );
}

function isGguf(name: string): boolean {
  return /[^/]\.gguf$/i.test(name);
}

/** A relative name that cannot leave the folder it is joined to. */
function staysInside(name: unknown): name is string {
  return (
    typeof name === 'string' &&
    !/[\\:\u0000-\u001f]/.test(name) &&
    name.split('/').every((part) => part !== '' && !part.startsWith('.'))
  );
}
