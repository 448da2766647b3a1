// The engine's side: takes calls one after the other, and brings a GPU that was lost back under them.

import { Gpu, LoadedModel, Sha256Hasher, header, memory_bytes, preferred_file } from './engine/lantern_wasm.js';
import { LanternError, aborted, type ErrorCode } from './errors.js';
import { openGpu, type GpuWishes } from './gpu.js';
import type { Reply, Request } from './protocol.js';
import { embed, rerank, type Texts } from './embeddings.js';
import * as measured from './measured.js';
import * as sessions from './sessions.js';
import { cache, openSource, type ByteSource } from './source/index.js';
import type {
  AdapterInfo,
  BenchOptions,
  BenchReport,
  Estimate,
  LoadOptions,
  LoadProgress,
  ModelHeader,
  ModelInfo,
  ModelSource,
  SelfTestRow,
} from './types.js';

/** How often a call may lose its GPU, and how often opening the next is tried, each time after twice as long a wait. */
const LOSSES_MAX = 3;
const TRIES_MAX = 6;
const WAIT_MS = 250;

/** How long the first load on a GPU may look for the fastest kernels. */
const TUNING_SECONDS = 1;

/** Calls that touch no model's session, and need not wait for those that do. */
const AT_ONCE = /^(cache|session|counters)/;

/** Signal and events of a call. */
interface Call {
  signal: AbortSignal;
  emit(event: unknown): void;
}

interface Held {
  source: ModelSource;
  options: LoadOptions;
  /** None when its GPU was lost. */
  model: LoadedModel | undefined;
}

/** Input that an answer goes on from. */
type Prompt = { text: string } | { tokens: number[] } | { conversation: object };

/** How a prompt becomes tokens. */
interface Reading {
  special?: boolean;
  overflow?: 'error' | 'drop-oldest';
  max_tokens?: number;
}

/** A prompt as the model gets it, and what became of its messages on the way. */
interface Read {
  tokens: Uint32Array;
  left_out: number;
  system_moved: boolean;
}

function tokensOf(prompt: Prompt, model: LoadedModel, reading: Reading): Read {
  const { special = false, overflow = 'error', max_tokens } = reading;
  if (!('conversation' in prompt)) {
    const tokens = 'tokens' in prompt ? Uint32Array.from(prompt.tokens) : model.prompt(prompt.text, special);
    return { tokens, left_out: 0, system_moved: false };
  }
  if (overflow !== 'error' && overflow !== 'drop-oldest')
    throw new LanternError('bad-input', `overflow is error or drop-oldest, not ${overflow}`);
  const input = JSON.stringify(prompt.conversation);
  const read = overflow === 'error' ? model.conversation(input, special) : model.fitting(input, special, max_tokens);
  const { tokens, left_out, system_moved } = read;
  read.free();
  return { tokens, left_out, system_moved };
}

