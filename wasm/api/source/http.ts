// One file over HTTP: what its server says of it, a range of it, or all of it from the start. Tries again where that
// may help, and turns what fails into errors that say what to do. Knows nothing of queues or of what is kept.

import { LanternError, aborted } from '../errors.js';
import { asSha256, messageOf, type Bytes } from './contract.js';
import { mustBeModel } from './magic.js';

/** How often a request is made before it counts as failed. */
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 500;
/** A connection on which nothing comes for so long counts as broken. */
const STALL_MS = 30_000;

/** Description of a file by its server. */
export interface Described {
  size: number;
  etag?: string;
  sha256?: string;
  /** Whether it gives parts of the file. */
  ranges: boolean;
}

/** The server answered a request for a range with the whole file. */
export class NoRanges extends Error {}

/** A failure that another attempt may not meet; `reason` is thrown after the last one. */
class Passing extends Error {
  constructor(readonly reason: LanternError) {
    super(reason.message);
  }
}

interface Request {
  url: string;
  signal: AbortSignal;
  /** First byte and the one after the last. */
  range?: [number, number];
  method?: 'HEAD';
  stall?: number;
}

type Body = AsyncGenerator<Bytes, void, void>;

/**
 * Asks for the first 4 bytes: with them come size, tag and whether ranges are given. `hasty` is for a file that is here
 * anyway.
 */
export async function describe(url: string, signal: AbortSignal, hasty: boolean): Promise<Described> {
  const request: Request = { url, signal, range: [0, 4], ...(hasty && { stall: 5000 }) };
  return retrying(hasty ? 1 : 3, signal, () =>
    attempt(request, async (response, body) => {
      const ranges = response.status === 206;
      const size = ranges ? contentRange(response)?.total : contentLength(response);
      const head: number[] = [];
      for await (const piece of body) {
        head.push(...piece.subarray(0, 4 - head.length));
        if (head.length === 4) break;
      }
      mustBeModel(new Uint8Array(head), url);
      const known = size ?? (await attempt({ url, signal, method: 'HEAD' }, async (answer) => contentLength(answer)));
      if (known === undefined)
        throw network(url, 'the server does not say how large the file is', 'Use another server');
      const etag = tagOf(response);
      const sha256 = asSha256(response.headers.get('x-linked-etag')?.replaceAll('"', ''));
      return { size: known, ranges, ...(etag && { etag }), ...(sha256 && { sha256 }) };
    }),
  );
}

/** `length` bytes from `start` on. What came before a connection broke is not fetched again. */
export async function fetchRange(
  file: { url: string; size: number; etag?: string },
  start: number,
  length: number,
  signal: AbortSignal,
  came: (count: number) => void,
): Promise<Bytes> {
  const { url } = file;
  const bytes = new Uint8Array(length);
  let have = 0;
  await retrying(ATTEMPTS, signal, () => {
    const from = start + have;
    return attempt({ url, signal, range: [from, start + length] }, async (response, body) => {
      if (response.status !== 206) throw new NoRanges();
      mustBeSame(file, response);
      const odd = () => new Passing(network(url, 'the server sent another range than was asked for', 'Load it again'));
      if ((contentRange(response)?.start ?? from) !== from) throw odd();
      for await (const piece of body) {
        if (have + piece.length > length) throw odd();
        bytes.set(piece, have);
        have += piece.length;
        came(piece.length);
      }
      if (have < length) throw new Passing(cutShort(url));
    });
  });
  return bytes;
}

/**
 * All of a file from the start, piece by piece; `begin` is called for each attempt, and gives what takes the pieces.
 */
export async function fetchWhole(
  file: { url: string; size: number; etag?: string },
  signal: AbortSignal,
  begin: () => (piece: Bytes) => Promise<void>,
): Promise<void> {
  const { url } = file;
  await retrying(ATTEMPTS, signal, () =>
    attempt({ url, signal }, async (response, body) => {
      mustBeSame(file, response);
      const take = begin();
      let have = 0;
      for await (const piece of body) {
        have += piece.length;
        if (have > file.size) throw changed(url);
        await take(piece);
      }
      if (have < file.size) throw new Passing(cutShort(url));
    }),
  );
}

