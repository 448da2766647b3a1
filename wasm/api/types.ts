// Types that callers and the engine exchange. Options follow OpenAI's names where there is one.

/** Where a model comes from. Parts of a split file are found by the name of the first one. */
export type ModelSource =
  /** The address of a .gguf file, or `hf:owner/repo` or `hf:owner/repo/file.gguf` on the Hugging Face hub. */
  | string
  | URL
  /** A file that was picked or dropped; all parts of one that is split, in any order. */
  | Blob
  | Blob[]
  /** An address with the checksum that its bytes must have (hex), and a name to list it by. */
  | { url: string | URL; sha256?: string; name?: string }
  /** An entry of the cache, by its key. */
  | { cached: string };

/** Progress of a load. */
export interface LoadProgress {
  /** `wait`: another tab is downloading the same file. `verify`: the checksum of what was downloaded. `upload`: to the GPU. `tune`: the first load on a GPU looks for the fastest kernels. */
  stage: 'wait' | 'download' | 'verify' | 'upload' | 'tune';
  /** Bytes done; of `tune`, shapes of kernels. A download counts what an earlier visit left. */
  done: number;
  /** Bytes in all; 0 while that is not known. */
  total: number;
  /** Bytes a second of this visit; 0 while that is not known. */
  rate: number;
  /** Seconds left; absent while that is not known. */
  left?: number;
}

/** How a model is loaded. */
export interface LoadOptions {
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
  /** Tokens that prompt and answer may have together; the model's own, at most 4096. */
  context?: number;
  /** `exact` computes in 32-bit floats throughout. */
  precision?: 'mixed' | 'exact';
  /** How keys and values are kept: `f16`, or `f32` where precision is `exact`; `q8_0` takes 56 % of `f16`, `q4_0` 31 %. */
  kv_cache?: 'f32' | 'f16' | 'q8_0' | 'q4_0';
  /** Keep the file for the next visit (the default) or not. */
  cache?: boolean;
  /** Look for the fastest kernels for up to a second, once for a GPU and model (the default), or not. */
  tune?: boolean;
}

/** How an engine is made. */
export interface CreateOptions {
  /** One line about something that a user should know: a device that was lost, a file that could not be kept. */
  onNotice?: (text: string) => void;
  /** Where hub ids are looked up; `https://huggingface.co`. */
  hub?: string;
  /** Do as though the GPU had none of these, and let a shader see no more bytes at once: to test for poorer GPUs. */
  without?: ('f16' | 'subgroups')[];
  max_binding?: number;
  /** For tests: kernel variants (`matvec.rows8`) that compute nothing, as a broken driver's might. */
  faults?: string[];
}

/** The GPU in use. */
export interface AdapterInfo {
  name: string;
  backend: string;
  kind: string;
  limits: Record<string, number>;
  features: {
    shader_f16: boolean;
    subgroups: boolean;
    subgroup_size: [number, number];
    cooperative_f32: boolean;
    cooperative_f16: boolean;
    timestamps: boolean;
  };
}

/** Description of a model whose header was read. */
export interface ModelHeader {
  name: string;
  architecture: string;
  /** Bytes of all files. */
  size: number;
  /** Tokens that the model was made for. */
  context_trained: number;
}

/** Description of a loaded model. */
export interface ModelInfo {
  name: string;
  architecture: string;
  /** Bytes of all files. */
  size: number;
  /** Tokens that a session holds. */
  context: number;
  /** Tokens that the model was made for. */
  context_trained: number;
  layers: number;
  vocab_size: number;
  /** Whether the file has a chat template, which `chat` needs. */
  chat: boolean;
  precision: 'mixed' | 'exact';
  /** Bytes on the GPU: of the weights, of a session's cache. */
  weight_bytes: number;
  cache_bytes: number;
}

export interface Message {
  role: 'system' | 'user' | 'assistant' | 'tool' | (string & {});
  content: string;
  [key: string]: unknown;
}

