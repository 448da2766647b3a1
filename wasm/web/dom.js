// Small helpers for elements, the notice line, questions and what the browser remembers. Knows nothing of chats or
// models.

export const $ = (id) => document.getElementById(id);

/**
 * An element. `on…` are listeners, `text` is its text, all else are attributes; false, null and undefined are left
 * out.
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'text') node.textContent = value;
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = 'http://www.w3.org/2000/svg';

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A button that shows an icon and says what it does to those who cannot see it. */
export function iconButton(name, label, onclick) {
  return el(
    'button',
    { type: 'button', class: 'plain square', 'aria-label': label, title: label, onclick },
    icon(name),
  );
}

/** Copies text, and shows on the button that it did. */
export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    notice('The browser did not allow copying.');
    return;
  }
  const before = [...button.childNodes];
  if (button.dataset.copied) return;
  button.dataset.copied = 'yes';
  button.replaceChildren(icon('check'), ...(button.classList.contains('square') ? [] : ['Copied']));
  $('spoken').textContent = 'Copied';
  setTimeout(() => {
    button.replaceChildren(...before);
    delete button.dataset.copied;
  }, 1500);
}

let noticeTimer = 0;

/** One quiet line above the message box. `action` is {label, run}; `stay` keeps it until it is dismissed. */
export function notice(text, { action, stay = false } = {}) {
  const place = $('notice');
  const hide = () => place.replaceChildren();
  const start = () => {
    clearTimeout(noticeTimer);
    if (!stay) noticeTimer = setTimeout(hide, action ? 12000 : 7000);
  };
  const button =
    action &&
    el('button', {
      type: 'button',
      class: 'plain',
      text: action.label,
      onclick: () => {
        hide();
        action.run();
      },
    });
  place.replaceChildren(...[el('span', { text }), button, iconButton('close', 'Dismiss', hide)].filter(Boolean));
  // Somebody who is reading or reaching for the button is given the time.
  place.onpointerenter = place.onfocusin = () => clearTimeout(noticeTimer);
  place.onpointerleave = place.onfocusout = start;
  start();
}

/** Asks before something that cannot be taken back. */
export function ask(text, label) {
  const dialog = $('ask-dialog');
  $('ask-text').textContent = text;
  $('ask-yes').textContent = label;
  return new Promise((resolve) => {
    let answer = false;
    $('ask-yes').onclick = () => {
      answer = true;
      dialog.close();
    };
    $('ask-no').onclick = () => dialog.close();
    dialog.onclose = () => resolve(answer);
    dialog.showModal();
    $('ask-no').focus();
  });
}

/** Wires a dialog's close button, and closes it on a press beside it. */
export function closable(dialog) {
  for (const button of dialog.querySelectorAll('[data-close]')) button.onclick = () => dialog.close();
  dialog.addEventListener('pointerdown', (event) => {
    if (event.target !== dialog) return;
    const box = dialog.getBoundingClientRect();
    const inside =
      event.clientX >= box.left &&
      event.clientX <= box.right &&
      event.clientY >= box.top &&
      event.clientY <= box.bottom;
    if (!inside) dialog.close();
  });
}

/** Hands the user a file. */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Small things that outlive a visit. Storage can be blocked or full: then they last as long as the page. */
const memory = new Map();
export function remember(key, value) {
  memory.set(key, value);
  try {
    if (value === null) localStorage.removeItem(`lantern.${key}`);
    else localStorage.setItem(`lantern.${key}`, JSON.stringify(value));
  } catch {
    /* see above */
  }
}
export function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(`lantern.${key}`)) ?? memory.get(key) ?? null;
  } catch {
    return memory.get(key) ?? null;
  }
}
