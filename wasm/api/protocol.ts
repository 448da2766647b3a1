// Messages between the page's side and the engine's. The sides are two threads in a browser, one under Node.

import type { ErrorCode, LanternError } from './errors.js';

/** From the page: a call, or the wish to end one. */
export type Request = { id: number; method: string; args: unknown[] } | { abort: number };

/** From the engine: a call's end, something that happens during it, or a line for the user. */
export type Reply =
  | { id: number; value: unknown }
  | { id: number; error: { code: ErrorCode; message: string } }
  | { id: number; event: unknown }
  | { notice: string };

/** One side's way to the other. */
export interface Port {
  postMessage(request: Request): void;
  onmessage: ((reply: Reply) => void) | undefined;
  /** The other side is gone. */
  onfailure: ((reason: LanternError) => void) | undefined;
  close(): void;
}
