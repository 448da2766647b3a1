// Embeddings and scores of texts, from the engine's numbers to the package's objects.

import type { LoadedModel } from './engine/lantern_wasm.js';
import type { Embeddings, ModelInfo, Ranking } from './types.js';

/** Texts, or tokens of texts. */
export type Texts = (string | number[])[];

type Progress = (done: number, total: number) => boolean;

const nameOf = (model: LoadedModel): string => (JSON.parse(model.info()) as ModelInfo).name;

export async function embed(
  model: LoadedModel,
  texts: Texts,
  options: object,
  progress: Progress,
): Promise<Embeddings> {
  const found = await model.embed(JSON.stringify(texts), JSON.stringify(options), progress);
  const { values, dim, rows, tokens, pooling } = found;
  found.free();
  let start = 0;
  const next = () => values.slice(start, (start += dim));
  const data = [...rows].map((count, index) => ({
    index,
    tokens: tokens[index] ?? 0,
    embedding: pooling === 'none' ? Array.from({ length: count }, next) : next(),
  }));
  return { model: nameOf(model), pooling: pooling as Embeddings['pooling'], data };
}

export async function rerank(model: LoadedModel, query: string, texts: Texts, progress: Progress): Promise<Ranking> {
  const found = await model.rerank(query, JSON.stringify(texts), progress);
  const { order, values } = found;
  found.free();
  const outputs = values.length / Math.max(1, order.length);
  const data = [...order].map((index, place) => ({
    index: Number(index),
    scores: [...values.slice(place * outputs, (place + 1) * outputs)],
  }));
  return { model: nameOf(model), data };
}
