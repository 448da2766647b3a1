// The messages of a conversation as elements: draws them, lets one be edited, follows an answer as it grows. Keeps and
// sends nothing; what a button does is up to `actions`: { edit(index, text), regenerate(index), fix(index),
// enlarge(index, context) }, and `roomier(tokens)` says which context would do.

import { $, copy, el, icon, iconButton } from './dom.js';
import { Markdown } from './markdown.js';
import { Follow } from './scroll.js';
import { count, explain, plural } from './words.js';

export class MessageList {
  #list = $('messages');
  #actions;
  #follow = new Follow($('scroller'), $('jump'));
  #messages = [];
  /** Per message: { node, markdown?, foot }. */
  #views = [];
  #dirty = new Set();
  #frame = 0;

  constructor(actions) {
    this.#actions = actions;
  }

  /** Shows other messages. `growing` is the one that is being written, if it is among them. */
  show(messages, growing = null) {
    this.#messages = messages;
    this.#views = messages.map((message) => this.#view(message, message === growing));
    this.#list.replaceChildren(...this.#views.map(({ node }) => node));
    this.#refreshFeet(growing);
    this.#follow.toEnd();
  }

  /** Brings the list in line with the same messages after some were added or cut off. */
  sync(growing = null) {
    const kept = this.#views.filter(({ message }, i) => this.#messages[i] === message);
    for (const view of this.#views.slice(kept.length)) view.node.remove();
    this.#views = kept;
    for (const message of this.#messages.slice(kept.length)) {
      const view = this.#view(message, message === growing);
      this.#views.push(view);
      this.#list.append(view.node);
    }
    this.#refreshFeet(growing);
    this.#follow.toEnd();
  }

  /** A message has grown. Drawn once per frame, however many pieces come. */
  grew(message) {
    this.#dirty.add(message);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      for (const one of this.#dirty) this.#viewOf(one)?.markdown.update(one);
      this.#dirty.clear();
      this.#follow.grown();
    });
  }

  /** A message is complete. */
  ended(message) {
    this.#dirty.delete(message);
    const view = this.#viewOf(message);
    if (!view) return;
    view.node.classList.remove('growing');
    view.node.removeAttribute('aria-busy');
    view.markdown.update(message, true);
    this.#refreshFeet();
    this.#follow.grown();
  }

  #viewOf(message) {
    return this.#views.find((view) => view.message === message);
  }

  #view(message, growing) {
    const user = message.role === 'user';
    const body = el('div', { class: 'body' });
    const foot = el('div', { class: 'foot' });
    const node = el(
      'li',
      { class: `message ${message.role}${growing ? ' growing' : ''}`, 'aria-busy': growing ? 'true' : null },
      el('h2', { class: 'hidden', text: user ? 'You' : 'Answer' }),
      body,
      foot,
    );
    const view = { message, node, body, foot, markdown: null };
    if (user) body.textContent = message.content;
    else {
      view.markdown = new Markdown(body);
      if (message.content || message.reasoning_content) view.markdown.update(message, !growing);
      // Shown by the style sheet for as long as nothing has been written.
      if (growing)
        body.append(el('p', { class: 'reading' }, el('span', { text: 'Reading' }), el('i'), el('i'), el('i')));
    }
    return view;
  }

  #refreshFeet(growing = null) {
    this.#views.forEach((view, index) => {
      const last = index === this.#views.length - 1;
      view.foot.replaceChildren(...(view.message === growing ? [] : this.#foot(view, index, last)));
    });
  }

  #foot(view, index, last) {
    const { message } = view;
    const copyButton = iconButton('copy', 'Copy', () => copy(message.content.trim(), copyButton));
    if (message.role === 'user') return [copyButton, iconButton('edit', 'Edit', () => this.#edit(view, index))];
    return [
      message.error && this.#error(message.error, index, last),
      message.content && copyButton,
      last && !message.error && iconButton('again', 'Answer again', () => this.#actions.regenerate(index)),
      message.stats && this.#stats(message),
    ].filter(Boolean);
  }

  #stats({ stats, model }) {
    const parts = [
      stats.finish === 'length' && 'cut off: the limit was reached',
      stats.finish === 'context-full' && 'cut off: the context is full',
      stats.finish === 'aborted' && 'stopped',
      stats.left_out > 0 && `without the oldest ${plural(stats.left_out, 'message')}`,
      stats.per_second > 0 && `${count(stats.per_second, 1)} tokens/s`,
      stats.first_ms > 0 && `first after ${count(stats.first_ms / 1000, stats.first_ms < 10000 ? 2 : 0)} s`,
      plural(stats.completion_tokens ?? 0, 'token'),
    ].filter(Boolean);
    return el('span', { class: 'quiet stats', title: model, text: parts.join(' · ') });
  }

  #error(error, index, last) {
    const { code, title, advice, detail } = explain(error);
    const fixes = ['device-lost', 'internal'].includes(code);
    const context = code === 'context-full' && this.#actions.roomier(error.tokens);
    return el(
      'div',
      { class: 'error' },
      el('strong', { text: title }),
      ' ',
      advice,
      detail && el('p', { class: 'quiet', text: detail }),
      last &&
        el(
          'p',
          { class: 'row' },
          fixes &&
            el('button', {
              type: 'button',
              class: 'plain outlined',
              text: 'Load the model again',
              onclick: () => this.#actions.fix(index),
            }),
          context &&
            el('button', {
              type: 'button',
              class: 'primary',
              text: `Reload with ${count(context)}`,
              onclick: () => this.#actions.enlarge(index, context),
            }),
          // The same message would be too long again.
          code !== 'context-full' &&
            el(
              'button',
              { type: 'button', class: 'plain outlined', onclick: () => this.#actions.regenerate(index) },
              icon('again'),
              'Try again',
            ),
        ),
    );
  }

  /** Turns a message of the user into a text box. */
  #edit({ message, node, body, foot }, index) {
    const box = el('textarea', {
      'aria-label': 'Edit the message',
      rows: Math.min(12, message.content.split('\n').length + 1),
    });
    box.value = message.content;
    const back = () => {
      node.classList.remove('editing');
      body.textContent = message.content;
      this.#refreshFeet();
      node.querySelector('[aria-label="Edit"]')?.focus();
    };
    const send = () => {
      const text = box.value.trim();
      if (text) this.#actions.edit(index, text);
    };
    box.onkeydown = (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        back();
      }
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    };
    node.classList.add('editing');
    body.replaceChildren(box);
    foot.replaceChildren(
      el('button', { type: 'button', class: 'plain outlined', text: 'Cancel', onclick: back }),
      el('button', { type: 'button', class: 'primary', text: 'Send', onclick: send }),
    );
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  }
}
