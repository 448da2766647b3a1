// Conversations: kept in IndexedDB, written to and read from JSON files. Knows nothing of the page or of models.
//
// A conversation is { id, title, named, created, updated, messages: [{ role, content, reasoning_content?, model?, stats?, error? }] };
// `named` says that a person gave the title.

const FORMAT = 'lantern-conversations';
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** What was written is there for good once its transaction is complete; before that a reload may undo it. */
const complete = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });

export class Store {
  #db = null;
  #others = 'BroadcastChannel' in globalThis ? new BroadcastChannel('lantern-conversations') : null;

  /**
   * Opens the store. `lasting` is false where the browser keeps nothing (a private window): then all lives in the
   * page.
   */
  async open() {
    try {
      const request = indexedDB.open('lantern', 1);
      request.onupgradeneeded = () => request.result.createObjectStore('conversations', { keyPath: 'id' });
      this.#db = await done(request);
      // A newer page in another tab may need to upgrade: let it.
      this.#db.onversionchange = () => this.#db.close();
    } catch {
      this.#db = null;
    }
    return this;
  }

  get lasting() {
    return this.#db !== null;
  }

  /** Calls `listener(id)` when another tab has written or removed a conversation. */
  onOther(listener) {
    if (this.#others) this.#others.onmessage = (event) => listener(event.data);
  }

  #table() {
    return this.#db.transaction('conversations', 'readonly').objectStore('conversations');
  }

  /** Writes by `change`, and tells other tabs. */
  async #write(id, change) {
    if (!this.#db) return;
    const transaction = this.#db.transaction('conversations', 'readwrite');
    change(transaction.objectStore('conversations'));
    await complete(transaction);
    this.#others?.postMessage(id);
  }

  async all() {
    return this.#db ? done(this.#table().getAll()) : [];
  }

  async get(id) {
    return this.#db ? done(this.#table().get(id)) : undefined;
  }

  async put(conversation) {
    await this.#write(conversation.id, (table) => table.put(conversation));
  }

  async remove(id) {
    await this.#write(id, (table) => table.delete(id));
  }
}

export function newConversation() {
  const now = Date.now();
  return {
    id: crypto.randomUUID?.() ?? `${now}-${Math.random()}`,
    title: '',
    named: false,
    created: now,
    updated: now,
    messages: [],
  };
}

/** The first line of the first message, cut at a word. */
export function titleOf(text) {
  const line = text
    .trim()
    .split('\n')[0]
    .replace(/\s+/g, ' ')
    .replace(/^[#>*\-\s]+/, '');
  if (line.length <= 60) return line || 'Conversation';
  return `${line.slice(0, 58).replace(/\s+\S*$/, '')}…`;
}

export function toJson(conversations) {
  return `${JSON.stringify({ format: FORMAT, version: 1, conversations }, null, 2)}\n`;
}

/**
 * Reads an export. Files come from anywhere, so only what belongs in a conversation is taken over. Throws in plain
 * words.
 */
export function fromJson(text) {
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Error('This is not a JSON file.');
  }
  if (data?.format !== FORMAT || !Array.isArray(data.conversations))
    throw new Error('This is not an export of Lantern.');
  if (data.version !== 1) throw new Error('This export was made by a newer version of Lantern.');
  return data.conversations.map(conversationFrom);
}

function conversationFrom(value) {
  const messages = Array.isArray(value?.messages) ? value.messages.map(messageFrom) : null;
  if (typeof value?.id !== 'string' || !messages || messages.includes(null)) throw new Error('The export is damaged.');
  const time = (at) => (Number.isFinite(at) ? at : Date.now());
  return {
    id: value.id,
    title: String(value.title ?? ''),
    named: value.named === true,
    created: time(value.created),
    updated: time(value.updated),
    messages,
  };
}

function messageFrom(value) {
  if (!['user', 'assistant'].includes(value?.role) || typeof value.content !== 'string') return null;
  const message = { role: value.role, content: value.content };
  if (typeof value.reasoning_content === 'string') message.reasoning_content = value.reasoning_content;
  if (typeof value.model === 'string') message.model = value.model;
  if (value.stats && typeof value.stats === 'object') {
    const fields = Object.entries(value.stats).filter(
      ([, field]) => Number.isFinite(field) || ['string', 'boolean'].includes(typeof field),
    );
    message.stats = Object.fromEntries(fields);
  }
  return message;
}

/**
 * Puts imported conversations among those that are here. Returns those to store: what is here already is not
 * doubled.
 */
export function merge(present, imported) {
  const essence = (one) => JSON.stringify([one.title, one.messages.map(({ role, content }) => [role, content])]);
  const fresh = [];
  for (const one of imported) {
    const twin = present.find(({ id }) => id === one.id);
    if (!twin) fresh.push(one);
    else if (essence(twin) !== essence(one)) fresh.push({ ...one, id: newConversation().id });
  }
  return fresh;
}
