// Interface of the source layer to the engine, and the few things that all of its files share. No behaviour of its own.

import type { LoadProgress } from '../types.js';

/** The bytes of one file, wherever they are. */
export interface ByteSource {
  /** Its name, for messages. */
  readonly label: string;
  readonly size: number;
  /** Exactly `length` bytes, or a LanternError. Offsets may exceed 2^32. */
  read(offset: number, length: number): Promise<Bytes>;
  /** Resolves when all of the file is kept and checked; at once where nothing is kept. */
  complete(): Promise<void>;
  /** Stops the download, releases handles and locks. What waits rejects with `aborted`. Safe to repeat. */
  close(): void;
}

/** SHA-256 in pieces, which WebCrypto cannot do. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Lower-case hex. */
  digest(): string;
}

export interface OpenOptions {
  /** Keep the file for the next visit. */
  cache: boolean;
  /** Aborts all of it, also after `openSource` has resolved. */
  signal?: AbortSignal;
  /** Address of the Hugging Face hub, or of one like it. */
  hub: string;
  /** Stages `wait`, `download` and `verify`. */
  onProgress(progress: LoadProgress): void;
  /** One line for the user. */
  onNotice(text: string): void;
  sha256(): Hasher;
  /** The file of a repository with these names that is its model, by the engine. */
  preferred(names: string[]): string | undefined;
}

export type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Bytes that are fetched, checked and kept at a time: few enough to hold several, enough that the round trip hardly
 * counts.
 */
export const CHUNK = 2 << 20;

export function chunksOf(size: number): number {
  return Math.ceil(size / CHUNK);
}

export function chunkLength(size: number, index: number): number {
  return Math.min(CHUNK, size - index * CHUNK);
}

/** `text` where it is a SHA-256, in lower case. */
export function asSha256(text: string | null | undefined): string | undefined {
  return text && /^[0-9a-f]{64}$/i.test(text) ? text.toLowerCase() : undefined;
}

export async function sha256Hex(bytes: Bytes): Promise<string> {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(sum, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Bytes in words. */
export function sizeText(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
