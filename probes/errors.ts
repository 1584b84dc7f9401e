/**
 * Why a kernel file could not be used.
 *
 * - `absent`: not there (ENOENT, ENOTDIR): another kernel, an unmounted file system, or an owner that has gone
 * - `vanished`: the process or VM died between listing and reading (ESRCH)
 * - `denied`: EPERM or EACCES; for root on debugfs this is kernel lockdown
 * - `malformed`: the content is not what the kernel documents
 * - `too_large`: more than the reader's cap
 * - `timeout`: a slow read did not answer in time
 * - `failed`: any other error number
 */
export type SourceErrorKind =
  | 'absent'
  | 'vanished'
  | 'denied'
  | 'malformed'
  | 'too_large'
  | 'timeout'
  | 'failed';

/** The one error that probes throw: `path` is the file (or the kernel name of the format), `reason` a clause. */
export class SourceError extends Error {
  override readonly name = 'SourceError';

  constructor(
    readonly kind: SourceErrorKind,
    readonly path: string,
    readonly reason: string,
  ) {
    super(`${path}: ${reason}`);
  }
}

/** Whether the owner of the file is gone, which is an event of life and not a failure. */
export function isGone(error: unknown): boolean {
  return error instanceof SourceError && (error.kind === 'absent' || error.kind === 'vanished');
}

/** What a read gives; undefined where the file, or its owner, is not there. */
export function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

const KIND_OF_CODE: Readonly<Record<string, SourceErrorKind>> = {
  ENOENT: 'absent',
  ENOTDIR: 'absent',
  ESRCH: 'vanished',
  EPERM: 'denied',
  EACCES: 'denied',
};

/** Turns an error of node:fs into a {@link SourceError}; passes a SourceError through. */
export function sourceError(error: unknown, path: string): SourceError {
  if (error instanceof SourceError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === undefined) return new SourceError('failed', path, String(error));
  return new SourceError(KIND_OF_CODE[code] ?? 'failed', path, code);
}

/** A parser's complaint: `format` names the kernel file, `text` is quoted, cut and with control characters escaped. */
export function malformed(format: string, text: string): SourceError {
  // JSON escapes the control characters of ASCII but not DEL and C1, which a terminal obeys as well.
  const quoted = JSON.stringify(text.slice(0, 60)).replace(
    /[\x7f-\x9f]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
  return new SourceError('malformed', format, `unexpected content ${quoted}`);
}