/** How an answer is sampled; what is left out is as the model's file advises, or else has the default. */
export interface CompletionOptions {
  /** 0 always takes the likeliest token. Default 0.8. */
  temperature?: number;
  /** Default 0.95. */
  top_p?: number;
  /** 0 for all. Default 40. */
  top_k?: number;
  /** Default 0.05. */
  min_p?: number;
  /** Default: until the context is full. */
  max_tokens?: number;
  stop?: string | string[];
  seed?: number;
  frequency_penalty?: number;
  presence_penalty?: number;
  /** 1 for none. */
  repeat_penalty?: number;
  /** Go on after tokens that end the text. */
  ignore_eos?: boolean;
  /** Texts of control tokens (`<|im_end|>`) in the prompt or in messages are those tokens. Default false: they are text. */
  special?: boolean;
  signal?: AbortSignal;
}

export interface ChatOptions extends CompletionOptions {
  /**
   * Thoughts of a model before its answer: split off (`auto`, the default), or left in the text as the model marks them
   * (`none`).
   */
  reasoning_format?: 'auto' | 'none';
  tools?: unknown[];
  /** More names for the chat template, such as `enable_thinking`. */
  template_options?: Record<string, unknown>;
  /**
   * Result of a conversation that leaves no room for an answer in the context: an error (the default), or the oldest turns
   * are left out. System messages and the last turn always stay.
   */
  overflow?: 'error' | 'drop-oldest';
}

/** How an answer ended, and what it took. */
export interface Completion {
  /** The answer. */
  text: string;
  /** Thoughts before it, without their marks; empty where there are none. */
  reasoning_content: string;
  tokens: number[];
  finish_reason: 'stop' | 'length' | 'context-full' | 'aborted';
  /** Oldest messages that the model did not see, by `overflow: 'drop-oldest'`. */
  left_out: number;
  /** The model's chat template refused the system message: its text stood before the first user message. */
  system_moved: boolean;
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number; cached_tokens: number };
  timings: {
    /** Milliseconds from the call to the first token. */
    first_token_ms: number;
    prompt_ms: number;
    prompt_per_second: number;
    predicted_ms: number;
    /** Tokens a second after the first. */
    predicted_per_second: number;
    /** Tokens that were fetched from the GPU at a time, at most. */
    tokens_per_readback: number;
  };
}

/** A piece of an answer: of its text, of the thoughts before it, or the end of those and the beginning of that. */
export type Delta = Pick<Completion, 'text' | 'reasoning_content'>;

/** The answer as it comes: iterate over its pieces of text, or await the whole. */
export interface Answer extends AsyncIterable<string> {
  /** Pieces of its text and of the thoughts before it. */
  readonly deltas: AsyncIterable<Delta>;
  /** Resolves when the answer has ended; also without anybody iterating. Aborting ends it with `finish_reason: 'aborted'`; one that has not begun rejects with `aborted`. */
  readonly completion: Promise<Completion>;
}

/** One file of the cache. */
export interface CacheEntry {
  key: string;
  name: string;
  url: string;
  /** Bytes of the file, and how many are here. */
  size: number;
  present: number;
  complete: boolean;
  /** Milliseconds since 1970. */
  used: number;
}

/** A session that was saved. */
export interface SavedSession {
  name: string;
  /** Bytes. */
  size: number;
  /** Milliseconds since 1970. */
  saved: number;
}

