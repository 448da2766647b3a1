// The list of conversations: open, rename, delete, export, import. Holds them in memory and keeps the store in step.
// On a narrow screen it is a drawer.

import { $, download, el, iconButton, notice } from './dom.js';
import { fromJson, merge, newConversation, titleOf, toJson } from './store.js';
import { plural } from './words.js';

export class Sidebar {
  /** All conversations that have a message, in no order. */
  all = [];
  #store;
  #chat;
  #renaming = null;
  #narrow = matchMedia('(max-width: 800px)');

  constructor(store, chat) {
    this.#store = store;
    this.#chat = chat;
    $('new').onclick = () => this.fresh();
    $('export-all').onclick = () => this.#export(this.#sorted(), 'lantern-conversations');
    $('import').onclick = () => $('import-file').click();
    $('import-file').onchange = async () => {
      for (const file of $('import-file').files) await this.import(file);
      $('import-file').value = '';
    };
    chat.addEventListener('change', () => this.draw());
    store.onOther((id) => this.#fromOtherTab(id));
    this.#wireDrawer();
  }

  async start() {
    this.all = await this.#store.all();
    const open = this.all.find(({ id }) => `#${id}` === location.hash);
    this.#chat.open(open ?? newConversation());
  }

  /** Stores a conversation. One that was deleted while its answer was being written stays deleted. */
  async keep(conversation) {
    if (conversation.deleted) return;
    if (!this.all.includes(conversation)) this.all.push(conversation);
    try {
      await this.#store.put(conversation);
    } catch (error) {
      notice(`The conversation could not be stored: ${error.message}`);
    }
  }

  fresh() {
    this.#chat.open(newConversation());
    this.close();
    $('prompt').focus();
  }

  #sorted() {
    return [...this.all].sort((a, b) => b.updated - a.updated);
  }

  draw() {
    const { conversation } = this.#chat;
    const known = this.all.includes(conversation);
    history.replaceState(null, '', known ? `#${conversation.id}` : location.pathname + location.search);
    document.title = known ? `${conversation.title} – Lantern` : 'Lantern';
    $('export-all').disabled = !this.all.length;
    const rows = this.#sorted().map((one) => this.#row(one, one === conversation));
    $('conversations').replaceChildren(...rows);
    $('conversations').querySelector('input')?.select();
  }

  #row(one, current) {
    if (one === this.#renaming) return el('li', { class: 'current' }, this.#renameBox(one));
    const open = el(
      'button',
      {
        type: 'button',
        class: 'plain open',
        'aria-current': current ? 'true' : null,
        title: one.title,
        onclick: () => {
          this.#chat.open(one);
          this.close();
        },
      },
      el('span', { class: 'clip', text: one.title || 'Conversation' }),
    );
    return el(
      'li',
      { class: current ? 'current' : '' },
      open,
      el(
        'span',
        { class: 'row-actions' },
        iconButton('edit', `Rename “${one.title}”`, () => {
          this.#renaming = one;
          this.draw();
        }),
        iconButton('export', `Export “${one.title}”`, () => this.#export([one], fileName(one.title))),
        iconButton('trash', `Delete “${one.title}”`, () => this.#delete(one)),
      ),
    );
  }

  #renameBox(one) {
    const box = el('input', { type: 'text', 'aria-label': 'Title', maxlength: 120 });
    box.value = one.title;
    const finish = (keep) => {
      if (this.#renaming !== one) return;
      this.#renaming = null;
      const title = box.value.trim();
      if (keep && title !== one.title) {
        // An empty title asks for the automatic one.
        one.title = title || titleOf(one.messages[0]?.content ?? '');
        one.named = title !== '';
        this.keep(one);
      }
      this.draw();
      $('conversations')
        .querySelector(`[title="${CSS.escape(one.title)}"]`)
        ?.focus();
    };
    box.onblur = () => finish(true);
    box.onkeydown = (event) => {
      if (event.key !== 'Enter' && event.key !== 'Escape') return;
      event.stopPropagation();
      finish(event.key === 'Enter');
    };
    return box;
  }

  async #delete(one) {
    if (this.#chat.running?.conversation === one) await this.#chat.stop();
    one.deleted = true;
    this.all = this.all.filter((other) => other !== one);
    await this.#store.remove(one.id);
    const wasOpen = this.#chat.conversation === one;
    if (wasOpen) this.#chat.open(newConversation());
    else this.draw();
    ($('conversations').querySelector('.open') ?? $('new')).focus();
    notice(`“${one.title}” was deleted.`, { action: { label: 'Undo', run: () => this.#undelete(one, wasOpen) } });
  }

  async #undelete(one, open) {
    delete one.deleted;
    await this.keep(one);
    if (open) this.#chat.open(one);
    else this.draw();
  }

  #export(conversations, name) {
    download(`${name}-${new Date().toISOString().slice(0, 10)}.json`, toJson(conversations));
  }

  /** Takes over the conversations of an export. */
  async import(file) {
    try {
      const fresh = merge(this.all, fromJson(await file.text()));
      for (const one of fresh) await this.keep(one);
      notice(
        fresh.length
          ? `${plural(fresh.length, 'conversation was', 'conversations were')} imported.`
          : 'All conversations of this export are here already.',
      );
      this.draw();
    } catch (error) {
      notice(`${file.name} was not imported. ${error.message}`);
    }
  }

  async #fromOtherTab(id) {
    const mine = this.all.find((one) => one.id === id);
    // What is being written here wins: it is stored again when it is complete.
    if (mine && this.#chat.running?.conversation === mine) return;
    const theirs = await this.#store.get(id);
    this.all = this.all.filter((one) => one.id !== id);
    if (theirs) this.all.push(theirs);
    if (mine && this.#chat.conversation === mine) this.#chat.open(theirs ?? newConversation());
    else this.draw();
  }

  #wireDrawer() {
    $('menu').onclick = () => this.#show(!this.#open);
    $('scrim').onclick = () => this.close();
    // Caught on its way down, wherever the focus is: an open drawer is what Escape closes first.
    addEventListener(
      'keydown',
      (event) => {
        if (event.key !== 'Escape' || !this.#narrow.matches || !this.#open || this.#renaming) return;
        event.stopPropagation();
        this.close();
        $('menu').focus();
      },
      { capture: true },
    );
    this.#narrow.addEventListener('change', () => this.#show(!this.#narrow.matches));
    this.#show(!this.#narrow.matches);
  }

  get #open() {
    return document.body.dataset.sidebar === 'open';
  }

  #show(open) {
    document.body.dataset.sidebar = open ? 'open' : 'closed';
    $('menu').setAttribute('aria-expanded', String(open));
    $('sidebar').inert = !open;
    $('column').inert = open && this.#narrow.matches;
    if (open && this.#narrow.matches) $('new').focus();
  }

  /** Closes the drawer; beside a wide column the list stays. */
  close() {
    if (this.#narrow.matches) this.#show(false);
  }
}

const fileName = (title) =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 40) || 'conversation';
