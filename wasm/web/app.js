// Brings the page to life: makes its parts, ties them together, and handles what belongs to none of them.

import { Chat } from './chat.js';
import { $, notice } from './dom.js';
import { wireDrop } from './drop.js';
import { Engine } from './engine.js';
import { Models } from './models.js';
import { goOffline } from './offline.js';
import { wireSettings } from './settings.js';
import { Sidebar } from './sidebar.js';
import { Store } from './store.js';
import { drawWelcome } from './welcome.js';
import { count } from './words.js';

const engine = new Engine();
const store = await new Store().open();
const chat = new Chat(engine, (conversation) => sidebar.keep(conversation));
const sidebar = new Sidebar(store, chat);
const models = new Models(engine);
/** What Engine.last() says, once it has. */
let last;
/** Something was sent before the model was there: it goes out when it is. */
let eager = false;

function draw() {
  if (engine.choice) last = { choice: engine.choice };
  drawWelcome({ engine, models, chat, last, begin: (text) => chat.send(text) });
  $('send').hidden = chat.running !== null;
  $('stop').hidden = chat.running === null;
  // Without a GPU there is nobody to write to; what was written before can still be read and exported.
  for (const id of ['prompt', 'send', 'model']) $(id).disabled = engine.failure !== null;
  const { adapter } = engine.lantern ?? {};
  $('adapter').textContent = adapter ? adapter.name : '';
  $('adapter').title = adapter ? `${adapter.name} (${[adapter.kind, adapter.backend].filter(Boolean).join(', ')})` : '';
  drawContext();
  if (eager && !engine.loading) {
    eager = false;
    if (engine.model) send();
  }
}

/** How full the context is: what the last answer left in it. */
function drawContext() {
  const used = chat.conversation.messages.findLast(({ stats }) => stats?.total_tokens)?.stats.total_tokens ?? 0;
  const size = engine.model?.info.context ?? 0;
  $('context').hidden = !size;
  if (!size) return;
  $('context-meter').value = Math.min(1, used / size);
  $('context-text').textContent = `${count(used)} of ${count(size)} tokens`;
}

/** Makes the box as tall as its text; the style sheet says how tall at most. */
function fit() {
  const box = $('prompt');
  box.style.height = 'auto';
  box.style.height = `${box.scrollHeight}px`;
}

function send() {
  const box = $('prompt');
  const text = box.value.trim();
  if (!text) return;
  if (engine.loading && !chat.running) {
    eager = true;
    notice('The model is still loading. Your message goes to it as soon as it is there.');
    return;
  }
  if (!chat.send(text)) return;
  box.value = '';
  fit();
}

function wireComposer() {
  const box = $('prompt');
  const touch = matchMedia('(pointer: coarse) and (hover: none)');
  box.oninput = fit;
  box.onkeydown = (event) => {
    // On a touch keyboard the return key makes a line, as everywhere there; while a word is being composed it picks it.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || touch.matches) return;
    event.preventDefault();
    send();
  };
  $('composer').onsubmit = (event) => {
    event.preventDefault();
    send();
  };
  $('stop').onclick = () => {
    chat.stop();
    box.focus();
  };
  $('skip').onclick = (event) => {
    event.preventDefault();
    box.focus();
  };
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !document.querySelector('dialog[open]')) chat.stop();
  });
}

/** Exports are imported, all else is loaded as a model. */
function dropped(files) {
  const exports = files.filter(({ name }) => /\.json$/i.test(name));
  for (const file of exports) sidebar.import(file);
  if (files.length > exports.length) models.drop(files);
}

async function start() {
  engine.beforeUnload = () => chat.stop();
  engine.addEventListener('change', draw);
  engine.addEventListener('notice', (event) => notice(event.detail));
  chat.addEventListener('change', draw);
  chat.addEventListener('nomodel', () => models.open());
  wireSettings();
  wireComposer();
  wireDrop(dropped);
  await sidebar.start();
  fit();
  if (!store.lasting)
    notice('This window keeps nothing: conversations are gone when it is closed. Export those that matter.');
  await Promise.all([models.start(), engine.start()]);
  last = await engine.last();
  draw();
  goOffline();
  if (last?.ready && engine.lantern && !engine.loading) models.load(last.choice);
}

await start();
