// Brings the page that measures to life: one run after the other, each from nothing: self-test, load, benchmark. Its form
// is bench-model.js, its tables bench-report.js.

import { Form } from './bench-model.js';
import { drawReport, fileName } from './bench-report.js';
import { TimeLeft } from './bench-time.js';
import { $, copy, download, el, notice } from './dom.js';
import { wireDrop } from './drop.js';
import { noGpu } from './nogpu.js';
import { goOffline } from './offline.js';
import { browserOf, count, duration, explain, plural, progressWords } from './words.js';

/** After these the engine is opened anew. */
const BROKEN = ['device-lost', 'device', 'internal'];

const form = new Form();
/** The engine; null while there is none. */
let lantern = null;
/** Stops the run that is under way; null between runs. */
let abort = null;
let report = null;

async function open() {
  const { Lantern } = await import('./lantern/index.js');
  lantern ??= await Lantern.create({ onNotice: (text) => $('said').append(el('li', { text })) });
  const { name, kind, backend, features } = lantern.adapter;
  const { browser, system, version } = browserOf(navigator.userAgent);
  const here = browser === 'other' ? system : `${browser} ${version} on ${system}`;
  $('machine').textContent = `${name} (${[kind, backend].filter(Boolean).join(', ')}) · ${here}`;
  // Without timestamps a run would fail at its very end.
  $('profile').disabled = !features.timestamps;
  if (features.timestamps) return;
  $('profile').checked = false;
  $('profile-help').textContent = 'This GPU has no timestamps, so the time of a kernel cannot be told.';
}

/** Shows what is going on. A title that stays the same is not read out again. */
function show(title, line = '', { done = 0, total = 0 } = {}) {
  if (abort?.signal.aborted) return;
  if ($('progress-title').textContent !== title) {
    $('progress-title').textContent = title;
    $('spoken').textContent = title;
  }
  $('progress-text').textContent = line;
  const bar = $('progress-bar');
  if (total && done < total) {
    bar.max = total;
    bar.value = done;
  } else bar.removeAttribute('value');
}

const parts = (...texts) => texts.filter(Boolean).join(' · ');
const left = (seconds) => seconds !== undefined && Number.isFinite(seconds) && `${duration(seconds)} left`;

/** Every kernel against its reference; what became of them, as a report has it. */
async function selfTest(signal) {
  const title = 'Testing the kernels';
  const begun = performance.now();
  show(title);
  const onRow = ({ kernel, variant }, { done, total }) => {
    const seconds = (((performance.now() - begun) / 1000) * (total - done)) / done;
    show(title, parts(`${count(done)} of ${plural(total, 'variant')}`, left(seconds), `${kernel}.${variant}`), {
      done,
      total,
    });
  };
  const rows = await lantern.selftest({ onRow, signal });
  const failed = rows.filter(({ failures }) => failures.length);
  return { whole: true, passed: rows.length - failed.length, failed };
}

/** The tokens of a benchmark as they pass, read out a quarter at a time. */
function progressOf(options) {
  const time = new TimeLeft(options, performance.now());
  let quarter = 0;
  return ({ done, total }) => {
    const rest = left(time.after(done, total, performance.now()));
    if (done >= total) {
      show(options.profile ? 'Measuring what the GPU can do, and each kernel' : 'Measuring what the GPU can do');
      return;
    }
    show('Measuring', parts(`${count(done)} of ${plural(total, 'token')}`, rest), { done, total });
    if (Math.floor((done * 4) / total) <= quarter) return;
    quarter = Math.floor((done * 4) / total);
    $('spoken').textContent = parts(`${quarter * 25} % measured`, rest);
  };
}

async function measure({ choice, options, context }, signal) {
  if (!lantern) await open();
  const tested = $('selftest').checked && { selftest: await selfTest(signal) };
  show(`Loading ${choice.name}`);
  const onProgress = (progress) => {
    const { title, line } = progressWords(progress, choice.name);
    show(title, line, progress);
  };
  // A file on the disk needs no copy in the browser's storage for this.
  const model = await lantern.load(choice.source, {
    context,
    onProgress,
    signal,
    ...(choice.file && { cache: false }),
  });
  try {
    show('Measuring');
    const measured = await lantern.bench(model, { ...options, signal, onProgress: progressOf(options) });
    return { ...measured, ...tested };
  } finally {
    // A model on a lost device may refuse; it is gone either way.
    await model.unload().catch(() => {});
  }
}

async function run() {
  const wanted = form.read();
  if (!wanted || abort) return;
  abort = new AbortController();
  report = null;
  for (const id of ['error', 'results']) $(id).hidden = true;
  $('said').replaceChildren();
  $('form-fields').disabled = true;
  $('stop').disabled = false;
  $('progress').hidden = false;
  $('stop').focus();
  show(`Loading ${wanted.choice.name}`);
  let failure = null;
  try {
    report = await measure(wanted, abort.signal);
  } catch (error) {
    failure = error;
  }
  abort = null;
  $('progress').hidden = true;
  $('progress-title').textContent = '';
  $('form-fields').disabled = false;
  if (report) drawResults();
  else if (failure.code === 'aborted') stopped();
  else fail(failure, wanted.choice);
  if (lantern) await form.fill(lantern);
}

function drawResults() {
  $('report').replaceChildren(...drawReport(report));
  $('results').hidden = false;
  $('spoken').textContent = 'Measured';
  $('results-title').focus();
  $('results').scrollIntoView({ block: 'start' });
}

function stopped() {
  notice('Stopped. Nothing is left of this run.');
  $('start').focus();
}

function fail(error, choice) {
  if (BROKEN.includes(error.code)) {
    lantern?.close();
    lantern = null;
  }
  const { code, title, advice, detail } = explain(error);
  // The settings that explain() has in mind are the chat's.
  const words = code === 'bad-input' ? '' : advice;
  $('error').replaceChildren(
    el('p', {}, el('strong', { text: title }), ` ${[choice.name, words].filter(Boolean).join(': ')}`),
    detail && el('p', { class: 'quiet', text: detail }),
  );
  $('error').hidden = false;
  $('error').focus();
}

function stop() {
  if (!abort || abort.signal.aborted) return;
  show('Stopping …');
  $('stop').disabled = true;
  abort.abort();
}

const text = () => `${JSON.stringify(report, null, 2)}\n`;

function wire() {
  $('form').onsubmit = (event) => {
    event.preventDefault();
    run();
  };
  $('stop').onclick = stop;
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') stop();
  });
  $('save').onclick = () => download(fileName(report), text());
  $('copy').onclick = () => copy(text(), $('copy'));
  wireDrop((files) => {
    if (!abort) form.files(files);
  });
}

async function start() {
  wire();
  await form.fill(null);
  try {
    await open();
    await form.fill(lantern);
    $('start').disabled = false;
  } catch (error) {
    $('machine').textContent = '';
    $('form').hidden = true;
    $('no-gpu').replaceChildren(...noGpu(error));
    $('no-gpu').hidden = false;
  }
  goOffline();
}

await start();
