// The conversation at hand: sends, streams, stops, edits and answers again, and stores what came of it. Draws through
// MessageList; the engine and the store are handed in. An answer goes on when another conversation is looked at.

import { $, notice } from './dom.js';
import { MessageList } from './messages.js';
import { sampling, systemPrompt } from './settings.js';
import { newConversation, titleOf } from './store.js';
import { count, plural } from './words.js';

/** How often a growing answer is stored: a tab that dies loses no more than this. */
const STORE_MS = 2000;

export class Chat extends EventTarget {
  conversation = newConversation();
  /** The answer that is being written: { conversation, message, abort, ended }. */
  running = null;
  #engine;
  #keep;
  #list;

  /** `keep(conversation)` stores one. */
  constructor(engine, keep) {
    super();
    this.#engine = engine;
    this.#keep = keep;
    this.#list = new MessageList({
      edit: (index, text) => this.#again(index, text),
      regenerate: (index) => this.#again(index),
      fix: (index) => this.#fix(index),
      roomier: (tokens) => this.#engine.roomier(tokens),
      enlarge: (index, context) => this.#enlarge(index, context),
    });
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }

  open(conversation) {
    this.conversation = conversation;
    this.#list.show(conversation.messages, this.running?.message);
    this.#changed();
  }

  /** Sends a message. False if there is nobody to send it to, and then nothing has changed. */
  send(text) {
    if (!this.#ready()) return false;
    const { conversation } = this;
    // An answer that failed before its first word has nothing to say to the model.
    if (conversation.messages.at(-1)?.role === 'assistant' && !conversation.messages.at(-1).content)
      conversation.messages.pop();
    conversation.messages.push({ role: 'user', content: text });
    if (!conversation.named && conversation.messages.length === 1) conversation.title = titleOf(text);
    this.#answer(conversation);
    return true;
  }

  #ready() {
    if (this.#engine.model && !this.running) return true;
    if (this.running) notice('An answer is being written. Stop it first, or wait.');
    else if (this.#engine.loading) notice('The model is still loading.');
    else this.dispatchEvent(new Event('nomodel'));
    return false;
  }

  async stop() {
    const running = this.running;
    running?.abort.abort();
    await running?.ended;
  }

  /**
   * Answers again from a message on: the user's own with another text, or an answer in place of the one that is
   * there.
   */
  async #again(index, text = null) {
    const { conversation } = this;
    if (this.running?.conversation === conversation) await this.stop();
    if (!this.#ready()) return;
    const before = [...conversation.messages];
    const titleBefore = conversation.title;
    conversation.messages.splice(index);
    if (text !== null) conversation.messages.push({ role: 'user', content: text });
    if (!conversation.named && index === 0 && text !== null) conversation.title = titleOf(text);
    this.#answer(conversation);
    // What is replaced was worth something to somebody: it can be had back for a while.
    if (before.slice(index + 1).length || before[index].content) {
      notice(text === null ? 'Answering again.' : 'Answering from the edited message on.', {
        action: { label: 'Undo', run: () => this.#restore(conversation, before, titleBefore) },
      });
    }
  }

  async #restore(conversation, messages, title) {
    if (this.running?.conversation === conversation) await this.stop();
    conversation.messages.splice(0, Infinity, ...messages);
    conversation.title = title;
    await this.#keep(conversation);
    if (this.conversation === conversation) this.open(conversation);
  }

  async #fix(index) {
    const { conversation } = this;
    await this.#engine.restart();
    if (this.#engine.model && this.conversation === conversation && !this.running) this.#again(index);
  }

  /** Loads the model again with a larger context, and answers again. */
  async #enlarge(index, context) {
    const { conversation } = this;
    await this.#reload(context);
    if (this.#engine.model && this.conversation === conversation && !this.running) this.#again(index);
  }

  #reload(context) {
    return this.#engine.load(this.#engine.choice, { context });
  }

  #answer(conversation) {
    this.#engine.dismiss();
    const messages = conversation.messages
      .filter(({ content }) => content)
      .map(({ role, content, reasoning_content }) => ({
        role,
        content,
        ...(reasoning_content && { reasoning_content }),
      }));
    const system = systemPrompt();
    if (system) messages.unshift({ role: 'system', content: system });
    const message = { role: 'assistant', content: '', model: this.#engine.model.info.name };
    conversation.messages.push(message);
    conversation.updated = Date.now();
    const abort = new AbortController();
    this.running = { conversation, message, abort };
    this.running.ended = this.#write(conversation, message, messages, abort);
    if (this.conversation === conversation) this.#list.sync(message);
    this.#changed();
  }

  async #write(conversation, message, messages, abort) {
    // The caller has to note what is running before this goes on.
    await this.#keep(conversation);
    let stored = Date.now();
    const { model } = this.#engine;
    try {
      const answer = model.chat(messages, { ...sampling(), overflow: 'drop-oldest', signal: abort.signal });
      // Both the pieces and this reject; one report is enough.
      answer.completion.catch(() => {});
      for await (const { text, reasoning_content } of answer.deltas) {
        message.content += text;
        if (reasoning_content) message.reasoning_content = (message.reasoning_content ?? '') + reasoning_content;
        this.#list.grew(message);
        if (Date.now() - stored > STORE_MS) {
          stored = Date.now();
          this.#keep(conversation);
        }
      }
      const { text, usage, timings, left_out, system_moved, finish_reason: finish } = await answer.completion;
      message.content = text || message.content;
      message.stats = {
        finish,
        left_out,
        system_moved,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        total_tokens: usage.total_tokens,
        per_second: timings.predicted_per_second,
        first_ms: timings.first_token_ms,
      };
    } catch (error) {
      if (error.code === 'aborted') message.stats = { finish: 'aborted' };
      else message.error = { code: error.code ?? 'internal', message: error.message };
      if (error.code === 'context-full') message.error.tokens = await this.#tokensOf(model, messages);
    }
    await this.#finish(conversation, message);
  }

  /** Tokens that the last message takes with the system message, and an answer beside them. */
  async #tokensOf(model, messages) {
    const kept = [messages.find(({ role }) => role === 'system'), messages.at(-1)].filter(Boolean);
    const tokens = await model.tokenize(kept.map(({ content }) => content).join('\n')).catch(() => []);
    return Math.ceil(tokens.length * 1.25) + 256;
  }

  /** Says that the context is full, once for each time that older messages fell out of it, and what can be done. */
  #tellFull(conversation, { stats }) {
    const before = conversation.messages.findLast((one, i, all) => i < all.length - 1 && one.stats)?.stats;
    const fell = (stats?.left_out ?? 0) > (before?.left_out ?? 0);
    if (!fell && stats?.finish !== 'context-full') return;
    const context = this.#engine.roomier();
    const text = fell
      ? `The context is full: the model goes on without the oldest ${plural(stats.left_out, 'message')}.`
      : 'The context is full, and the answer cut off.';
    const action = context && { label: `Reload with ${count(context)}`, run: () => this.#reload(context) };
    notice(text, { action, stay: true });
  }

  /** Says once in a conversation that the model takes no system prompt, and what became of it. */
  #tellMoved(conversation, { stats }) {
    if (!stats?.system_moved || conversation.messages.filter((one) => one.stats?.system_moved).length > 1) return;
    notice('This model takes no system prompt: its text stands before your first message.', { stay: true });
  }

  async #finish(conversation, message) {
    this.running = null;
    conversation.updated = Date.now();
    if (this.conversation === conversation) {
      this.#list.ended(message);
      this.#tellFull(conversation, message);
      this.#tellMoved(conversation, message);
      // Read out once and whole, not word by word.
      $('spoken').textContent = message.error ? 'The answer failed.' : message.content.trim();
    } else notice(`“${conversation.title}” has been answered.`);
    await this.#keep(conversation);
    this.#changed();
  }
}