/** Some JSON, such as a listing. */
export async function fetchJson(url: string, signal: AbortSignal): Promise<unknown> {
  return retrying(3, signal, () =>
    attempt({ url, signal }, async (response) => {
      const text = await response.text().catch((cause) => {
        throw new Passing(unreachable(url, cause));
      });
      try {
        return JSON.parse(text) as unknown;
      } catch (cause) {
        throw new LanternError('network', `${url} did not answer with JSON; is that the address of a hub?`, { cause });
      }
    }),
  );
}

async function retrying<T>(attempts: number, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await task();
    } catch (error) {
      if (signal.aborted) throw aborted();
      if (!(error instanceof Passing)) throw error;
      if (failures === attempts) throw error.reason;
      await pause(FIRST_PAUSE_MS * 2 ** (failures - 1), signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(aborted());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}

/** One request. Only what the connection does counts as passing; what `use` throws of its own is handed on as it is. */
async function attempt<T>(request: Request, use: (response: Response, body: Body) => Promise<T>): Promise<T> {
  const { url, signal, range, method, stall = STALL_MS } = request;
  if (signal.aborted) throw aborted();
  const control = new AbortController();
  const stop = () => control.abort();
  let timer = setTimeout(stop, stall);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(stop, stall);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const headers: Record<string, string> = range ? { range: `bytes=${range[0]}-${range[1] - 1}` } : {};
    // The browser's own cache would keep the file a second time, and lets one request for an address wait for another.
    const options: RequestInit = { headers, method: method ?? 'GET', cache: 'no-store', signal: control.signal };
    const response = await fetch(url, options).catch((cause) => {
      throw new Passing(unreachable(url, cause));
    });
    if (!response.ok) throw refused(url, response.status);
    alive();
    return await use(response, pieces(url, response, alive));
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    stop(); // drops what is left of the body
  }
}

async function* pieces(url: string, response: Response, alive: () => void): Body {
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read().catch((cause) => {
      throw new Passing(cutShort(url, cause));
    });
    if (done) return;
    alive();
    yield value;
  }
}

function contentRange(response: Response): { start: number; total?: number } | undefined {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '') ?? [];
  if (start === undefined) return undefined;
  return { start: Number(start), ...(total !== '*' && { total: Number(total) }) };
}

function contentLength(response: Response): number | undefined {
  const text = response.headers.get('content-length');
  return text === null ? undefined : Number(text);
}

/** A tag that is weak says the same of the same bytes here: ranges of it are checked one by one. */
function tagOf(response: Response): string | undefined {
  return response.headers.get('etag')?.replace(/^W\//, '');
}

function mustBeSame(file: { url: string; size: number; etag?: string }, response: Response): void {
  const etag = tagOf(response);
  const total = contentRange(response)?.total ?? file.size;
  if (total !== file.size || (file.etag && etag && file.etag !== etag)) throw changed(file.url);
}

export function changed(url: string): LanternError {
  return new LanternError('bad-file', `${url} has changed on the server while it was being loaded; load it again`);
}

export function network(url: string, problem: string, advice: string, cause?: unknown): LanternError {
  return new LanternError('network', `${url}: ${problem}. ${advice}.`, cause === undefined ? undefined : { cause });
}

function cutShort(url: string, cause?: unknown): LanternError {
  return network(
    url,
    'the connection broke before all of it had come',
    'Load it again; it goes on from what is kept',
    cause,
  );
}

function unreachable(url: string, cause: unknown): LanternError {
  return network(
    url,
    `${new URL(url).host} cannot be reached, or does not let other sites read its files (CORS);` +
      ` a browser does not say which (${messageOf(cause)})`,
    'Check the address and the connection, then load it again',
    cause,
  );
}

function refused(url: string, status: number): LanternError | Passing {
  if (status === 416) return new LanternError('bad-file', `${url} is empty, or shorter than it was`);
  if (status === 404 || status === 410)
    return network(url, `there is no such file (status ${status})`, 'Check the address');
  if (status === 401 || status === 403) {
    return network(
      url,
      `the server does not give this file to everybody (status ${status})`,
      'Download it where you are logged in, and open it as a file',
    );
  }
  const error = network(url, `the server answered with status ${status}`, 'Try again later');
  return status === 408 || status === 429 || status >= 500 ? new Passing(error) : error;
}
