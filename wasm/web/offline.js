// Registers the service worker that makes the page work offline, and offers a new version when one has been fetched.

import { notice } from './dom.js';

export async function goOffline() {
  const workers = navigator.serviceWorker;
  if (!workers || !isSecureContext) return;
  let reloading = false;
  const offer = (worker) =>
    notice('A new version of Lantern is ready.', {
      stay: true,
      action: {
        label: 'Reload',
        run: () => {
          reloading = true;
          worker.postMessage('take-over');
        },
      },
    });
  workers.addEventListener('controllerchange', () => {
    if (reloading) location.reload();
  });
  try {
    const registration = await workers.register('sw.js');
    // Without a controller this is the first visit: there is nothing to replace.
    if (registration.waiting && workers.controller) offer(registration.waiting);
    registration.addEventListener('updatefound', () => {
      const worker = registration.installing;
      worker.addEventListener('statechange', () => {
        if (worker.state === 'installed' && workers.controller) offer(worker);
      });
    });
  } catch {
    /* Private windows refuse; the page then needs the network, and says nothing of it. */
  }
}
