// The dedicated worker that the engine runs in.

import { Host } from './host.js';
import type { Reply, Request } from './protocol.js';

const scope = globalThis as unknown as {
  postMessage(reply: Reply, transfer: Transferable[]): void;
  onmessage: (event: MessageEvent<Request>) => void;
};
const host = new Host((reply, transfer = []) => scope.postMessage(reply, transfer));
scope.onmessage = ({ data }) => host.receive(data);
