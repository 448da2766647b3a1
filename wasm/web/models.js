// The choice of a model: the dialog with what is offered, what is on this device, and what somebody names, picks or
// drops; and the progress of a load. What a load does is the engine's.

import { $, ask, closable, el, icon, iconButton, notice } from './dom.js';
import { fromFiles, fromText, inCache, offered } from './sources.js';
import { bytes, estimateWords, plural, progressWords } from './words.js';

export class Models {
  /** The models that this deployment offers. */
  offered = [];
  #engine;
  #dialog = $('models-dialog');

  constructor(engine) {
    this.#engine = engine;
    closable(this.#dialog);
    $('model').onclick = () => this.open();
    $('address-form').onsubmit = (event) => {
      event.preventDefault();
      this.#try(() => fromText($('address').value));
    };
    $('address-check').onclick = () => this.#checkAddress();
    $('pick').onclick = () => $('model-file').click();
    $('model-file').onchange = () => {
      this.#try(() => fromFiles($('model-file').files));
      $('model-file').value = '';
    };
    $('clear-cache').onclick = () => this.#clear();
    $('progress-cancel').onclick = () => engine.cancel();
    engine.addEventListener('progress', () => this.#drawProgress());
    engine.addEventListener('change', () => {
      this.#drawProgress();
      if (this.#dialog.open) this.draw();
    });
  }

  async start() {
    this.offered = await offered();
  }

  async open() {
    await this.draw();
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  load(choice) {
    if (!this.#engine.lantern) {
      notice('There is no WebGPU here to run a model on.');
      return;
    }
    this.#dialog.close();
    $('prompt').focus();
    this.#engine.load(choice);
  }

  #try(read) {
    try {
      this.load(read());
    } catch (error) {
      // The notice line lies behind the dialog.
      $('address-help').textContent = error.message;
      $('address-help').classList.add('bad');
      $('address').focus();
    }
  }

  /** Loads files that were dropped. */
  drop(files) {
    try {
      this.load(fromFiles(files));
    } catch (error) {
      notice(error.message);
    }
  }

  async draw() {
    const groups = await this.#engine.cached();
    const current = this.#engine.choice;
    const loaded = (group) => this.#engine.model && current?.key && group?.keys.includes(current.key);
    // What is here is listed once, below.
    const missing = this.offered.filter((choice) => !inCache(choice, groups));
    $('offered').replaceChildren(
      ...missing.map((choice) =>
        this.#row(choice.name, choice.about, [
          this.#checkButton(choice),
          this.#loadButton(choice, choice.size ? `Download, ${bytes(choice.size)}` : 'Load', choice.name),
        ]),
      ),
    );
    $('offered').closest('section').hidden = !missing.length;
    $('cached').replaceChildren(...groups.map((group) => this.#cachedRow(group, loaded(group))));
    $('cached-section').hidden = !groups.length;
    const { usage = 0, quota = 0 } = (await this.#engine.lantern?.cache.estimate().catch(() => ({}))) ?? {};
    $('storage').textContent = quota ? `${bytes(usage)} of ${bytes(quota)} that the browser allows are used.` : '';
  }

  #row(name, about, buttons, mark) {
    return el(
      'li',
      {},
      el('div', {}, el('strong', { class: 'clip', text: name }), about && el('p', { class: 'quiet', text: about })),
      el('span', { class: 'row' }, mark && el('span', { class: 'mark', text: mark }), ...buttons),
    );
  }

  #loadButton(choice, label, name) {
    return el('button', {
      type: 'button',
      class: 'plain outlined',
      'aria-label': `${label}: ${name}`,
      text: label,
      onclick: () => this.load(choice),
    });
  }

  /** A button that says, in the place of the model's description, what it would take and do here. */
  #checkButton(choice) {
    const button = el('button', {
      type: 'button',
      class: 'plain outlined',
      'aria-label': `Try how fast ${choice.name} would be`,
      text: 'How fast?',
      onclick: async () => {
        const place = button.closest('li').querySelector('div');
        const line = place.querySelector('p') ?? place.appendChild(el('p', { class: 'quiet' }));
        line.setAttribute('aria-live', 'polite');
        button.disabled = true;
        line.textContent = await this.#estimate(choice.source, (text) => (line.textContent = text));
        button.disabled = false;
      },
    });
    return button;
  }

  async #estimate(source, say) {
    if (!this.#engine.lantern) return 'There is no WebGPU here to run a model on.';
    say('Running a few layers of its size…');
    try {
      return estimateWords(await this.#engine.lantern.estimate(source));
    } catch (error) {
      return error.message;
    }
  }

  /** What the address that is typed would take and do, below its field. */
  async #checkAddress() {
    const help = $('address-help');
    help.classList.remove('bad');
    try {
      const { source } = fromText($('address').value);
      help.textContent = await this.#estimate(source, (text) => (help.textContent = text));
    } catch (error) {
      help.textContent = error.message;
      help.classList.add('bad');
    }
  }

  #cachedRow(group, loaded) {
    const about = group.complete
      ? bytes(group.size)
      : `${bytes(group.present)}${group.size ? ` of ${bytes(group.size)}` : ''} downloaded`;
    const parts = group.parts > 1 ? ` in ${plural(group.keys.length, 'part')}` : '';
    const known = this.offered.find((choice) => inCache(choice, [group]));
    const origin = known?.source ?? (group.urls[0] ? { url: group.urls[0] } : null);
    // What is whole is loaded by its key; what is not goes on downloading from where it came from.
    const choice = {
      name: known?.name ?? group.name,
      key: group.key,
      origin,
      source: group.complete ? { cached: group.key } : origin,
    };
    return this.#row(
      choice.name,
      about + parts,
      [
        choice.source &&
          this.#loadButton(choice, group.complete ? (loaded ? 'Load again' : 'Load') : 'Resume', choice.name),
        iconButton('trash', `Remove ${choice.name}`, () => this.#remove(group, choice.name, loaded)),
      ].filter(Boolean),
      loaded ? 'in use' : null,
    );
  }

