// Files that are dropped anywhere on the page. What becomes of them is the caller's.

import { $ } from './dom.js';

/** Calls `take(files)` for files that are dropped, and shows meanwhile that they may be. */
export function wireDrop(take) {
  const isFiles = (event) => event.dataTransfer?.types.includes('Files');
  let depth = 0;
  const show = (change) => {
    depth = change === 0 ? 0 : depth + change;
    $('drop').hidden = depth <= 0;
  };
  addEventListener('dragenter', (event) => {
    if (isFiles(event)) show(1);
  });
  addEventListener('dragleave', (event) => {
    if (isFiles(event)) show(-1);
  });
  addEventListener('dragover', (event) => {
    if (isFiles(event)) event.preventDefault();
  });
  addEventListener('drop', (event) => {
    show(0);
    if (!isFiles(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}
