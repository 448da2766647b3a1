// Opens the way to the engine: a dedicated worker where there are any, this very thread elsewhere (Node).

import type { Port, Reply, Request } from './protocol.js';

export async function openPort(): Promise<Port> {
  return typeof Worker === 'undefined' ? here() : worker();
}

function worker(): Port {
  const thread = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'lantern' });
  const port: Port = {
    postMessage: (request) => thread.postMessage(request),
    onmessage: undefined,
    onfailure: undefined,
    close: () => thread.terminate(),
  };
  thread.onmessage = ({ data }: MessageEvent<Reply>) => port.onmessage?.(data);
  thread.onerror = (event) => port.onfailure?.(event.message || 'the worker could not be started');
  return port;
}

async function here(): Promise<Port> {
  const { Host } = await import('./host.js');
  const port: Port = {
    postMessage: (request: Request) => host.receive(request),
    onmessage: undefined,
    onfailure: undefined,
    close: () => host.close(),
  };
  const host = new Host((reply) => port.onmessage?.(reply));
  return port;
}
