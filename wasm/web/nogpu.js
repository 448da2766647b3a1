// What stands where the engine would, when there is no GPU for it: why, and what to do about it.

import { el } from './dom.js';
import { BROWSERS, explain, webgpuHelp } from './words.js';

export const heading = (title, ...below) => [el('h2', { text: title }), ...below.map((text) => el('p', { text }))];

/** The elements that say why Lantern.create() failed. */
export function noGpu(error) {
  const { code, title, detail } = explain(error);
  const gpu = code === 'no-webgpu' || code === 'no-adapter';
  if (!gpu) return [...heading(title), el('p', { class: 'quiet', text: detail }), reload()];
  const help = webgpuHelp(code, navigator.userAgent, isSecureContext);
  return [
    ...heading(title, help),
    el(
      'details',
      { open: true },
      el('summary', { text: 'Browsers that have WebGPU' }),
      el('ul', {}, ...BROWSERS.map(([name, what]) => el('li', {}, el('strong', { text: name }), `: ${what}`))),
      el('p', { class: 'quiet', text: 'The page must come over https, or from localhost.' }),
    ),
    reload(),
  ];
}

const reload = () =>
  el(
    'div',
    { class: 'choices' },
    el('button', { type: 'button', class: 'plain outlined', text: 'Try again', onclick: () => location.reload() }),
  );
