// Errors, each with a code that stays the same between versions.

export type ErrorCode =
  | 'no-webgpu'
  | 'no-adapter'
  | 'device-lost'
  | 'does-not-fit'
  | 'bad-file'
  | 'network'
  | 'quota'
  | 'aborted'
  | 'device'
  | 'unsupported'
  | 'not-finite'
  | 'context-full'
  | 'bad-input'
  | 'template'
  | 'not-found'
  | 'internal';

/** Error of every call of this package. `message` says what happened and, where there is something to do, what. */
export class LanternError extends Error {
  override readonly name = 'LanternError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** An abort, as an error of ours. */
export function aborted(): LanternError {
  return new LanternError('aborted', 'aborted');
}
