// The settings: what there is to set, within which bounds, how it is shown and kept. Does not know what uses them.

import { $, closable, el, recall, remember } from './dom.js';

const entry = (key, label, value, min, max, step, help) => ({ key, label, value, min, max, step, help });

/** No value: nothing is passed on, and the engine decides. */
const SAMPLING = [
  entry(
    'temperature',
    'Temperature',
    null,
    0,
    2,
    0.05,
    '0 always takes the likeliest word; higher is bolder. Empty: as the model’s file advises, or 0.8.',
  ),
  entry(
    'top_p',
    'Top p',
    null,
    0.05,
    1,
    0.05,
    'Only the likeliest words that reach this sum. Empty: as the file advises, or 0.95.',
  ),
  entry(
    'top_k',
    'Top k',
    null,
    0,
    1000,
    1,
    'Only that many of the likeliest; 0 for all. Empty: as the file advises, or 40.',
  ),
  entry(
    'min_p',
    'Min p',
    null,
    0,
    1,
    0.01,
    'Only words at least this likely, beside the likeliest. Empty: as the file advises, or 0.05.',
  ),
  entry(
    'repeat_penalty',
    'Repeat penalty',
    null,
    1,
    2,
    0.05,
    '1 for none; higher avoids what was just said. Empty: as the file advises, or 1.',
  ),
  entry('max_tokens', 'Longest answer', null, 1, 131072, 1, 'In tokens; empty: until the context is full.'),
  entry('seed', 'Seed', null, 0, 4294967295, 1, 'The same seed draws the same answer; empty: a new one each time.'),
];

const CONTEXT = 'Tokens that a conversation may have; more takes more memory. Empty: the model’s own, at most 4,096.';
const LOADING = [entry('context', 'Context', null, 256, 131072, 1, CONTEXT)];

/** What may be handed to chat(): all that is set. */
export function sampling() {
  return chosen('sampling', SAMPLING);
}

/** What may be handed to load(). */
export function loading() {
  const kept = recall('load') ?? {};
  return {
    ...chosen('load', LOADING),
    ...(kept.precision === 'exact' && { precision: 'exact' }),
    ...(kept.cache === false && { cache: false }),
  };
}

/** Makes this the context that models are loaded with. */
export function setContext(context) {
  remember('load', { ...recall('load'), context });
  drawLoading();
}

export const systemPrompt = () => (recall('system') ?? '').trim();

function chosen(name, fields) {
  const kept = recall(name) ?? {};
  const result = {};
  for (const field of fields) {
    const value = bounded(field, kept[field.key]);
    if (value !== null) result[field.key] = value;
  }
  return result;
}

/** A value within its bounds; its default where there is none. Storage may hold anything. */
function bounded(field, value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return field.value;
  const whole = Number.isInteger(field.step) ? Math.round(value) : value;
  return Math.min(field.max, Math.max(field.min, whole));
}

function numberField(name, field) {
  const input = el('input', {
    type: 'number',
    id: `set-${field.key}`,
    min: field.min,
    max: field.max,
    step: field.step,
    inputmode: Number.isInteger(field.step) ? 'numeric' : 'decimal',
    placeholder: field.value === null ? 'automatic' : field.value,
    'aria-describedby': `set-${field.key}-help`,
    onchange: () => {
      const value = input.value.trim() === '' ? null : bounded(field, Number(input.value));
      remember(name, { ...recall(name), [field.key]: value });
      input.value = value ?? field.value ?? '';
    },
  });
  input.value = bounded(field, recall(name)?.[field.key]) ?? '';
  return el(
    'div',
    { class: 'field' },
    el('label', { for: input.id, text: field.label }),
    input,
    el('p', { class: 'quiet', id: `set-${field.key}-help`, text: field.help }),
  );
}

function checkField(key, label, help, checked, onchange) {
  const input = el('input', { type: 'checkbox', id: `set-${key}`, checked, onchange: () => onchange(input.checked) });
  return el(
    'div',
    { class: 'field check' },
    el('label', { for: input.id }, input, label),
    el('p', { class: 'quiet', text: help }),
  );
}

function drawSampling() {
  $('system').value = recall('system') ?? '';
  $('sampling-fields').replaceChildren(...SAMPLING.map((field) => numberField('sampling', field)));
}

function drawLoading() {
  const kept = recall('load') ?? {};
  const set = (change) => remember('load', { ...recall('load'), ...change });
  $('load-fields').replaceChildren(
    ...LOADING.map((field) => numberField('load', field)),
    checkField(
      'cache',
      'Keep the file on this device',
      'The next visit then needs no download.',
      kept.cache !== false,
      (on) => set({ cache: on }),
    ),
    checkField(
      'exact',
      'Compute exactly',
      '32 bits throughout: slower, and takes more memory.',
      kept.precision === 'exact',
      (on) => set({ precision: on ? 'exact' : 'mixed' }),
    ),
  );
}

function wireTheme() {
  const theme = recall('theme') ?? 'auto';
  for (const radio of document.querySelectorAll('#theme input')) {
    radio.checked = radio.value === theme;
    radio.onchange = () => {
      remember('theme', radio.value);
      if (radio.value === 'auto') delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = radio.value;
    };
  }
}

export function wireSettings() {
  const dialog = $('settings-dialog');
  closable(dialog);
  drawSampling();
  drawLoading();
  wireTheme();
  $('settings').onclick = () => {
    drawSampling();
    dialog.showModal();
  };
  $('system').oninput = () => remember('system', $('system').value);
  $('reset').onclick = () => {
    remember('sampling', null);
    remember('system', null);
    drawSampling();
  };
}
