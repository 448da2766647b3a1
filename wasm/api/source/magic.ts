// Tells a model file by its first bytes from what is often saved or served in its place. Reads nothing else of the
// format.

import { LanternError } from '../errors.js';

/** Throws unless `head`, the first bytes of the file called `label`, is the start of a GGUF file. */
export function mustBeModel(head: Uint8Array, label: string): void {
  const text = String.fromCharCode(...head.subarray(0, 4));
  if (text === 'GGUF') return;
  if (text.trimStart().startsWith('<')) {
    throw new LanternError(
      'bad-file',
      `${label} is a web page, not a model; give the address of the .gguf file itself` +
        ' (on the hub it has /resolve/ in it, not /blob/), and see whether it can be had without logging in',
    );
  }
  if (text === 'vers') {
    throw new LanternError('bad-file', `${label} is a Git LFS pointer, not the model that it points to`);
  }
  throw new LanternError('bad-file', `${label} is not a GGUF file: it does not begin with "GGUF"`);
}
