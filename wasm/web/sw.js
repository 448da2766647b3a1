// The service worker: keeps the page's own files, and answers with them, so that it starts offline. Models are none of
// its business: those are the engine's, which keeps them in the origin's file system.

// Written by assemble.mjs: another content is another version, and browsers notice.
const VERSION = 'unassembled';
const CACHE = `lantern-${VERSION}`;
/** What a deployment may change beside the page: asked for first, and kept for when there is no network. */
const FRESH = new URL('models.json', self.registration.scope).href;

const address = (file) => new URL(file, self.registration.scope).href;

async function install() {
  const { version, files } = await (await fetch(address('files.json'), { cache: 'no-store' })).json();
  // In the middle of a deployment old and new lie side by side: rather try at the next visit.
  if (version !== VERSION) throw new Error('files.json is of another version');
  const cache = await caches.open(CACHE);
  await cache.addAll(files.map((file) => new Request(address(file), { cache: 'no-cache' })));
  await cache.add(FRESH).catch(() => {});
}

async function activate() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith('lantern-') && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function fresh(request) {
  const cache = await caches.open(CACHE);
  try {
    const reply = await fetch(request);
    if (reply.ok) await cache.put(FRESH, reply.clone());
    return reply;
  } catch {
    return (await cache.match(FRESH)) ?? Response.error();
  }
}

async function kept(request, url) {
  const cache = await caches.open(CACHE);
  return (await cache.match(url)) ?? fetch(request);
}

/** The kinds of files that the page is made of. A model, whatever its name, is left to the browser. */
const PAGE = /(?:\/|\.(?:html|js|css|svg|png|wasm|webmanifest|json))$/;

/** The address that a request stands for in the cache; null for what is left to the browser. */
function known({ method, url, headers }) {
  const { origin, pathname } = new URL(url);
  const plain = origin + pathname;
  const { scope } = self.registration;
  if (method !== 'GET' || headers.has('range') || !plain.startsWith(scope) || !PAGE.test(pathname)) return null;
  return plain === scope ? address('index.html') : plain;
}

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('message', (event) => {
  if (event.data === 'take-over') self.skipWaiting();
});
self.addEventListener('fetch', (event) => {
  const url = known(event.request);
  if (url === FRESH) event.respondWith(fresh(event.request));
  else if (url) event.respondWith(kept(event.request, url));
});
