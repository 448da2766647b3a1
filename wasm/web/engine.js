// The engine as the page sees it: one Lantern, one model at a time, and what is going on. Draws nothing: it emits
// `change` when a state changes, `progress` while a model loads and `notice` for one line to the user.

import { remember, recall } from './dom.js';
import { loading, setContext } from './settings.js';
import { grouped, inCache } from './sources.js';

// A page that is left in good order has not died of what it was loading.
addEventListener('pagehide', () => remember('risky', null));

export class Engine extends EventTarget {
  lantern = null;
  /** Why there is no Lantern, once that is known. */
  failure = null;
  model = null;
  /** The choice that is loaded. */
  choice = null;
  /** While a model loads: { choice, progress }. */
  loading = null;
  /** Why the last load failed: { error, choice, back }. `back` is what was loaded before, if anything. */
  error = null;
  /** Called and awaited before the loaded model goes. */
  beforeUnload = async () => {};

  #package = null;
  #abort = null;
  #ended = Promise.resolve();

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  async start() {
    try {
      this.#package ??= await import('./lantern/index.js');
      this.lantern = await this.#package.Lantern.create({ onNotice: (text) => this.#emit('notice', text) });
      this.failure = null;
    } catch (error) {
      this.lantern = null;
      this.failure = error;
    }
    this.#emit('change');
  }

  /** Starts over with a new device: what is left to do after one was lost. */
  async restart(choice = this.choice) {
    await this.#drop();
    this.lantern?.close();
    await this.start();
    if (this.lantern && choice) await this.load(choice);
  }

  async #drop() {
    const model = this.model;
    if (!model) return;
    await this.beforeUnload();
    this.model = null;
    // A model on a lost device may refuse; it is gone either way.
    await model.unload().catch(() => {});
  }

  /**
   * Loads a model in place of the one that is there, which goes once the new one's header was read. Resolves when it
   * is there, failed or was cancelled. A `context` that is given becomes the setting where it works.
   */
  async load(choice, { context } = {}) {
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    const before = this.#ended;
    const back = this.model ? this.choice : (this.error?.back ?? null);
    this.error = null;
    this.loading = { choice, progress: { stage: 'wait', done: 0, total: 0, rate: 0 }, begun: false };
    this.#emit('change');
    this.#ended = before.then(() => this.#load(choice, { abort, back, context }));
    await this.#ended;
  }

  async #load(choice, { abort, back, context }) {
    const mine = () => this.#abort === abort;
    try {
      if (abort.signal.aborted) return;
      if (this.model) await this.lantern.inspect(choice.source, { signal: abort.signal });
      await this.#drop();
      // If the tab dies in the middle of this, the next visit must not walk into the same trap by itself.
      remember('risky', choice.key ?? choice.name);
      const onProgress = (progress) => {
        if (!mine()) return;
        this.loading = { choice, progress, begun: true };
        this.#emit('progress');
      };
      const options = { ...loading(), ...(context && { context }), onProgress, signal: abort.signal };
      this.model = await this.lantern.load(choice.source, options);
      this.choice = await this.#remember(choice);
      if (context) setContext(context);
    } catch (error) {
      if (mine() && error.code !== 'aborted') this.error = { error, choice, back };
    } finally {
      remember('risky', null);
      if (mine()) {
        this.loading = null;
        this.#abort = null;
      }
      this.#emit('change');
    }
  }

  /** Goes on with what was loaded before a load that failed. */
  async back() {
    const { back } = this.error;
    if (!this.model) return this.load(back);
    this.dismiss();
  }

  /** Forgets a load that failed, where there is a model nevertheless. */
  dismiss() {
    if (!this.error || !this.model) return;
    this.error = null;
    this.#emit('change');
  }

  /** A context larger than the one in use that holds so many tokens; null where the model was not made for it. */
  roomier(tokens = 0) {
    if (!this.model) return null;
    const { context, context_trained: trained } = this.model.info;
    let larger = Math.min(trained, context * 2);
    while (larger < tokens && larger < trained) larger = Math.min(trained, larger * 2);
    return larger > context && larger >= tokens ? larger : null;
  }

  cancel() {
    this.#abort?.abort();
  }

  /** Models in the cache, the last used first. */
  async cached() {
    if (!this.lantern) return [];
    return grouped(await this.lantern.cache.list().catch(() => []));
  }

  /** Notes what was loaded, with its place in the cache: the one that bears its address, or else was touched last. */
  async #remember(choice) {
    const groups = await this.cached();
    const isFile = choice.source instanceof Blob || Array.isArray(choice.source);
    const entry = inCache(choice, groups) ?? (isFile ? groups.find(({ name }) => name === choice.name) : groups[0]);
    const noted = { ...choice, key: entry?.key ?? choice.key };
    const origin = choice.origin ?? (isFile || choice.source.cached ? null : choice.source);
    if (origin || entry) remember('last', { name: noted.name, origin, key: noted.key });
    return noted;
  }

  /**
   * The model of the last visit as { choice, ready }: `ready` when loading it takes no download and did not fail
   * then.
   */
  async last() {
    const last = recall('last');
    if (!last) return null;
    const entry = inCache(last, await this.cached());
    const whole = entry?.complete === true;
    if (!whole && !last.origin) return null;
    const source = whole ? { cached: entry.key } : last.origin;
    const risky = recall('risky');
    return { choice: { ...last, source }, ready: whole && risky !== last.key && risky !== last.name };
  }
}