  async #remove(group, name, loaded) {
    const rest = loaded ? ' It stays in use until the page is closed.' : '';
    if (!(await ask(`Remove ${name} from this device (${bytes(group.present)})?${rest}`, 'Remove'))) return;
    await this.#change(async (cache) => {
      for (const key of group.keys) await cache.remove(key);
    });
  }

  async #clear() {
    if (!(await ask('Remove all models from this device? Conversations are kept.', 'Remove all'))) return;
    await this.#change((cache) => cache.clear());
  }

  async #change(work) {
    try {
      await work(this.#engine.lantern.cache);
    } catch (error) {
      notice(`That could not be removed: ${error.message}`);
    }
    await this.draw();
  }

  #drawProgress() {
    const { loading: load, model, choice } = this.#engine;
    const place = $('progress');
    place.hidden = !load;
    $('model-name').textContent = load ? `Loading ${load.choice.name}` : model ? choice.name : 'Choose a model';
    if (!load) return;
    const { title, line } = load.begun
      ? progressWords(load.progress, load.choice.name)
      : { title: `Loading ${load.choice.name}`, line: '' };
    // A title that stays the same is not read out again.
    if ($('progress-title').textContent !== title) {
      $('progress-title').textContent = title;
      $('spoken').textContent = title;
    }
    $('progress-text').textContent = line;
    const bar = $('progress-bar');
    if (load.progress.total) {
      bar.max = load.progress.total;
      bar.value = load.progress.done;
    } else bar.removeAttribute('value');
  }
}

/** A button that loads a model, with its name and, below, what there is to say. */
export function bigLoad(models, choice, label, about) {
  return el(
    'button',
    { type: 'button', class: 'primary big', onclick: () => models.load(choice) },
    icon('model'),
    el('span', {}, el('strong', { text: label }), about && el('small', { text: about })),
  );
}
