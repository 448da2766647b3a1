// The package: an engine, models on it, answers from them. All work is done in a worker; here are only its handles.

import { streamed } from './answer.js';
import { Connection } from './connection.js';
import { LanternError } from './errors.js';
import { openPort } from './port.js';
import type {
  AdapterInfo,
  Answer,
  BenchOptions,
  BenchReport,
  CacheEntry,
  ChatOptions,
  Completion,
  CompletionOptions,
  CreateOptions,
  Delta,
  EmbedOptions,
  Embeddings,
  Estimate,
  LoadOptions,
  LoadProgress,
  Message,
  ModelHeader,
  ModelInfo,
  ModelSource,
  Perplexity,
  Ranking,
  RerankOptions,
  SavedSession,
  SelfTestOptions,
  SelfTestRow,
} from './types.js';

export { LanternError, type ErrorCode } from './errors.js';
export type * from './types.js';

/** Option of calls that can be ended early; then they reject with `aborted`. */
export interface Abortable {
  signal?: AbortSignal;
}

const HUB = 'https://huggingface.co';

/** An engine on the GPU that the browser hands out. */
export class Lantern {
  private readonly models = new WeakSet<Model>();

  private constructor(
    private readonly connection: Connection,
    /** The GPU in use. */
    readonly adapter: AdapterInfo,
  ) {}

