// What stands where no conversation is yet: how to get a model, why there is none, or a few words to begin with.

import { $, el } from './dom.js';
import { bigLoad } from './models.js';
import { heading, noGpu } from './nogpu.js';
import { bytes, explain } from './words.js';

const STARTERS = [
  'Explain how a rainbow forms.',
  'Write a short poem about autumn.',
  'What should I pack for a weekend in the mountains?',
];

/** Draws the welcome for the state at hand. `last` is what Engine.last() said; undefined while that is not known. */
export function drawWelcome({ engine, models, chat, last, begin }) {
  const place = $('welcome');
  const empty = !chat.conversation.messages.length;
  const undecided = !engine.failure && (!engine.lantern || engine.loading || last === undefined);
  // Below a conversation it shows only while there is no model to go on with.
  place.hidden = !empty && (undecided || (engine.model !== null && !engine.error));
  place.classList.toggle('compact', !empty);
  if (engine.failure) place.replaceChildren(...noGpu(engine.failure));
  else if (engine.error) place.replaceChildren(...failed(engine.error, models, engine));
  else if (engine.model) place.replaceChildren(...starters(engine, begin));
  else
    place.replaceChildren(
      ...(empty ? about() : heading('No model is loaded')),
      ...(undecided ? [] : choose(models, last)),
    );
  if (!empty && !place.hidden) place.scrollIntoView({ block: 'end' });
}

const about = () =>
  heading(
    'A language model of your own',
    'It runs on this computer’s GPU, inside the browser. Nothing that you write leaves this device.',
  );

function choose(models, last) {
  const first = models.offered[0];
  const size = first?.size ? `${bytes(first.size)}, once` : '';
  const other = el('button', {
    type: 'button',
    class: 'plain outlined',
    text: last || first ? 'Choose another model' : 'Choose a model',
    onclick: () => models.open(),
  });
  const buttons = [other];
  if (last) buttons.unshift(bigLoad(models, last.choice, `Load ${last.choice.name}`, 'used the last time'));
  else if (first) buttons.unshift(bigLoad(models, first, `Load ${first.name}`, size));
  return [el('div', { class: 'choices' }, ...buttons)];
}

function starters(engine, begin) {
  const { info } = engine.model;
  if (!info.chat) {
    return heading(
      'This model is not made for conversations',
      `${engine.choice.name} has no chat template. Choose an “instruct” or “chat” edition of it.`,
    );
  }
  return [
    ...heading('What shall we talk about?'),
    el(
      'div',
      { class: 'choices' },
      ...STARTERS.map((text) =>
        el('button', {
          type: 'button',
          class: 'plain outlined',
          text,
          onclick: () => begin(text),
        }),
      ),
    ),
  ];
}

function failed({ error, choice, back }, models, engine) {
  const { title, advice, detail } = explain(error);
  return [
    ...heading(title, `${choice.name}: ${advice}`),
    el('p', { class: 'quiet', text: detail }),
    el(
      'div',
      { class: 'choices' },
      el('button', {
        type: 'button',
        class: 'primary',
        text: 'Try again',
        onclick: () => (error.code === 'device-lost' ? engine.restart(choice) : models.load(choice)),
      }),
      back &&
        el('button', {
          type: 'button',
          class: 'plain outlined',
          text: `Back to ${back.name}`,
          onclick: () => engine.back(),
        }),
      el('button', {
        type: 'button',
        class: 'plain outlined',
        text: 'Choose another model',
        onclick: () => models.open(),
      }),
    ),
  ];
}
