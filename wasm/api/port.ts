// Opens the way to the engine: a dedicated worker where there are any, this very thread elsewhere (Node).

import { LanternError } from './errors.js';
import type { Port, Reply, Request } from './protocol.js';

export async function openPort(): Promise<Port> {
  return typeof Worker === 'undefined' ? here() : worker();
}

function worker(): Port {
  let thread: Worker;
  try {
    thread = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'lantern' });
  } catch (cause) {
    throw unstarted(cause instanceof Error ? cause.message : String(cause), cause);
  }
  let started = false;
  const port: Port = {
    postMessage: (request) => thread.postMessage(request),
    onmessage: undefined,
    onfailure: undefined,
    close: () => thread.terminate(),
  };
  thread.onmessage = ({ data }: MessageEvent<Reply>) => {
    started = true;
    port.onmessage?.(data);
  };
  thread.onerror = ({ message = 'it could not be loaded', error }) =>
    port.onfailure?.(started ? new LanternError('internal', message, { cause: error }) : unstarted(message, error));
  return port;
}

function unstarted(why: string, cause: unknown): LanternError {
  const advice = 'serve all of the package from the same origin as the page, and let its policy allow `worker-src`';
  return new LanternError('unsupported', `the worker could not be started: ${why}; ${advice}`, { cause });
}

async function here(): Promise<Port> {
  const { Host } = await import('./host.js');
  const port: Port = {
    postMessage: (request: Request) => host.receive(request),
    onmessage: undefined,
    onfailure: undefined,
    close: () => host.close(),
  };
  // Never in the midst of a call, as from a worker.
  const host = new Host((reply) => queueMicrotask(() => port.onmessage?.(reply)));
  return port;
}