export class Host {
  private gpu: Gpu | undefined;
  /** The GPU in use, and whether what is measured of it can be kept. */
  private adapter: { info: AdapterInfo; kept: boolean } | undefined;
  private hub = '';
  private wishes: GpuWishes = { without: [] };
  private readonly models = new Map<number, Held>();
  private readonly running = new Map<number, AbortController>();
  private next = 1;
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly post: (reply: Reply, transfer?: Transferable[]) => void) {}

  receive(request: Request): void {
    if ('abort' in request) {
      this.running.get(request.abort)?.abort();
      return;
    }
    const { id, method, args } = request;
    const control = new AbortController();
    this.running.set(id, control);
    const call: Call = { signal: control.signal, emit: (event) => this.post({ id, event }) };
    const turn = AT_ONCE.test(method) ? Promise.resolve() : this.last;
    const done = Promise.race([turn, whenAborted(control.signal)]).then(() => {
      if (control.signal.aborted) throw aborted();
      return this.perform(method, args, call);
    });
    // An aborted call ends before its turn; the next still waits for those before it.
    if (turn === this.last) this.last = Promise.allSettled([turn, done]);
    done
      .then(
        (value) => this.post({ id, value }, value instanceof Float32Array ? [value.buffer] : []),
        (error) => this.post({ id, error: described(error) }),
      )
      .finally(() => this.running.delete(id));
  }

  close(): void {
    for (const control of this.running.values()) control.abort();
    void this.last.then(() => this.drop());
  }

  private perform(method: string, args: unknown[], call: Call): unknown {
    const methods = this.methods as Record<string, (call: Call, ...args: never[]) => unknown>;
    if (!Object.hasOwn(methods, method)) throw new LanternError('bad-input', `there is no call ${method}`);
    return methods[method]!(call, ...(args as never[]));
  }

  private readonly methods = {
    create: (_: Call, { hub, ...wishes }: { hub: string } & GpuWishes) => {
      this.hub = hub;
      this.wishes = wishes;
      return this.open();
    },
    counters: () => ({ ...(this.gpu && JSON.parse(this.gpu.counters())), wasm_bytes: memory_bytes() }),
    selftest: (call: Call, only: string[]) => this.selftest(call, only),
    cacheList: () => cache.list(),
    cacheRemove: (_: Call, key: string) => cache.remove(key),
    cacheClear: () => cache.clear(),
    cacheEstimate: () => cache.estimate(),
    sessionList: () => sessions.list(),
    sessionRemove: (_: Call, name: string) => sessions.remove(name),
    load: async (call: Call, source: ModelSource, options: LoadOptions) => {
      const held: Held = { source, options, model: undefined };
      const model = await this.withModel(held, call, (model) => model, LOSSES_MAX, call.emit);
      const id = this.next++;
      this.models.set(id, held);
      return { id, info: JSON.parse(model.info()) as ModelInfo };
    },
    estimate: (call: Call, source: ModelSource, options: LoadOptions) => this.estimate(call, source, options),
    inspect: (call: Call, source: ModelSource) =>
      this.looking(call, source, async (sources) => JSON.parse(await header(sources)) as ModelHeader),
    unload: (_: Call, id: number) => {
      this.models.get(id)?.model?.free();
      this.models.delete(id);
    },
    tokenize: (call: Call, id: number, text: string, special: boolean) =>
      this.with(id, call, (model) => [...model.tokenize(text, special)]),
    detokenize: (call: Call, id: number, tokens: number[]) => this.with(id, call, (model) => model.detokenize(tokens)),
    logits: (call: Call, id: number, tokens: number[]) =>
      this.with(id, call, (model) => model.logits(Uint32Array.from(tokens), () => call.signal.aborted)),
    perplexity: (call: Call, id: number, text: string) =>
      this.with(id, call, async (model) => JSON.parse(await model.perplexity(text, () => call.signal.aborted))),
    embed: (call: Call, id: number, texts: Texts, options: object) =>
      this.with(id, call, (model) => embed(model, texts, options, progress(call))),
    rerank: (call: Call, id: number, query: string, texts: Texts) =>
      this.with(id, call, (model) => rerank(model, query, texts, progress(call))),
    bench: (call: Call, id: number, options: BenchOptions) =>
      this.with(id, call, async (model) => {
        const { prompt_tokens = 128, generated_tokens = 32, depths = 0, repetitions = 3, profile = false } = options;
        const wanted = JSON.stringify({
          host: host(),
          prompt_tokens: [prompt_tokens].flat(),
          generated_tokens: [generated_tokens].flat(),
          depths: [depths].flat(),
          repetitions,
          profile,
        });
        return JSON.parse(await model.bench(wanted, progress(call)));
      }),
    save: (call: Call, id: number, name: string) =>
      // Not again with a GPU that replaces a lost one: the session went with that, and the one saved before is worth more.
      this.with(id, call, (model) => sessions.save(model, name, call.signal), 0),
    restore: (call: Call, id: number, name: string) =>
      this.with(id, call, (model) => sessions.restore(model, name, call.signal)),
    answer: (call: Call, id: number, prompt: Prompt, options: Record<string, unknown>) =>
      this.answer(call, id, prompt, options),
  };

  private answer(call: Call, id: number, prompt: Prompt, options: Record<string, unknown>): Promise<unknown> {
    const { stop = [], seed = Math.floor(Math.random() * 2 ** 32), special, overflow, ...rest } = options;
    const reading = { special, overflow, max_tokens: rest.max_tokens } as Reading;
    const wanted = JSON.stringify({ ...rest, seed, stop: typeof stop === 'string' ? [stop] : stop });
    const sampled: number[] = []; // what a lost GPU had sampled is where the next goes on
    const emit = (text: string, reasoning_content: string, token: number | undefined) => {
      if (token !== undefined) sampled.push(token);
      if (text || reasoning_content) call.emit({ text, reasoning_content });
      return call.signal.aborted;
    };
    return this.with(id, call, async (model) => {
      const { tokens, ...read } = tokensOf(prompt, model, reading);
      const before = Uint32Array.from(sampled);
      const stop = () => call.signal.aborted;
      const templated = 'conversation' in prompt;
      const completion = JSON.parse(await model.answer(tokens, before, templated, wanted, emit, stop));
      return { ...completion, ...read };
    });
  }

  private async selftest(call: Call, only: string[]): Promise<SelfTestRow[]> {
    const rows: SelfTestRow[] = [];
    const each = (text: string, total: number) => {
      const row: SelfTestRow = JSON.parse(text);
      rows.push(row);
      call.emit({ row, done: rows.length, total });
      return call.signal.aborted;
    };
    try {
      await (await this.ready(call.signal)).selftest(only, each);
    } catch (error) {
      if (isOfDevice(error)) this.drop();
      throw error;
    }
    return rows;
  }

  private async estimate(call: Call, source: ModelSource, options: LoadOptions): Promise<Estimate> {
    const gpu = await this.ready(call.signal);
    const { context, precision = 'mixed', kv_cache } = options;
    const wanted = JSON.stringify({ context, precision, kv_cache });
    try {
      return await this.looking(call, source, async (sources) =>
        JSON.parse(await gpu.estimate(sources, wanted, () => call.signal.aborted)),
      );
    } catch (error) {
      if (isOfDevice(error)) this.drop();
      throw error;
    }
  }

  /** Does `work` with the files of a model of which only the header is read, and nothing is kept. */
  private async looking<Value>(
    call: Call,
    source: ModelSource,
    work: (sources: ByteSource[]) => Promise<Value>,
  ): Promise<Value> {
    const sources = await openSource(source, {
      cache: false,
      signal: call.signal,
      hub: this.hub,
      onProgress: () => {},
      onNotice: (notice) => this.post({ notice }),
      sha256: hasher,
      preferred: preferred_file,
    });
    try {
      return await work(sources);
    } finally {
      for (const file of sources) file.close();
    }
  }

  /** Does `work` with a model, again where its GPU is lost meanwhile. */
  private with<Value>(
    id: number,
    call: Call,
    work: (model: LoadedModel) => Value | Promise<Value>,
    losses = LOSSES_MAX,
  ): Promise<Value> {
    const held = this.models.get(id);
    if (!held) throw new LanternError('not-found', 'this model has been unloaded');
    return this.withModel(held, call, work, losses);
  }

  private async withModel<Value>(
    held: Held,
    call: Call,
    work: (model: LoadedModel) => Value | Promise<Value>,
    lossesMax = LOSSES_MAX,
    onProgress: (progress: LoadProgress) => void = () => {},
  ): Promise<Value> {
    for (let losses = 0; ; losses += 1) {
      try {
        held.model ??= await this.bring(held, call.signal, onProgress);
        return await work(held.model);
      } catch (error) {
        if (isOfDevice(error)) this.drop();
        if (described(error).code !== 'device-lost' || losses === lossesMax) throw error;
        this.post({ notice: 'The GPU was lost. The model is loaded again, and what was under way goes on.' });
      }
    }
  }

  /** Opens the files of a model and brings them to the GPU. */
  private async bring(
    { source, options }: Held,
    signal: AbortSignal,
    onProgress: (progress: LoadProgress) => void,
  ): Promise<LoadedModel> {
    const gpu = await this.ready(signal);
    let downloading = false;
    const sources = await openSource(source, {
      cache: options.cache ?? true,
      signal,
      hub: this.hub,
      onProgress: (progress) => {
        downloading = progress.done < progress.total;
        onProgress(progress);
      },
      onNotice: (notice) => this.post({ notice }),
      sha256: hasher,
      preferred: preferred_file,
    });
    const start = performance.now();
    const upload = (done: number, total: number) => {
      // While the download is what is waited for, it is the download that is shown.
      const rate = done / Math.max(1e-3, (performance.now() - start) / 1e3);
      if (!downloading) onProgress({ stage: 'upload', done, total, rate, left: (total - done) / rate });
      return signal.aborted;
    };
    let model: LoadedModel | undefined;
    try {
      const { context, precision = 'mixed', kv_cache, tune = true } = options;
      // Where nothing can be kept, looking for the fastest kernels anew each time would not pay.
      const tuning_seconds = tune && this.adapter?.kept ? TUNING_SECONDS : 0;
      const wanted = JSON.stringify({ context, precision, kv_cache, tuning_seconds });
      const notice = (notice: string) => this.post({ notice });
      const tuning = (done: number, total: number) => {
        onProgress({ stage: 'tune', done, total, rate: 0 });
        return signal.aborted;
      };
      const before = gpu.measured();
      model = await LoadedModel.load(gpu, sources, wanted, upload, tuning, notice);
      if (this.adapter && gpu.measured() !== before) await measured.keep(gpu, this.adapter.info);
      await Promise.all(sources.map((file) => file.complete()));
      return model;
    } catch (error) {
      model?.free();
      throw error;
    } finally {
      for (const file of sources) file.close();
    }
  }

  private async open(): Promise<AdapterInfo> {
    const { gpu, info } = await openGpu(this.wishes);
    this.adapter = { info, kept: await measured.recall(gpu, info) };
    this.gpu = gpu;
    return info;
  }

  /** The GPU, or a new one where it was lost; a browser may need a moment before it has one. */
  private async ready(signal: AbortSignal): Promise<Gpu> {
    for (let tries = 1; !this.gpu; tries += 1) {
      if (signal.aborted) throw aborted();
      try {
        await this.open();
      } catch (error) {
        if (tries === TRIES_MAX) throw error;
        await Promise.race([pause(WAIT_MS * 2 ** tries), whenAborted(signal)]);
      }
    }
    return this.gpu;
  }

  /** Frees the GPU, and the models on it until they are needed again. */
  private drop(): void {
    for (const held of this.models.values()) {
      held.model?.free();
      held.model = undefined;
    }
    this.gpu?.free();
    this.gpu = undefined;
  }
}

