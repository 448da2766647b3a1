// Stands in for the engine's package where the page is tested: streams text that a test sets, fails when told to, and
// notes what it was asked. Computes nothing, and is never shipped.
//
// A test sets `globalThis.mock` before the page starts, and may change it later:
//   create, inspect, load, chat: an error code to fail with     answer: the text, after `thoughts`     piece: characters at a time
//   full: { left_out } or { finish }, as an answer in a full context has them
//   delay: milliseconds between pieces                 loading: milliseconds that a load takes
// and reads `mock.calls`. What is cached outlives a reload in localStorage.

const mock = (globalThis.mock = {
  create: null,
  inspect: null,
  load: null,
  chat: null,
  answer: 'It is **blue**.',
  thoughts: '',
  piece: 6,
  delay: 5,
  loading: 60,
  cached: false,
  ...globalThis.mock,
  calls: [],
});
const SIZE = 98362432;
const CACHE = 'mock.cache';
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class LanternError extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'LanternError';
    this.code = code;
  }
}

const entries = () => JSON.parse(localStorage.getItem(CACHE) ?? '[]');
const store = (list) => localStorage.setItem(CACHE, JSON.stringify(list));

const cache = {
  list: async () => entries(),
  remove: async (key) => store(entries().filter((entry) => entry.key !== key)),
  clear: async () => store([]),
  estimate: async () => ({ usage: entries().reduce((sum, { present }) => sum + present, 0), quota: 20e9 }),
};

/** Notes a file as cached, as far as it has come. */
function keep(source, present) {
  const url = String(source.url ?? source);
  const name = url.split('/').pop();
  const others = entries().filter((entry) => entry.url !== url);
  store([
    ...others,
    { key: `key-${name}`, name, url, size: SIZE, present, complete: present === SIZE, used: Date.now() },
  ]);
}

export class Lantern {
  adapter = { name: 'Mock Adapter', backend: 'webgpu', kind: 'cpu', limits: {}, features: {} };
  cache = cache;

  static async create(options) {
    mock.calls.push(['create']);
    if (mock.create) throw new LanternError(mock.create, 'there is none');
    mock.notice = options.onNotice;
    return new Lantern();
  }

  async estimate(source) {
    mock.calls.push(['estimate', source]);
    return { weight_bytes: 96e6, cache_bytes: 94e6, workspace_bytes: 9e6, decode_tokens_per_second: 7.44, fits: null };
  }

  async inspect(source) {
    mock.calls.push(['inspect', source instanceof Blob ? `file ${source.name}` : source]);
    if (mock.inspect) throw new LanternError(mock.inspect, 'the mock was told to fail');
    return { name: 'Mock 135M', architecture: 'llama', size: SIZE, context_trained: 8192 };
  }

  async load(source, { onProgress, signal, ...options } = {}) {
    const what = source instanceof Blob ? `file ${source.name}` : source;
    mock.calls.push(['load', what, options]);
    const remote = !(source instanceof Blob) && !source.cached;
    for (const stage of remote ? ['download', 'verify', 'upload'] : ['upload']) {
      for (let step = 1; step <= 8; step++) {
        await sleep(mock.loading / 8);
        if (remote && stage === 'download') keep(source, (SIZE * step) / 8);
        if (signal.aborted) throw new LanternError('aborted', 'aborted');
        onProgress({ stage, done: (SIZE * step) / 8, total: SIZE, rate: 12.3e6, left: 8 - step });
        if (step === 4 && mock.load) throw new LanternError(mock.load, 'the mock was told to fail');
      }
    }
    return new Model(options);
  }

  close() {
    mock.calls.push(['close']);
  }
}

class Model {
  constructor({ context = 2048 }) {
    this.info = {
      name: 'Mock 135M',
      architecture: 'llama',
      size: SIZE,
      context,
      context_trained: 8192,
      layers: 30,
      vocab_size: 49152,
      chat: true,
      precision: 'mixed',
      weight_bytes: SIZE,
      cache_bytes: 1e6,
    };
  }

  async tokenize(text) {
    return Array.from({ length: Math.ceil(text.length / 4) }, (_, i) => i);
  }

  chat(messages, { signal, overflow, ...options }) {
    mock.calls.push(['chat', messages, options, overflow]);
    return new Answer(mock.answer, signal);
  }

  async unload() {
    mock.calls.push(['unload']);
  }
}

class Answer {
  #queue = [];
  #wake = () => {};
  #over = false;

  constructor(text, signal) {
    this.completion = this.#write(text, signal).finally(() => {
      this.#over = true;
      this.#wake();
    });
    this.completion.catch(() => {});
  }

  async #write(text, signal) {
    await sleep(mock.delay * 4);
    if (mock.chat) throw new LanternError(mock.chat, 'the mock was told to fail');
    const write = async (field, text) => {
      let written = '';
      while (written.length < text.length && !signal.aborted) {
        const piece = text.slice(written.length, written.length + mock.piece);
        written += piece;
        this.#queue.push({ text: '', reasoning_content: '', [field]: piece });
        this.#wake();
        await sleep(mock.delay);
      }
      return written;
    };
    const thoughts = await write('reasoning_content', mock.thoughts);
    const written = await write('text', text);
    const tokens = Math.ceil(written.length / 4);
    return {
      text: written,
      reasoning_content: thoughts,
      tokens: [],
      finish_reason: signal.aborted ? 'aborted' : (mock.full?.finish ?? 'stop'),
      left_out: mock.full?.left_out ?? 0,
      system_moved: mock.full?.system_moved ?? false,
      usage: { prompt_tokens: 30, completion_tokens: tokens, total_tokens: 30 + tokens, cached_tokens: 0 },
      timings: {
        first_token_ms: 812,
        prompt_ms: 700,
        prompt_per_second: 43,
        predicted_ms: 1000,
        predicted_per_second: 23.4,
        tokens_per_readback: 1,
      },
    };
  }

  deltas = { [Symbol.asyncIterator]: () => this.#iterate() };

  async *#iterate() {
    for (;;) {
      while (this.#queue.length) yield this.#queue.shift();
      if (this.#over) break;
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    await this.completion;
  }
}