/** A row of a benchmark: `ppN`, N tokens prefilled, or `tgN`, N tokens generated. */
export interface BenchRow {
  test: string;
  /** Tokens in the cache before. */
  depth: number;
  tokens_per_second: { mean: number; deviation: number; samples: number[] };
  /** Bound on it: reading memory, or multiply-adds. */
  ceiling: 'read' | 'f32';
  /** Its share of what the GPU can do at all. */
  ceiling_share: number;
  expected_tokens_per_second: number;
}
/** Kernels of one pass, the dearest first. */
export interface ProfileRow {
  label: string;
  dispatches: number;
  seconds: number;
  bytes: number;
  operations: number;
}
/** A benchmark's result, in the form that `lantern bench --json` writes and `lantern report` reads. */
export interface BenchReport {
  schema: string;
  lantern: string;
  measured_at: string;
  host: { os: string; arch: string; cpus: number | null; browser: string | null };
  adapter: AdapterInfo;
  model: { name: string; family: string; bytes: number; weights_xxh3: string; synthetic: boolean };
  precision: 'mixed' | 'exact';
  /** `adapters`: a hash of each LoRA adapter, and the factor on it. */
  loaded: {
    context: number;
    chunk: number;
    cache: string;
    layers_streamed: number;
    /** Bytes of tables that stay in the file, of which passes read rows; older results do not say. */
    tables_bytes?: number;
    adapters: [string, number][];
  } | null;
  /** The kernel variants that were measured to be fastest, by shape. */
  variants: Record<string, string>;
  /** Result of the kernels tried on this adapter when models were loaded; `whole` where a `selftest()` was put here. */
  selftest: { whole: boolean; passed: number; failed: SelfTestRow[] } | null;
  load_ms: number;
  time_to_first_token_ms: { warm: number; cold: number } | null;
  ceilings: Record<string, number | string | null>;
  rows: BenchRow[];
  counters: Record<string, number | null>;
  profile: { decode: ProfileRow[]; prefill: ProfileRow[] } | null;
}
export interface BenchOptions {
  /** Tokens of the prompt, or several; 128. 0 leaves it out. */
  prompt_tokens?: number | number[];
  /** Tokens generated, or several; 32. 0 leaves it out. */
  generated_tokens?: number | number[];
  /** Tokens in the cache before, or several; 0. */
  depths?: number | number[];
  /** 3. */
  repetitions?: number;
  /** Also time each kernel, where the GPU has timestamps. */
  profile?: boolean;
  /** Tokens done, and tokens in all. */
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
}
/** Result of the self-test of one variant of a kernel. */
export interface SelfTestRow {
  kernel: string;
  variant: string;
  /** Cases that ran. */
  cases: number;
  /** The largest normalised mean square error. */
  nmse: number;
  /** Errors that were found, case by case; empty where all was right. */
  failures: string[];
  /** Note on what is known of this driver and such a failure; null where nothing is. */
  known: string | null;
}
export interface SelfTestOptions {
  /** Kernels to test; all of them. */
  only?: string[];
  /** Each row as it comes, with variants done and in all. */
  onRow?: (row: SelfTestRow, progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
}
/** Estimate of the memory and speed of a model on this GPU. */
export interface Estimate {
  name: string;
  family: string;
  adapter: string;
  file_bytes: number;
  weight_bytes: number;
  /** Bytes of these that stay in the file where memory is short: tables, of which passes read rows. */
  tables_bytes: number;
  cache_bytes: number;
  /** Bytes of it that are recurrent states, whatever the length of a sequence. */
  state_bytes: number;
  /** Bytes of activations, logits, parameters. */
  workspace_bytes: number;
  largest_binding_bytes: number;
  binding_limit_bytes: number;
  /** Bytes of the GPU's memory; null in browsers, which do not say it. */
  memory_bytes: number | null;
  fits: boolean | null;
  context: number;
  context_trained: number;
  context_possible: number;
  prefill_tokens_per_second: number;
  decode_tokens_per_second: number;
}
/** How texts become embeddings. */
export interface EmbedOptions {
  /** Row that a text gets; the one that the model's file says, or `mean`. `none`: a row for each token. */
  pooling?: 'none' | 'mean' | 'cls' | 'last';
  /** Give each vector a length of 1. Default true. */
  normalize?: boolean;
  /** Keep the first values of each vector, for models that are trained for that. */
  dimensions?: number;
  /** Tokens done, and tokens in all. */
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
}
/** Embeddings of texts, in their order. */
export interface Embeddings {
  model: string;
  pooling: 'none' | 'mean' | 'cls' | 'last' | 'rank';
  /** `tokens`: how many the text has. `embedding`: a vector, or with `none` one for each token. */
  data: { index: number; tokens: number; embedding: Float32Array | Float32Array[] }[];
}
export type RerankOptions = Pick<EmbedOptions, 'onProgress' | 'signal'>;
/** Texts by how well they answer a query, the best first, with every output of the model's classifier. */
export interface Ranking {
  model: string;
  data: { index: number; scores: number[] }[];
}
export interface Perplexity {
  perplexity: number;
  nll_sum: number;
  count: number;
}
