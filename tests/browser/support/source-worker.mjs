// The worker that tests of the source layer run in. Gives them the layer, a SHA-256 in pieces, and short forms of what
// all of them do. A stand-in for the engine's worker: it has no wasm, so the checksum is plain JavaScript, and
// of a repository's files it takes the one of Q8_0.

import { cache, openSource } from '/package/source/index.js';

const K = [];
const START = [];
for (let n = 2; K.length < 64; n += 1) {
  if (Array.from({ length: n - 2 }, (_, i) => i + 2).some((d) => n % d === 0)) continue;
  const bits = (x) => Math.floor((x - Math.floor(x)) * 2 ** 32) | 0;
  if (START.length < 8) START.push(bits(Math.sqrt(n)));
  K.push(bits(Math.cbrt(n)));
}

const turn = (x, n) => (x >>> n) | (x << (32 - n));

/** FIPS 180-4. */
export class Sha256 {
  state = Int32Array.from(START);
  rest = new Uint8Array(0);
  length = 0;

  update(bytes) {
    this.length += bytes.length;
    let all = bytes;
    if (this.rest.length > 0) {
      all = new Uint8Array(this.rest.length + bytes.length);
      all.set(this.rest);
      all.set(bytes, this.rest.length);
    }
    const end = all.length - (all.length % 64);
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    for (let at = 0; at < end; at += 64) this.block(view, at);
    this.rest = all.slice(end);
  }

  block(view, at) {
    const w = new Int32Array(64);
    for (let i = 0; i < 16; i += 1) w[i] = view.getInt32(at + i * 4);
    for (let i = 16; i < 64; i += 1) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
      w[i] = w[i - 16] + s0 + w[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = this.state;
    for (let i = 0; i < 64; i += 1) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (this.state[i] += value));
  }

  digest() {
    const bits = this.length * 8;
    const end = new Uint8Array(((this.rest.length + 9 + 63) & ~63) - this.rest.length);
    end[0] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(end.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(end.length - 4, bits % 2 ** 32);
    this.update(end);
    return Array.from(this.state, (value) => (value >>> 0).toString(16).padStart(8, '0')).join('');
  }
}

const hex = async (bytes) => {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(sum, (byte) => byte.toString(16).padStart(2, '0')).join('');
};

/** An error as what can cross to the test. */
const told = (error) => ({ code: error.code ?? error.name, message: error.message });

async function edit(key, ending, how) {
  const root = await navigator.storage.getDirectory();
  const dir = await (await root.getDirectoryHandle('lantern')).getDirectoryHandle('models');
  const handle = await (await dir.getFileHandle(key + ending)).createSyncAccessHandle();
  how(handle);
  handle.close();
}

const lantern = {
  cache,
  files: [],
  progress: [],
  notices: [],
  hex,
  told,

  /** Opens `source`, and says how large its files are, or why not. */
  async open(source, options = {}) {
    lantern.progress = [];
    lantern.notices = [];
    lantern.abort = new AbortController();
    try {
      lantern.files = await openSource(source, {
        cache: true,
        hub: 'https://hub.invalid',
        signal: lantern.abort.signal,
        onProgress: (progress) => lantern.progress.push({ at: performance.now(), ...progress }),
        onNotice: (text) => lantern.notices.push(text),
        sha256: () => new Sha256(),
        preferred: (names) => names.find((name) => name.includes('Q8_0')),
        ...options,
      });
      return { sizes: lantern.files.map((file) => file.size), labels: lantern.files.map((file) => file.label) };
    } catch (error) {
      return told(error);
    }
  },

  /** SHA-256 of bytes of file `at`, or why they cannot be had. */
  read: (offset, length, at = 0) => lantern.files[at].read(offset, length).then(hex, told),

  /** Reads all of every file, in pieces that do not fit the chunks. */
  async readAll(piece = 3_000_001) {
    const sums = [];
    try {
      for (const file of lantern.files) {
        const all = new Uint8Array(file.size);
        for (let at = 0; at < file.size; at += piece) {
          all.set(await file.read(at, Math.min(piece, file.size - at)), at);
        }
        sums.push(await hex(all));
      }
      return sums;
    } catch (error) {
      return told(error);
    }
  },

  complete: () => Promise.all(lantern.files.map((file) => file.complete())).then(() => 'complete', told),
  close: () => lantern.files.forEach((file) => file.close()),

  /** Opens, reads, waits until all is kept, closes. */
  async visit(source, options) {
    const opened = await lantern.open(source, options);
    if (opened.code) return opened;
    const sums = await lantern.readAll();
    const complete = await lantern.complete();
    lantern.close();
    return { ...opened, sums, complete, notices: lantern.notices };
  },

  /** Changes one byte of what is kept. */
  damage: (key, at) =>
    edit(key, '.gguf', (handle) => {
      const byte = new Uint8Array(1);
      handle.read(byte, { at });
      byte[0] ^= 1;
      handle.write(byte, { at });
    }),

  /** Makes a file of the cache, `.gguf` or `.log`, longer or shorter. */
  resize: (key, ending, by) => edit(key, ending, (handle) => handle.truncate(handle.getSize() + by)),

  /** Puts a line that is none before the first chunk's in the log. */
  breakLog: (key) =>
    edit(key, '.log', (handle) => {
      const bytes = new Uint8Array(handle.getSize());
      handle.read(bytes, { at: 0 });
      const text = new TextDecoder().decode(bytes).replace('\nchunk', '\nchunk 1\nchunk');
      handle.write(new TextEncoder().encode(text), { at: 0 });
    }),
};

globalThis.lantern = lantern;
postMessage('ready');
