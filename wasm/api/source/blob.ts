// Model files that were picked or dropped: parts of a Blob are read as they are asked for. Nothing is kept, as the file
// is already here.

import { LanternError } from '../errors.js';
import { messageOf, type ByteSource, type Bytes } from './contract.js';
import { mustBeModel } from './magic.js';
import { inOrder } from './split.js';

export async function openBlobs(blobs: Blob[]): Promise<ByteSource[]> {
  const files = inOrder(blobs).map((blob) => new BlobSource(blob));
  for (const file of files) mustBeModel(await file.read(0, Math.min(4, file.size)), file.label);
  return files;
}

class BlobSource implements ByteSource {
  readonly label: string;
  readonly size: number;
  private closed = false;

  constructor(private readonly blob: Blob) {
    this.label = (blob as Partial<File>).name ?? 'the file';
    this.size = blob.size;
  }

  async read(offset: number, length: number): Promise<Bytes> {
    if (this.closed) throw new LanternError('aborted', `${this.label} is closed`);
    mustHold(this, offset, length);
    let bytes: Bytes;
    try {
      bytes = new Uint8Array(await this.blob.slice(offset, offset + length).arrayBuffer());
    } catch (cause) {
      throw new LanternError(
        'bad-file',
        `${this.label} cannot be read (${messageOf(cause)}); if it was changed or moved, pick it again`,
        { cause },
      );
    }
    if (bytes.length !== length) throw new LanternError('bad-file', `${this.label} ended early; pick it again`);
    return bytes;
  }

  async complete(): Promise<void> {}

  close(): void {
    this.closed = true;
  }
}

/** Throws where a read goes beyond the end: then the file is shorter than it says of itself. */
export function mustHold(file: { label: string; size: number }, offset: number, length: number): void {
  const right = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (right && offset + length <= file.size) return;
  throw new LanternError(
    'bad-file',
    `${file.label} has ${file.size} bytes, and bytes ${offset} to ${offset + length} were asked for: it is cut short`,
  );
}
