// An answer as it comes: pieces of text, and of thoughts, to iterate over, and the whole of it as a promise.

import type { Answer, Completion, Delta } from './types.js';

/** Starts an answer: `begin` gets what to do with each piece and the signal that ends it. */
export function streamed(
  begin: (onPiece: (piece: Delta) => void, signal: AbortSignal) => Promise<Completion>,
  signal: AbortSignal | undefined,
): Answer {
  const pieces: Delta[] = [];
  const control = new AbortController();
  let ended = false;
  let wakers: (() => void)[] = [];
  const tell = () => {
    for (const wake of wakers) wake();
    wakers = [];
  };
  const onPiece = (piece: Delta) => {
    pieces.push(piece);
    tell();
  };
  const abort = () => control.abort();
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  const completion = begin(onPiece, control.signal).finally(() => {
    signal?.removeEventListener('abort', abort);
    ended = true;
    tell();
  });
  completion.catch(() => {}); // who iterates meets the error there
  async function* deltas(): AsyncGenerator<Delta> {
    try {
      for (let next = 0; ;) {
        while (next < pieces.length) yield pieces[next++]!;
        if (ended) break;
        await new Promise<void>((resolve) => wakers.push(resolve));
      }
      await completion;
    } finally {
      if (!ended) control.abort(); // the loop was left early
    }
  }
  async function* texts(): AsyncGenerator<string> {
    for await (const { text } of deltas()) if (text) yield text;
  }
  return { completion, deltas: { [Symbol.asyncIterator]: deltas }, [Symbol.asyncIterator]: texts };
}
