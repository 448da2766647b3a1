// `tests/results/peers.md` from the results.

import { ENGINES, PLACES } from './cells.mjs';

const TESTS = ['pp128', 'tg32', 'pp128 @ 2048', 'tg32 @ 2048'];

const HEAD = `# Lantern and its peers
SmolLM2-135M-Instruct, tokens a second: \`pp128\`, a prompt of 128 tokens until its logits are there; \`tg32\`, 32
tokens taken greedily; \`@ 2048\`, the same after 2,048 tokens. Medians of rounds in which each engine ran once, in a
process of its own, on two cores that play every GPU here. In brackets how many times as fast Lantern is at the same
place. Written by \`node tests/lab/peers.mjs\`, with every round in [peers.json](peers.json).

Lantern, llama.cpp and wllama read the same file, Q4_1 with embeddings in Q8_0. ONNX Runtime cannot: its weights are
that file's, put into the 4-bit blocks of \`MatMulNBits\` (the head in 8 bits) by \`onnx_model.py\`. It is run as
transformers.js does, which adds to it what reads and writes text. wllama is timed by itself, on another prompt of as
many tokens.
`;

/** The whole document. */
export function table(results) {
  const columns = TESTS.filter((test) => results.some(({ medians }) => test in medians));
  const lines = [
    HEAD,
    `| engine | computes on the | ${columns.join(' | ')} |`,
    `|---|---|${'---:|'.repeat(columns.length)}`,
  ];
  for (const place of Object.keys(PLACES)) {
    const here = results.filter((result) => result.place === place);
    if (here.length === 0) continue;
    lines.push(`| **${here.at(-1).on}** | |${' |'.repeat(columns.length)}`);
    const ours = here.find(({ engine }) => ENGINES[engine].name === 'Lantern');
    for (const result of here) lines.push(row(result, ours, columns));
  }
  return `${lines.join('\n')}\n\n${notes(results)}`;
}

function row(result, ours, columns) {
  const { engine, rounds, computed, medians } = result;
  const cells = columns.map((test) => {
    const speed = medians[test];
    if (speed === undefined) return '';
    const ratio = ours && ours !== result && ours.medians[test] / speed;
    return ratio ? `${rounded(speed)} (${ratio.toFixed(1)}×)` : rounded(speed);
  });
  const where = rounds.length === 0 ? 'did not run' : fellBack(result) ? '**CPU, unasked**' : computed;
  return `| ${ENGINES[engine].name} | ${where} | ${cells.join(' | ')} |`;
}

/** Whether an engine that was to compute on the GPU did not. */
function fellBack({ engine, computed }) {
  return computed === 'CPU' && !engine.endsWith('-cpu');
}

function rounded(speed) {
  return speed >= 100 ? speed.toFixed(0) : speed.toFixed(1);
}

/** What a reader has to know of each result. */
function notes(results) {
  const lines = ['## Versions, adapters, and what did not run'];
  for (const result of results) {
    const { place, engine, version, library, rounds, adapter, evidence, right, date } = result;
    const ran = [`rounds ${rounds.length}`, `adapter: ${adapter}`, `how one knows: ${evidence}`];
    if (right === false) ran.push('**it did not say that the capital of France is Paris**');
    const failed = (result.refused ?? []).map(
      ({ round, depth, message }) => `round ${round} at depth ${depth}: ${escaped(message)}`,
    );
    const said = [library ? `${version} (${library})` : version, date, ...(rounds.length > 0 ? ran : []), ...failed];
    lines.push(wrapped(`- ${place}, ${ENGINES[engine].name}: ${said.join('; ')}.`));
  }
  return `${lines.join('\n')}\n`;
}

/** An item of a list in lines of at most 120 characters, where its words allow. */
function wrapped(item) {
  const lines = [''];
  for (const word of item.split(' ')) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (longer.length <= 120) lines[lines.length - 1] = longer;
    else lines.push(`  ${word}`);
  }
  return lines.join('\n');
}

function escaped(text) {
  return `\`${text.replaceAll('`', "'").replaceAll('\n', ' ')}\``;
}
