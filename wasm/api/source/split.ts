// Names of models that are split over several files, `NAME-00001-of-00003.gguf`. Knows names only, nothing of what is
// in the files.

import { LanternError } from '../errors.js';

const PART = /-(\d{5})-of-(\d{5})(\.gguf)$/i;

/** Which part of how many `name` is, counted from 1. */
export function partOf(name: string): { part: number; parts: number } | undefined {
  const [, part, parts] = PART.exec(name) ?? [];
  return part && parts && Number(parts) > 0 ? { part: Number(part), parts: Number(parts) } : undefined;
}

/** The names of all parts of the model that `name` is a part of; of a whole one, just its own. */
export function allParts(name: string): string[] {
  const found = partOf(name);
  if (!found) return [name];
  const number = (value: number) => String(value).padStart(5, '0');
  return Array.from({ length: found.parts }, (_, at) =>
    name.replace(PART, (_all, _part, parts, ending) => `-${number(at + 1)}-of-${parts}${ending}`),
  );
}

/** Picked files in the order of their parts. Blobs without such names are taken as they come. */
export function inOrder(blobs: Blob[]): Blob[] {
  if (blobs.length === 0) throw new LanternError('bad-input', 'no file was given');
  const named = blobs.map((blob) => ({ blob, at: partOf((blob as Partial<File>).name ?? '') }));
  const parts = named[0]!.at?.parts;
  if (parts === undefined || named.some(({ at }) => at?.parts !== parts)) {
    const oddOne = named.some(({ at }) => at !== undefined);
    if (oddOne)
      throw new LanternError('bad-input', 'these files are not the parts of one model; give only those of one');
    return blobs;
  }
  for (let part = 1; part <= parts; part += 1) {
    const times = named.filter(({ at }) => at?.part === part).length;
    if (times === 1) continue;
    throw new LanternError(
      'bad-input',
      `part ${part} of ${parts} ${times === 0 ? 'is missing' : 'was given twice'}` +
        '; give each part of the model once',
    );
  }
  return named.sort((a, b) => a.at!.part - b.at!.part).map(({ blob }) => blob);
}
