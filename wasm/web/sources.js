// Where models come from: the offered ones, an address that somebody typed, files, and what the cache holds. A choice
// is { name, source, key?, origin? }: what to show, what load() takes, its place in the cache once known, and where it
// came from first if `source` is the cache.

/** The models that this deployment offers, the default first. `models.json` beside the page says which. */
export async function offered() {
  try {
    const reply = await fetch('models.json');
    if (!reply.ok) return [];
    const { default: first, more = [] } = await reply.json();
    return [first, ...more].filter(Boolean).map(({ name, about, url, sha256, size }) => ({
      name,
      about,
      size,
      source: url.startsWith('hf:') ? url : { url: new URL(url, document.baseURI).href, sha256, name },
    }));
  } catch {
    return [];
  }
}

/** Reads what somebody typed: an address, or a name on the hub. Throws in plain words. */
export function fromText(text) {
  const typed = text.trim();
  const page = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\/([^/\s]+\/[^/\s?#]+)\/?(?:tree\/main\/?)?$/.exec(
    typed,
  );
  const hub = page?.[1] ?? /^(?:hf:)?([\w.-]+\/[\w.-]+(?:[/:][\w.\-/]+)?)$/.exec(typed)?.[1];
  if (hub) {
    const id = hub.replace(':', '/');
    return {
      name: id
        .split('/')
        .slice(1)
        .pop()
        .replace(/\.gguf$/i, ''),
      source: `hf:${id}`,
    };
  }
  const url =
    URL.canParse(typed, document.baseURI) && /^(https?:\/\/|\.?\/)/.test(typed)
      ? new URL(typed, document.baseURI)
      : null;
  if (!url) throw new Error('That is neither an address nor a name such as owner/repo.');
  const local = ['localhost', '127.0.0.1', location.hostname].includes(url.hostname);
  if (url.protocol === 'http:' && !local) throw new Error('Only https addresses can be loaded from other machines.');
  // The hub's page about a file, which is what people copy, differs from the file in one word.
  if (/(^|\.)(huggingface|hf)\.co$/.test(url.hostname)) url.pathname = url.pathname.replace('/blob/', '/resolve/');
  const name = decodeURIComponent(url.pathname.split('/').pop()).replace(/\.gguf$/i, '') || url.hostname;
  return { name, source: { url: url.href, name } };
}

/** Files that were picked or dropped. Throws in plain words. */
export function fromFiles(files) {
  const models = [...files].filter(({ name }) => /\.gguf$/i.test(name)).sort((a, b) => a.name.localeCompare(b.name));
  if (!models.length) throw new Error('That is not a GGUF file: its name should end in .gguf.');
  return {
    name: models[0].name.replace(/(-0*1-of-\d+)?\.gguf$/i, ''),
    source: models.length === 1 ? models[0] : models,
  };
}

const PART = /-(\d{5})-of-(\d{5})(?=\.gguf|$)/i;

/** The cache's entries as models: the parts of a split file are one, loaded by its first part. */
export function grouped(entries) {
  const groups = new Map();
  for (const entry of entries) {
    const part = PART.exec(entry.name);
    const id = part ? entry.url.replace(PART, '') + entry.name.replace(PART, '') : entry.key;
    const group = groups.get(id) ?? {
      name: entry.name.replace(PART, '').replace(/\.gguf$/i, ''),
      keys: [],
      urls: [],
      key: null,
      size: 0,
      present: 0,
      used: 0,
      complete: true,
      parts: part ? Number(part[2]) : 1,
    };
    group.keys.push(entry.key);
    group.urls.push(entry.url);
    group.size += entry.size;
    group.present += entry.present;
    group.used = Math.max(group.used, entry.used);
    group.complete &&= entry.complete;
    if (!part || Number(part[1]) === 1) group.key = entry.key;
    groups.set(id, group);
  }
  const list = [...groups.values()];
  for (const group of list) group.complete &&= group.key !== null && group.keys.length === group.parts;
  return list.sort((a, b) => b.used - a.used);
}

/** The cached model that a choice is, if it is there. */
export function inCache(choice, groups) {
  const url = choice?.source?.url ?? choice?.origin?.url;
  return (
    groups.find((group) => (choice?.key && group.keys.includes(choice.key)) || (url && group.urls.includes(url))) ??
    null
  );
}
