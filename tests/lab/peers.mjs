// How fast Lantern is against what else runs the same model on the same WebGPU or Vulkan: `peers.mjs [NAME…]`.
// A NAME is a place, an engine or both (`firefox`, `wllama`, `firefox/wllama`). In turns: each engine once a round
// (`--rounds 5`, of which `--deep 3` also after 2,048 tokens), each time in a process of its own, which is ended after
// a limit (`--limit 600`, seconds). Other results in `tests/results/peers.json` stay, and `peers.md` is written from
// it; `--table` writes that alone. A measurement, no test.
//
// Needs root, what `cargo verify --lab firefox` brings (its folder may be named by LANTERN_SID), Debian's chromium, and
// python3 with venv. Installs npm's and PyPI's packages for this alone.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CELLS, ENGINES, PLACES } from './peers/cells.mjs';
import { FILES, ROOT, runOnce } from './peers/process.mjs';
import { table } from './peers/table.mjs';

const DEPTH = 2048;
const RESULT = `${ROOT}tests/results/peers.json`;
const PYTHON_PACKAGES = ['numpy==2.4.6', 'onnx==1.23.2', 'gguf==0.19.0'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    deep: { type: 'string', default: '3' },
    limit: { type: 'string', default: '600' },
    table: { type: 'boolean' },
  },
});

/** Cells that the names mean; all without any. */
function wanted(names) {
  const isMeant = ({ place, engine }, name) => [place, engine, `${place}/${engine}`].includes(name);
  const unknown = names.find((name) => !CELLS.some((cell) => isMeant(cell, name)));
  if (unknown) {
    throw new Error(`there is no ${unknown}, but ${CELLS.map(({ place, engine }) => `${place}/${engine}`).join(', ')}`);
  }
  return CELLS.filter((cell) => names.length === 0 || names.some((name) => isMeant(cell, name)));
}

/** Packages of npm and the model as an ONNX file, where they are missing. */
function prepare() {
  const run = (program, ...args) => {
    console.error(`$ ${program} ${args.join(' ')}`);
    execFileSync(program, args, { stdio: ['ignore', 2, 2] });
  };
  // `npm ci` takes a lock file for incomplete that lacks optional packages of other systems.
  const npm = ['install', '--no-save', '--ignore-scripts', '--omit=optional', '--no-fund', '--no-audit', '--prefix'];
  const folder = `${ROOT}tests/lab/peers`;
  if (!existsSync(`${folder}/node_modules`)) run('npm', ...npm, folder);
  const { onnx, gguf } = FILES;
  if (existsSync(onnx)) return;
  const python = `${ROOT}target/peers/venv`;
  mkdirSync(`${ROOT}target/peers`, { recursive: true });
  run('python3', '-m', 'venv', python);
  run(`${python}/bin/pip`, '-q', 'install', ...PYTHON_PACKAGES);
  run(`${python}/bin/python`, `${folder}/onnx_model.py`, gguf, onnx);
}

/** Adds what one process measured, or why it did not. */
function add(result, { round, depth }, { rows = [], refused, ...about }) {
  if (refused) {
    result.refused = [...(result.refused ?? []), { round, depth, message: refused }];
    return;
  }
  Object.assign(result, about);
  let speeds = result.rounds.find((one) => one.round === round);
  if (!speeds) result.rounds.push((speeds = { round }));
  for (const row of rows) {
    const name = nameOf(row);
    speeds[name] = Number(row.tokens_per_second.toFixed(2));
    result.medians[name] = median(result.rounds.map((one) => one[name]).filter((value) => value !== undefined));
  }
}

function nameOf({ test, depth }) {
  return depth === 0 ? test : `${test} @ ${depth}`;
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function keep(results) {
  const read = existsSync(RESULT) ? JSON.parse(readFileSync(RESULT, 'utf8')) : [];
  const isNew = (old) => results.some(({ place, engine }) => place === old.place && engine === old.engine);
  const all = [
    ...read.filter((old) => !isNew(old)),
    ...results.filter(({ rounds, refused }) => rounds.length || refused),
  ];
  const order = (result) => CELLS.findIndex(({ place, engine }) => place === result.place && engine === result.engine);
  all.sort((a, b) => order(a) - order(b));
  writeFileSync(RESULT, `[\n${all.map((result) => `  ${JSON.stringify(result)}`).join(',\n')}\n]\n`);
  writeFileSync(RESULT.replace('.json', '.md'), table(all));
}

async function main() {
  if (values.table) return keep([]);
  const cells = wanted(positionals);
  prepare();
  const date = new Date().toISOString().slice(0, 10);
  const start = ({ place, engine }) => ({ place, engine, version: ENGINES[engine].version(), date });
  const results = cells.map((cell) => ({ ...start(cell), on: PLACES[cell.place].on(), rounds: [], medians: {} }));
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    for (const [index, cell] of cells.entries()) {
      const result = results[index];
      for (const depth of cell.deep && round <= Number(values.deep) ? [0, DEPTH] : [0]) {
        if (result.refused?.some((failed) => failed.depth === depth)) continue; // it would again
        const measured = await runOnce(cell, depth, Number(values.limit));
        add(result, { round, depth }, measured);
        console.error(`${cell.place}/${cell.engine}`, measured.refused ?? result.rounds.at(-1));
        keep(results);
      }
    }
  }
}

await main();
