// What is compared with what: implementations of WebGPU or Vulkan, engines, and which runs where.

import { execFileSync } from 'node:child_process';
import { LANTERN, ROOT, SWIFTSHADER, versionInSid, versionOf } from './process.mjs';

const HERE = `${ROOT}tests/lab/peers`;
const DENO = [`${HERE}/node_modules/@deno/linux-x64-glibc/deno`, 'run', '-A', '--no-check', '--no-lock'];
const LAVAPIPE = '/usr/share/vulkan/icd.d/lvp_icd.json';

const lavapipe = () => `lavapipe of Mesa ${versionInSid('mesa-vulkan-drivers')}`;
const swiftshader = () => `SwiftShader of Chromium ${chromium()}`;
const chromium = () =>
  /[\d.]{5,}/.exec(execFileSync('chromium', ['--version'], { encoding: 'utf8', stdio: 'pipe' }))?.[0];

/** Where engines run: `inside` says whether in the folder with Debian sid, `words` start a script. */
export const PLACES = {
  lavapipe: { inside: true, on: () => `Vulkan, ${lavapipe()}`, words: ['node', `${HERE}/run.mjs`] },
  firefox: {
    inside: true,
    on: () => `Firefox ${versionInSid('firefox')}, ${lavapipe()}`,
    words: ['node', `${HERE}/browse.mjs`],
    env: { LANTERN_BROWSER: 'firefox' },
  },
  dawn: {
    inside: true,
    on: () => `Dawn (npm's webgpu ${versionOf('tests/browser', 'webgpu')}) under Node, ${lavapipe()}`,
    words: ['node', `${HERE}/run.mjs`],
    env: { LANTERN_DAWN_DRIVER: LAVAPIPE },
  },
  deno: {
    inside: true,
    on: () => `Deno ${versionOf('tests/lab/peers', '@deno/linux-x64-glibc')}, ${lavapipe()}`,
    words: [...DENO, '--unstable-webgpu', `${HERE}/run.mjs`],
  },
  swiftshader: {
    inside: false,
    on: () => `Vulkan, ${swiftshader()}`,
    words: ['node', `${HERE}/run.mjs`],
    env: { VK_DRIVER_FILES: SWIFTSHADER, VK_ICD_FILENAMES: SWIFTSHADER },
  },
  chromium: {
    inside: false,
    on: () => `Chromium ${chromium()}, its SwiftShader`,
    words: ['node', `${HERE}/browse.mjs`],
    env: { LANTERN_BROWSER: 'chromium' },
  },
  cpu: { inside: true, on: () => 'no GPU: the same two cores', words: ['node', `${HERE}/run.mjs`] },
};

const line = (program, ...args) => execFileSync(program, args, { encoding: 'utf8' }).trim();
const ours = () => `${line(LANTERN, '--version')} (${line('git', '-C', ROOT, 'rev-parse', '--short', 'HEAD')})`;
const npm = (name) => () => `${name} ${versionOf('tests/lab/peers', name)}`;

/** What runs the model. `by` is what `run.mjs` or `browse.mjs` calls it; one is a program. */
export const ENGINES = {
  lantern: { name: 'Lantern', version: ours },
  'lantern-web': { name: 'Lantern', by: 'lantern', version: ours },
  'llama-vulkan': { name: 'llama.cpp, Vulkan', by: 'llama-vulkan', version: npm('node-llama-cpp') },
  'llama-cpu': { name: 'llama.cpp, CPU', by: 'llama-cpu', version: npm('node-llama-cpp') },
  'onnx-native': { name: 'ONNX Runtime, WebGPU', by: 'onnx-webgpu', version: npm('onnxruntime-node') },
  'onnx-cpu': { name: 'ONNX Runtime, CPU', by: 'onnx-cpu', version: npm('onnxruntime-node') },
  'onnx-web': { name: 'ONNX Runtime Web, WebGPU', by: 'onnx-web', version: npm('onnxruntime-web') },
  wllama: { name: 'wllama (llama.cpp, WebGPU)', by: 'wllama', version: npm('@wllama/wllama') },
  'wllama-cpu': { name: 'wllama (llama.cpp, WebAssembly)', by: 'wllama-cpu', version: npm('@wllama/wllama') },
};

const at = (place, engines, more = {}) => engines.map((engine) => ({ place, engine, ...more }));
const ON_THE_WEB = ['lantern-web', 'onnx-web', 'wllama'];

/** Every engine at every place; `deep` ones also after 2,048 tokens. */
export const CELLS = [
  ...at('lavapipe', ['lantern', 'llama-vulkan', 'onnx-native'], { deep: true }),
  ...at('firefox', [...ON_THE_WEB, 'wllama-cpu']),
  ...at('dawn', ON_THE_WEB),
  ...at('deno', ON_THE_WEB),
  ...at('swiftshader', ['lantern', 'llama-vulkan', 'onnx-native']),
  ...at('chromium', [...ON_THE_WEB, 'wllama-cpu']),
  ...at('cpu', ['llama-cpu', 'onnx-cpu'], { deep: true }),
];

/** The command of one round. */
export function commandOf({ place, engine }, depth, gguf) {
  const { inside, words, env = {} } = PLACES[place];
  const { by } = ENGINES[engine];
  const bench = [LANTERN, 'bench', gguf, '-p', '128', '-n', '32', '-d', `${depth}`, '-r', '1', '--json', '-q'];
  return { inside, env, words: by ? [...words, by, `${depth}`] : bench };
}
