// A benchmark's result as tables. Takes a report in the form `lantern-bench/1`; does not know how it was measured.

import { el } from './dom.js';
import { bytes, count, plural } from './words.js';

const fixed = (value, digits) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
/** Digits after the point that make three in all. */
const digitsOf = (value) => (value < 10 ? 2 : value < 100 ? 1 : 0);
const rounded = (value) => fixed(value, digitsOf(value));
// Spaces that do not break keep a number and its unit on one line.
const percent = (share) => `${fixed(share * 100, share < 0.1 ? 1 : 0)}\u00a0%`;
const milliseconds = (ms) => (ms < 1000 ? `${rounded(ms)} ms` : `${fixed(ms / 1000, 2)} s`);

/** What the names of tests and ceilings stand for. */
const TESTS = { pp: (tokens) => `${tokens} read`, tg: (tokens) => `${tokens} written` };
const CEILINGS = { read: 'memory', f32: 'arithmetic' };

/** The whole report, as elements. */
export function drawReport(report) {
  const { decode = [], prefill = [] } = report.profile ?? {};
  return [
    speeds(report),
    facts(report),
    report.selftest && selfTest(report.selftest),
    decode.length && kernels('Kernels of one token that is written', decode, report.ceilings),
    prefill.length && kernels('Kernels of one pass of a prompt', prefill, report.ceilings),
  ].filter(Boolean);
}

/** Name of a file for it. */
export function fileName({ adapter, measured_at }) {
  const words = adapter.name.toLowerCase().split(/[^a-z0-9]+/);
  const slug = words.filter(Boolean).join('-').slice(0, 40).replace(/-$/, '');
  return `lantern-bench-${slug || 'gpu'}-${measured_at.slice(0, 10)}.json`;
}

/** A section with a table: `columns` are [title, is a number], `rows` their cells, of which the first names the row. */
function section(title, columns, rows, small = false) {
  const cell = (content, index) => {
    const props = { class: columns[index][1] ? 'number' : null, scope: index ? null : 'row' };
    return el(index ? 'td' : 'th', props, ...[content].flat());
  };
  const head = columns.map(([text, isNumber]) => el('th', { scope: 'col', class: isNumber && 'number', text }));
  const table = el(
    'table',
    {},
    el('thead', {}, el('tr', {}, ...head)),
    el('tbody', {}, ...rows.map((row) => el('tr', {}, ...row.map(cell)))),
  );
  // Wide tables scroll in themselves, also by keyboard.
  const scroller = { class: small ? 'table small' : 'table', role: 'region', tabindex: '0', 'aria-label': title };
  return el('section', {}, el('h3', { text: title }), el('div', scroller, table));
}

function speeds({ rows }) {
  const columns = [
    ['Test', false],
    ['Depth', true],
    ['Tokens/s', true],
    ['Of the ceiling', true],
  ];
  const row = ({ test, depth, tokens_per_second: { mean, deviation }, ceiling, ceiling_share }) => {
    const words = TESTS[test.slice(0, 2)]?.(count(Number(test.slice(2))));
    return [
      [test, words && el('small', { text: words })],
      count(depth),
      `${rounded(mean)}\u00a0±\u00a0${fixed(deviation, digitsOf(mean))}`,
      `${percent(ceiling_share)} of ${CEILINGS[ceiling] ?? ceiling}`,
    ];
  };
  return section('Speed', columns, rows.map(row));
}

function facts(report) {
  const { adapter, ceilings, counters, host, model, time_to_first_token_ms: first } = report;
  const f16 = ceilings.f16_operations_per_second;
  const has = Object.entries({ f16: adapter.features.shader_f16, subgroups: adapter.features.subgroups });
  const able = has.map(([name, there]) => `${there ? 'with' : 'without'} ${name}`);
  const lines = [
    ['Model', `${model.name}, ${bytes(model.bytes)}`],
    ['GPU', `${adapter.name} (${[adapter.kind, adapter.backend, ...able].filter(Boolean).join(', ')})`],
    ['Browser', `${host.browser ?? 'unknown'}, ${host.os}`],
    ['First token', first && `${milliseconds(first.warm)}; from nothing ${milliseconds(first.cold)}`],
    ['Memory', `${bytes(counters.gpu_bytes)} on the GPU`],
    ['Ceiling of memory', `${rounded(ceilings.read_bytes_per_second / 1e9)} GB/s read`],
    [
      'Ceiling of arithmetic',
      `${rounded(ceilings.f32_operations_per_second / 1e9)} GFLOP/s` + (f16 ? `; ${rounded(f16 / 1e9)} in f16` : ''),
    ],
    ['A dispatch', `${rounded(ceilings.dispatch_seconds * 1e6)} µs`],
  ];
  const pairs = lines
    .filter(([, text]) => text)
    .flatMap(([name, text]) => [el('dt', { text: name }), el('dd', { text })]);
  return el('section', {}, el('h3', { text: 'On what' }), el('dl', { class: 'facts' }, ...pairs));
}

function selfTest({ whole, passed, failed }) {
  if (!failed.length) {
    const text = `${plural(passed, 'variant')} of kernels ${whole ? '' : 'in use '}computed right.`;
    return el('section', {}, el('h3', { text: 'Self-test' }), el('p', { text }));
  }
  const title = `Self-test: ${count(failed.length)} of ${plural(passed + failed.length, 'variant')} computed wrong`;
  const columns = [
    ['Variant', false],
    ['What was wrong', false],
  ];
  const what = ({ failures, known }) => [failures.join('; '), known && el('small', { text: known })];
  return section(
    title,
    columns,
    failed.map((row) => [`${row.kernel}.${row.variant}`, what(row)]),
    true,
  );
}

function kernels(title, rows, ceilings) {
  const all = rows.reduce((sum, { seconds }) => sum + seconds, 0) || 1;
  const columns = [
    ['Kernel', false],
    ['Times', true],
    ['ms', true],
    ['Share', true],
    ['GB/s', true],
    ['Of memory', true],
    ['Of arithmetic', true],
  ];
  const row = ({ label, dispatches, seconds, bytes: read, operations }) => {
    // Of what a kernel does nothing of there is nothing to say.
    const per = (amount, show) => (amount ? show(amount / Math.max(seconds, 1e-9)) : '–');
    return [
      label.split('.').flatMap((part, index) => (index ? [el('wbr'), `.${part}`] : [part])),
      count(dispatches),
      fixed(seconds * 1e3, 2),
      percent(seconds / all),
      per(read, (speed) => rounded(speed / 1e9)),
      per(read, (speed) => percent(speed / ceilings.read_bytes_per_second)),
      per(operations, (speed) => percent(speed / ceilings.f32_operations_per_second)),
    ];
  };
  return section(title, columns, rows.map(row), true);
}
