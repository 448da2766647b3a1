// The page's end of the protocol: calls become promises, aborts and events find their way.

import { LanternError, aborted } from './errors.js';
import type { Port, Reply } from './protocol.js';

interface Call {
  resolve(value: unknown): void;
  reject(error: LanternError): void;
  onEvent?: ((event: never) => void) | undefined;
}

export interface CallOptions<Event> {
  signal?: AbortSignal | undefined;
  onEvent?: ((event: Event) => void) | undefined;
}

export class Connection {
  private readonly calls = new Map<number, Call>();
  private next = 1;
  private gone: LanternError | undefined;

  constructor(
    private readonly port: Port,
    private readonly onNotice: (text: string) => void,
  ) {
    port.onmessage = (reply) => this.receive(reply);
    port.onfailure = (reason) => this.close(reason);
  }

  /** Calls the engine. An abort is passed on, and the engine answers to it when it has stopped. */
  call<Value, Event = never>(method: string, args: unknown[], options: CallOptions<Event> = {}): Promise<Value> {
    const { signal, onEvent } = options;
    if (this.gone) return Promise.reject(this.gone);
    if (signal?.aborted) return Promise.reject(aborted());
    const id = this.next++;
    const abort = () => this.port.postMessage({ abort: id });
    const answered = new Promise<Value>((resolve, reject) => {
      this.calls.set(id, { resolve: resolve as (value: unknown) => void, reject, onEvent });
    });
    signal?.addEventListener('abort', abort);
    try {
      this.port.postMessage({ id, method, args });
    } catch (cause) {
      this.calls.delete(id);
      signal?.removeEventListener('abort', abort);
      const problem = cause instanceof Error ? cause.message : String(cause);
      return Promise.reject(new LanternError('bad-input', problem, { cause }));
    }
    return answered.finally(() => signal?.removeEventListener('abort', abort));
  }

  /** Ends the engine; calls that are under way reject. */
  close(reason = new LanternError('aborted', 'the engine was closed')): void {
    if (this.gone) return;
    this.gone = reason;
    this.port.close();
    for (const call of this.calls.values()) call.reject(reason);
    this.calls.clear();
  }

  private receive(reply: Reply): void {
    if ('notice' in reply) {
      this.onNotice(reply.notice);
      return;
    }
    const call = this.calls.get(reply.id);
    if (!call) return;
    if ('event' in reply) {
      call.onEvent?.(reply.event as never);
      return;
    }
    this.calls.delete(reply.id);
    if ('error' in reply) call.reject(new LanternError(reply.error.code, reply.error.message));
    else call.resolve(reply.value);
  }
}
