// The choice of what to measure: a model that is offered, one on this device, an address or a file; and how much of each
// test. Reads the form; what is done with it is the caller's.

import { $, el } from './dom.js';
import { fromFiles, fromText, grouped, inCache, offered } from './sources.js';
import { bytes } from './words.js';

const field = (key, label, value, max, help) => ({ key, label, value, max, help });

const TESTS = [
  field('prompt_tokens', 'Prompt', '128', 65536, 'Tokens that are read at once; 0 for none, or several: 16, 128.'),
  field('generated_tokens', 'Answer', '32', 65536, 'Tokens that are written one by one; 0 for none, or several.'),
  field('depths', 'Depth', '0', 65536, 'Tokens that the context holds before, or several: 0, 1024.'),
];
const REPETITIONS = field('repetitions', 'Repetitions', '3', 100, 'How often each is measured.');

/** The most values that one field takes. */
const VALUES_MAX = 16;

/** What the engine needs beyond tokens that are counted: it runs a few before anything is measured. */
const POSITIONS_MIN = 16;

export class Form {
  /** What stands in the list, by the value of its option. */
  #choices = new Map();

  constructor() {
    $('fields').replaceChildren(...[...TESTS, REPETITIONS].map(numbers));
    $('model').onchange = () => this.#showAddress();
    $('address').oninput = () => complain($('address'), '');
    $('pick').onclick = () => $('model-file').click();
    $('model-file').onchange = () => {
      this.files($('model-file').files);
      $('model-file').value = '';
    };
  }

  /** Fills the list of models: those that this deployment offers, the default first, and those on this device. */
  async fill(lantern) {
    const groups = grouped((await lantern?.cache.list().catch(() => [])) ?? []).filter(({ complete }) => complete);
    const first = await offered();
    const chosen = $('model').value;
    const here = groups.filter((group) => !first.some((choice) => inCache(choice, [group])));
    for (const choice of first) {
      const group = inCache(choice, groups);
      const about = group ? 'on this device' : choice.size ? `${bytes(choice.size)} to download` : '';
      const source = group ? { cached: group.key } : choice.source;
      this.#choices.set(`offered ${choice.name}`, { name: choice.name, about, source });
    }
    for (const { name, key, size } of here) {
      this.#choices.set(`cached ${key}`, { name, about: `${bytes(size)}, on this device`, source: { cached: key } });
    }
    this.#draw(chosen);
  }

  /** Takes files that were picked or dropped. */
  files(files) {
    try {
      const choice = fromFiles(files);
      this.#choices.set(`file ${choice.name}`, { ...choice, about: 'a file', file: true });
      this.#draw(`file ${choice.name}`);
      complain($('address'), '');
    } catch (error) {
      complain($('address'), error.message);
    }
  }

  #draw(chosen) {
    const options = [...this.#choices].map(([value, { name, about }]) =>
      el('option', { value, text: about ? `${name} (${about})` : name }),
    );
    $('model').replaceChildren(
      ...options,
      el('option', { value: 'address', text: 'An address, or a name on the hub …' }),
    );
    if (chosen && (chosen === 'address' || this.#choices.has(chosen))) $('model').value = chosen;
    this.#showAddress();
  }

  #showAddress() {
    $('address').hidden = $('model').value !== 'address';
    complain($('address'), '');
  }

  /** The choice and the options for load() and bench(); null where something is wrong, which it says and goes to. */
  read() {
    const wrong = [];
    const tell = (input, read) => {
      try {
        const value = read();
        complain(input, '');
        return value;
      } catch (error) {
        complain(input, error.message);
        wrong.push(input);
        return null;
      }
    };
    const chosen = $('model').value;
    const choice =
      chosen === 'address' ? tell($('address'), () => fromText($('address').value)) : this.#choices.get(chosen);
    const lists = TESTS.map((one) => [one.key, tell($(one.key), () => list($(one.key).value, one))]);
    const repetitions = tell($('repetitions'), () => single($('repetitions').value, REPETITIONS));
    const options = { ...Object.fromEntries(lists), repetitions, profile: $('profile').checked };
    if (!wrong.length && ![...options.prompt_tokens, ...options.generated_tokens].some(Boolean)) {
      tell($('generated_tokens'), () => {
        throw new Error('Prompt and answer are both 0: nothing is left to measure.');
      });
    }
    wrong[0]?.focus();
    return wrong.length ? null : { choice, options, context: positions(options) };
  }
}

/** Tokens that the context must hold. */
function positions({ prompt_tokens, generated_tokens, depths }) {
  const [prompt, answer, depth] = [prompt_tokens, generated_tokens, depths].map((list) => Math.max(...list));
  return depth + Math.max(prompt + 1, answer + 2, POSITIONS_MIN);
}

function whole(text, max) {
  if (!/^\d+$/.test(text) || Number(text) > max) {
    throw new Error(`Whole numbers up to ${max.toLocaleString('en')}, please.`);
  }
  return Number(text);
}

function list(text, { max }) {
  const values = text.split(/[\s,;]+/).filter(Boolean);
  if (!values.length) throw new Error('A number, please.');
  if (values.length > VALUES_MAX) throw new Error(`At most ${VALUES_MAX} numbers, please.`);
  return values.map((value) => whole(value, max));
}

function single(text, { max }) {
  const value = whole(text.trim(), max);
  if (value < 1) throw new Error('At least 1, please.');
  return value;
}

function complain(input, text) {
  $(`${input.id}-problem`).textContent = text;
  if (text) input.setAttribute('aria-invalid', 'true');
  else input.removeAttribute('aria-invalid');
}

function numbers({ key, label, value, help }) {
  const input = el('input', {
    type: 'text',
    id: key,
    inputmode: 'numeric',
    autocomplete: 'off',
    'aria-describedby': `${key}-help ${key}-problem`,
    oninput: () => complain(input, ''),
  });
  input.value = value;
  return el(
    'div',
    { class: 'field' },
    el('label', { for: key, text: label }),
    input,
    el('p', { class: 'bad', id: `${key}-problem` }),
    el('p', { class: 'quiet', id: `${key}-help`, text: help }),
  );
}
