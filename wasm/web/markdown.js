// Text of a model to elements. What a model writes is not to be trusted: raw HTML is shown as text, save for a few
// harmless tags, and what remains is sanitised. Nothing that it writes can run, style the page, or fetch anything.

import { Marked } from './vendor/marked.js';
import purifyFactory from './vendor/purify.js';
import { copy, el, icon } from './dom.js';

/** Tags that people and models write by hand in markdown. All others stand there as they were written. */
const BY_HAND = 'br|sub|sup|kbd|b|i|u|s|em|strong|mark|small|del|ins|details|summary|hr';
const NOT_BY_HAND = new RegExp(`<(?!/?(?:${BY_HAND})\\s*/?>)`, 'gi');

const marked = new Marked({ gfm: true, breaks: true });
marked.use({
  renderer: {
    html({ text, block }) {
      const shown = text.replace(NOT_BY_HAND, '&lt;');
      // A page of HTML without a fence around it is code that lacks its fence.
      if (!block || shown === text) return shown;
      return this.code({ type: 'code', raw: text, lang: 'html', text: text.trimEnd() });
    },
  },
});

const purify = purifyFactory(window);
const RULES = {
  ALLOWED_TAGS: [
    ...BY_HAND.split('|'),
    'a',
    'blockquote',
    'code',
    'h1',
    'h2',
    'h3',
    'h4',
    'h5',
    'h6',
    'img',
    'input',
    'li',
    'ol',
    'p',
    'pre',
    'table',
    'tbody',
    'td',
    'th',
    'thead',
    'tr',
    'ul',
  ],
  ALLOWED_ATTR: ['align', 'alt', 'checked', 'class', 'disabled', 'href', 'src', 'start', 'title', 'type'],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);|blob:)/i,
  // That pattern is held against all attributes but these.
  ADD_URI_SAFE_ATTR: ['align', 'checked', 'disabled', 'start', 'type'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};
purify.addHook('uponSanitizeAttribute', (node, attribute) => {
  const { attrName: name, attrValue: value } = attribute;
  // An image from elsewhere would tell its server what is being read here.
  if (name === 'src') attribute.keepAttr = /^(data:image\/|blob:)/i.test(value);
  if (name === 'href') attribute.keepAttr = /^(https?:|mailto:)/i.test(value);
  if (name === 'class') attribute.keepAttr = node.nodeName === 'CODE' && /^language-[\w+#.-]+$/.test(value);
});
purify.addHook('afterSanitizeElements', (node) => {
  if (node.nodeName === 'INPUT' && node.getAttribute('type') !== 'checkbox') node.remove();
});

/** Markdown's HTML to safe elements. */
function safe(html) {
  const fragment = purify.sanitize(html, RULES);
  for (const link of fragment.querySelectorAll('a[href]')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
  }
  for (const image of fragment.querySelectorAll('img:not([src])')) {
    image.replaceWith(el('em', { text: image.alt ? `[image: ${image.alt}]` : '[image]' }));
  }
  for (const box of fragment.querySelectorAll('input')) {
    box.disabled = true;
    box.setAttribute('aria-label', 'Task');
  }
  for (const table of fragment.querySelectorAll('table')) {
    const frame = el('div', { class: 'table', tabindex: '0', role: 'region', 'aria-label': 'Table' });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const code of fragment.querySelectorAll('pre > code')) frameCode(code);
  return fragment;
}

/** Puts the language and a copy button above a block of code. */
function frameCode(code) {
  const language = /language-(\S+)/.exec(code.className)?.[1] ?? '';
  const pre = code.parentElement;
  pre.tabIndex = 0;
  const button = el(
    'button',
    { type: 'button', class: 'plain', onclick: () => copy(code.textContent, button) },
    icon('copy'),
    'Copy',
  );
  const figure = el('figure', { class: 'code' });
  pre.replaceWith(figure);
  figure.append(el('figcaption', {}, el('span', { text: language || 'text' }), button), pre);
}

/**
 * Shows a text that grows. Only the last blocks are read and drawn again, so that a long answer costs no more than a
 * short one while it streams, and a selection in what stands already is kept.
 */
export class Markdown {
  #root;
  #blocks = [];
  #body = el('div', { class: 'markdown' });
  #thoughts = null;

  constructor(root) {
    this.#root = root;
    root.replaceChildren(this.#body);
  }

  /** Shows an answer, and the thoughts before it. */
  update({ content, reasoning_content: thoughts }, ended = false) {
    this.#showThoughts(thoughts, ended || content !== '');
    const answer = content.replace(/\r\n?/g, '\n');
    // More text can change the last block, and whether it joins the one before. At the end all is read once more.
    const settled = ended ? 0 : Math.max(0, this.#blocks.length - 2);
    const offset = this.#blocks.slice(0, settled).reduce((sum, { raw }) => sum + raw.length, 0);
    const tokens = marked.lexer(answer.slice(offset));
    let same = 0;
    while (same < tokens.length && this.#blocks[settled + same]?.raw === tokens[same].raw) same++;
    // All is drawn anew if there are references, whose targets may have come after their use.
    if (ended && Object.keys(tokens.links).length) same = 0;
    for (const { nodes } of this.#blocks.splice(settled + same)) for (const node of nodes) node.remove();
    for (const token of tokens.slice(same)) {
      const nodes = [...safe(marked.parser([token])).childNodes];
      this.#body.append(...nodes);
      this.#blocks.push({ raw: token.raw, nodes });
    }
  }

  #showThoughts(text, over) {
    if (!text) return;
    if (!this.#thoughts) {
      this.#thoughts = el('details', { class: 'thoughts' }, el('summary'), el('p'));
      this.#root.prepend(this.#thoughts);
    }
    this.#thoughts.firstChild.textContent = over ? 'Thoughts' : 'Thinking …';
    this.#thoughts.lastChild.textContent = text;
  }
}
