// Numbers and errors in plain words, and what to do where there is no WebGPU. Text only: nothing here touches the page.

const number = (value, digits = 0) => value.toLocaleString('en', { maximumFractionDigits: digits });

export function bytes(count) {
  if (count < 1e6) return `${number(count / 1e3)} kB`;
  if (count < 1e9) return `${number(count / 1e6, count < 1e7 ? 1 : 0)} MB`;
  return `${number(count / 1e9, 1)} GB`;
}

export function duration(seconds) {
  if (seconds < 1) return 'less than a second';
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${number(seconds / 3600, 1)} h`;
}

export const count = number;

export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** What a load is doing, as a title and a line below its bar. */
export function progressWords({ stage, done, total, rate, left }, name) {
  const titles = {
    wait: `Waiting: another tab is downloading ${name}`,
    download: `Downloading ${name}`,
    verify: `Checking ${name}`,
    upload: `Moving ${name} to the GPU`,
    tune: 'Looking for the fastest kernels on this GPU, once',
  };
  const parts = [];
  if (stage === 'tune') parts.push(`${number(done)} of ${number(total)}`);
  else if (total) parts.push(`${bytes(done)} of ${bytes(total)}`);
  else if (done) parts.push(bytes(done));
  if (rate) parts.push(`${bytes(rate)}/s`);
  if (left !== undefined && Number.isFinite(left)) parts.push(`${duration(left)} left`);
  return { title: titles[stage] ?? `Loading ${name}`, line: parts.join(' · ') };
}

/** What `estimate` says of a model, as a line. */
export function estimateWords({ weight_bytes, cache_bytes, workspace_bytes, decode_tokens_per_second, fits }) {
  const speed = number(decode_tokens_per_second, decode_tokens_per_second < 10 ? 1 : 0);
  const room = { true: ' It fits.', false: ' It does not fit.' }[fits] ?? '';
  return `About ${speed} tokens a second on this GPU, and ${bytes(weight_bytes + cache_bytes + workspace_bytes)} of its memory.${room}`;
}

/** By code: what happened, and what to do about it. The error's own message is shown below where it adds something. */
const ERRORS = {
  'no-webgpu': ['This browser has no WebGPU.', ''],
  'no-adapter': ['The browser found no GPU that it may use.', ''],
  'device-lost': [
    'The GPU went away.',
    'Its driver was restarted, or another program took its memory. Load the model again to go on; the ' +
      'conversation is kept.',
  ],
  'does-not-fit': [
    'The model does not fit on this GPU.',
    'Choose a smaller model or a more compressed file, or load it with a smaller context (Models, “How it is ' +
      'loaded”).',
  ],
  'bad-file': [
    'This file cannot be read as a model.',
    'It is damaged or not a GGUF file. Remove it under Models and load it again, or choose another.',
  ],
  network: [
    'The download failed.',
    'Check the connection and try again: what has arrived is kept. Some servers do not allow other sites to read ' +
      'their files; then download the file yourself and drop it here.',
  ],
  quota: [
    'There is not enough storage left for this.',
    'Remove models that you no longer use under Models, or free some space on the disk. A private window has ' +
      'little to give.',
  ],
  unsupported: [
    'Lantern cannot run this model.',
    'It runs the Llama family (Llama, Mistral, SmolLM, TinyLlama …) in the usual GGUF types.',
  ],
  'not-finite': [
    'The model computes nothing that can be read.',
    'Its numbers are not finite. Load it with exact precision (Models, “How it is loaded”); if that does not help, the ' +
      'file is damaged: remove it under Models and load it again.',
  ],
  'context-full': [
    'This message is longer than the context.',
    'Shorten it, or load a model with a larger context (Models, “How it is loaded”).',
  ],
  'bad-input': ['The engine did not accept a setting.', 'Settings has a button that resets them.'],
  template: [
    'The model’s chat template could not be used.',
    'The file has none, or a broken one. An “instruct” or “chat” edition of the model has one.',
  ],
  'not-found': ['There is no such model.', 'Check the spelling of the name or address.'],
  internal: [
    'Something went wrong in the engine.',
    'Load the model again. If it happens every time, please report it with the line below.',
  ],
};

export function explain(error) {
  const [title, advice] = ERRORS[error?.code] ?? ERRORS.internal;
  const detail = String(error?.message ?? error ?? '');
  return { code: error?.code ?? 'internal', title, advice, detail };
}

/**
 * Which browser this is, as far as WebGPU is concerned. The agent string is all there is in the browsers that lack
 * it.
 */
export function browserOf(agent) {
  const system = /Android/.test(agent)
    ? 'Android'
    : /iPhone|iPad|iPod/.test(agent)
      ? 'iOS'
      : /Windows/.test(agent)
        ? 'Windows'
        : /Mac OS X/.test(agent)
          ? 'macOS'
          : 'Linux';
  const browser =
    system === 'iOS'
      ? 'Safari'
      : /Firefox\//.test(agent)
        ? 'Firefox'
        : /Edg\//.test(agent)
          ? 'Edge'
          : /Chrom(e|ium)\//.test(agent)
            ? 'Chrome'
            : /Safari\//.test(agent)
              ? 'Safari'
              : 'other';
  const version = Number(/(?:Firefox|Edg|Chrom(?:e|ium)|Version)\/(\d+)/.exec(agent)?.[1] ?? 0);
  return { browser, system, version };
}

/** What to do in this browser. `secure` is whether the page came over https or from this machine. */
export function webgpuHelp(code, agent, secure) {
  if (!secure) {
    return 'This page came over plain http, where browsers switch WebGPU off. Open it over https, or from localhost.';
  }
  const { browser, system, version } = browserOf(agent);
  const flags = browser === 'Edge' ? 'edge://flags' : 'chrome://flags';
  if (browser === 'Firefox') {
    if (system === 'Windows' && version < 141) return 'You use Firefox on Windows: update it to version 141 or later.';
    if (system === 'macOS' && version < 145) return 'You use Firefox on macOS: update it to version 145 or later.';
    return (
      `You use Firefox on ${system}: open about:config, set dom.webgpu.enabled to true, and restart it. ` +
      'If that does not help, use Chrome or Edge.'
    );
  }
  if (browser === 'Safari') {
    if (system === 'iOS') return 'On iPhone and iPad every browser has WebGPU from iOS 26 on: update the system.';
    return 'You use Safari on macOS: update it to version 26 or later.';
  }
  if (browser === 'other') return 'Use a current Chrome, Edge, Firefox or Safari.';
  if (version < 113) return `You use ${browser} ${version}: update it to version 113 or later.`;
  if (system === 'Linux') {
    return (
      `You use ${browser} on Linux: enable ${flags}/#enable-unsafe-webgpu and ${flags}/#enable-vulkan, ` +
      'and restart the browser. A Vulkan driver must be installed.'
    );
  }
  if (system === 'Android') {
    return `You use ${browser} on Android: WebGPU needs Android 12 or later and a GPU from Qualcomm or ARM.`;
  }
  const force = code === 'no-adapter' ? ` If that does not help, ${flags}/#enable-unsafe-webgpu may.` : '';
  return (
    `You use ${browser} on ${system}: switch on “Use graphics acceleration” under Settings, System, ` +
    `update the graphics driver, and restart the browser.${force}`
  );
}

export const BROWSERS = [
  ['Chrome and Edge', '113 or later; on Linux with chrome://flags/#enable-unsafe-webgpu and Vulkan'],
  ['Firefox', '141 or later on Windows, 145 or later on macOS; elsewhere with dom.webgpu.enabled in about:config'],
  ['Safari', '26 or later'],
];