/** Tells a call of progress; true where it is to stop. */
function progress(call: Call): (done: number, total: number) => boolean {
  return (done, total) => {
    call.emit({ done, total });
    return call.signal.aborted;
  };
}

/** Where this runs, as a benchmark's result has it. */
function host(): BenchReport['host'] {
  const { process } = globalThis as { process?: { versions?: { node?: string }; platform?: string } };
  const node = process?.versions?.node;
  if (node) return { os: process?.platform ?? 'unknown', arch: 'wasm32', cpus: null, browser: `Node.js ${node}` };
  const { userAgent = '', platform = '', hardwareConcurrency } = (globalThis.navigator ?? {}) as Partial<Navigator>;
  const known = /(Firefox|Edg|OPR|HeadlessChrome|Chrome|Version|Node\.js)\/([\d.]+)/g;
  const found = [...userAgent.matchAll(known)].map(([, name, version]) => `${name} ${version}`);
  return {
    os: /\((?:X11; |Linux; (?=Android))?([^;)]+)/.exec(userAgent)?.[1] ?? (platform || 'unknown'),
    arch: 'wasm32',
    cpus: hardwareConcurrency ?? null,
    browser: found.at(-1)?.replace('Version', 'Safari') ?? (userAgent || 'unknown'),
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Rejects when `signal` is aborted. */
function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(aborted());
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
  });
}

function hasher() {
  const sum = new Sha256Hasher();
  return {
    update: (bytes: Uint8Array) => sum.update(bytes),
    digest: () => {
      const text = sum.digest();
      sum.free();
      return text;
    },
  };
}

/** Whether the GPU is lost, or reported an error, which it would report again for every call. */
function isOfDevice(error: unknown): boolean {
  return ['device', 'device-lost'].includes(described(error).code);
}

/** Any error as the protocol has it: those of the engine and of the package carry a code. */
function described(error: unknown): { code: ErrorCode; message: string } {
  const { code, message, name } = (error ?? {}) as { code?: ErrorCode; message?: string; name?: string };
  if (name === 'AbortError') return { code: 'aborted', message: 'aborted' };
  if (error instanceof WebAssembly.RuntimeError) return { code: 'internal', message: `the engine failed: ${message}` };
  return { code: typeof code === 'string' ? code : 'internal', message: message ?? String(error) };
}