  /** Starts an engine. Rejects with `no-webgpu` or `no-adapter` where there is no GPU to use. */
  static async create(options: CreateOptions = {}): Promise<Lantern> {
    const { onNotice = () => {}, hub = HUB, without = [], max_binding, faults = [] } = options;
    const connection = new Connection(await openPort(), onNotice);
    try {
      return new Lantern(connection, await connection.call('create', [{ hub, without, max_binding, faults }]));
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Files that are kept for later visits. */
  readonly cache = {
    list: (): Promise<CacheEntry[]> => this.connection.call('cacheList', []),
    remove: (key: string): Promise<void> => this.connection.call('cacheRemove', [key]),
    clear: (): Promise<void> => this.connection.call('cacheClear', []),
    estimate: (): Promise<{ usage: number; quota: number }> => this.connection.call('cacheEstimate', []),
  };

  /** Sessions that were saved, by the names that they were given. */
  readonly sessions = {
    list: (): Promise<SavedSession[]> => this.connection.call('sessionList', []),
    remove: (name: string): Promise<void> => this.connection.call('sessionRemove', [name]),
  };

  /** Brings a model to the GPU. */
  async load(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
    const { onProgress, signal, ...rest } = options;
    const loaded = await this.connection.call<{ id: number; info: ModelInfo }, LoadProgress>(
      'load',
      [plain(source), rest],
      { signal, onEvent: onProgress },
    );
    const model = new Model(this.connection, loaded.id, loaded.info);
    this.models.add(model);
    return model;
  }

  /**
   * Estimates what a model would take and do on this GPU, before it is downloaded: only its header is read, and a few
   * layers of its sizes are run.
   */
  estimate(source: ModelSource, options: Omit<LoadOptions, 'onProgress'> = {}): Promise<Estimate> {
    const { signal, ...rest } = options;
    return this.connection.call('estimate', [plain(source), rest], { signal });
  }

  /** Reads the header of a model, and nothing else; rejects where there is none, or of a model that does not run here. */
  inspect(source: ModelSource, { signal }: Abortable = {}): Promise<ModelHeader> {
    return this.connection.call('inspect', [plain(source)], { signal });
  }

  /** Measures the speed of a model of this engine: tokens prefilled a second (`pp`), tokens generated a second (`tg`). Empties its session. */
  async bench(model: Model, options: BenchOptions = {}): Promise<BenchReport> {
    if (!this.models.has(model)) throw new LanternError('bad-input', 'this is no model of this engine');
    const { signal, onProgress, ...rest } = options;
    return this.connection.call<BenchReport, { done: number; total: number }>('bench', [model.id, rest], {
      signal,
      onEvent: onProgress,
    });
  }

  /** Tests every kernel on this GPU against its reference on the CPU; a row for each variant. */
  selftest({ only = [], onRow, signal }: SelfTestOptions = {}): Promise<SelfTestRow[]> {
    return this.connection.call<SelfTestRow[], { row: SelfTestRow; done: number; total: number }>('selftest', [only], {
      signal,
      onEvent: ({ row, ...progress }) => onRow?.(row, progress),
    });
  }

  /** Counters of the work so far: dispatches, submissions, read-backs, bytes on the GPU and of wasm. */
  counters(): Promise<Record<string, number>> {
    return this.connection.call('counters', []);
  }

  /** Ends the worker, and with it everything on the GPU. */
  close(): void {
    this.connection.close();
  }
}

/** A model on the GPU with one session: answers go on from what it has read. */
export class Model {
  /** Made by `Lantern.load`. */
  constructor(
    private readonly connection: Connection,
    readonly id: number,
    readonly info: ModelInfo,
  ) {}

  /** Answers a conversation. What the session has read of it already is not read again. */
  chat(messages: Message[], options: ChatOptions = {}): Answer {
    const { tools, template_options, ...rest } = options;
    const input = { ...template_options, messages, add_generation_prompt: true, ...(tools && { tools }) };
    return this.answer({ conversation: input }, rest);
  }

  /** Goes on with a text, or with tokens. */
  complete(prompt: string | number[], options: CompletionOptions = {}): Answer {
    return this.answer(typeof prompt === 'string' ? { text: prompt } : { tokens: prompt }, options);
  }

  /** The tokens of a text. `special`: texts of special tokens become those tokens. */
  tokenize(text: string, { special = false } = {}): Promise<number[]> {
    return this.connection.call('tokenize', [this.id, text, special]);
  }

  detokenize(tokens: number[]): Promise<string> {
    return this.connection.call('detokenize', [this.id, tokens]);
  }

  /** Logits, one for each token of the vocabulary, after the last of `tokens`. Replaces the session. */
  logits(tokens: number[], { signal }: Abortable = {}): Promise<Float32Array> {
    return this.connection.call('logits', [this.id, tokens], { signal });
  }

  /** Embeddings of texts; a text may be given as its tokens, which nothing is put around. The session stays. */
  async embed(texts: string | (string | number[])[], options: EmbedOptions = {}): Promise<Embeddings> {
    const { signal, onProgress, ...rest } = options;
    const all = typeof texts === 'string' ? [texts] : texts;
    return this.connection.call<Embeddings, { done: number; total: number }>('embed', [this.id, all, rest], {
      signal,
      onEvent: onProgress,
    });
  }

  /** Scores of texts by a query, the best first; a text given as tokens is scored as it stands. The session stays. */
  async rerank(query: string, texts: (string | number[])[], options: RerankOptions = {}): Promise<Ranking> {
    const { signal, onProgress } = options;
    return this.connection.call<Ranking, { done: number; total: number }>('rerank', [this.id, query, texts], {
      signal,
      onEvent: onProgress,
    });
  }

  /** How well the model predicts a text. Replaces the session. */
  perplexity(text: string, { signal }: Abortable = {}): Promise<Perplexity> {
    return this.connection.call('perplexity', [this.id, text], { signal });
  }

  /** Keeps the session under a name, so that a long conversation need not be read again on the next visit. */
  save(name: string, { signal }: Abortable = {}): Promise<void> {
    return this.connection.call('save', [this.id, name], { signal });
  }

  /** Makes the session the one that was saved; false where there is none of that name. */
  restore(name: string, { signal }: Abortable = {}): Promise<boolean> {
    return this.connection.call('restore', [this.id, name], { signal });
  }

  /** Frees the model's memory on the GPU. */
  unload(): Promise<void> {
    return this.connection.call('unload', [this.id]);
  }

  private answer(prompt: unknown, options: CompletionOptions): Answer {
    const { signal, ...rest } = options;
    return streamed((onEvent, signal) => this.begin(prompt, rest, onEvent, signal), signal);
  }

  private async begin(
    prompt: unknown,
    options: object,
    onEvent: (piece: Delta) => void,
    signal: AbortSignal,
  ): Promise<Completion> {
    return this.connection.call<Completion, Delta>('answer', [this.id, prompt, options], { signal, onEvent });
  }
}

/** A source as it can be handed to a worker: addresses become texts, relative ones those of the page (or of the caller's worker). */
function plain(source: ModelSource): unknown {
  const text = (url: string | URL) => {
    if (typeof url === 'string' && url.startsWith('hf:')) return url;
    try {
      return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
    } catch (cause) {
      throw new LanternError('bad-input', `${url} is not an address`, { cause });
    }
  };
  if (!source) throw new LanternError('bad-input', 'no model was given');
  if (typeof source === 'string' || source instanceof URL) return text(source);
  if (typeof source === 'object' && 'url' in source) return { ...source, url: text(source.url) };
  return source;
}
