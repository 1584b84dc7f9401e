import { printable } from './printable.ts';

/**
 * Why a kernel file could not be used.
 *
 * - `absent`: not there (ENOENT, ENOTDIR): another kernel, an unmounted file system, or an owner that has gone
 * - `vanished`: the process or VM died between listing and reading (ESRCH)
 * - `denied`: EPERM or EACCES; for root on debugfs this is kernel lockdown
 * - `malformed`: the content is not what the kernel documents
 * - `too_large`: more than the reader's cap
 * - `timeout`: a slow read did not answer in time
 * - `exhausted`: EMFILE or ENFILE: no file descriptor was free, which says nothing of the file
 * - `failed`: any other error number
 */
export type SourceErrorKind =
  | 'absent'
  | 'vanished'
  | 'denied'
  | 'malformed'
  | 'too_large'
  | 'timeout'
  | 'exhausted'
  | 'failed';

/**
 * The one error that probes throw: `path` is the file (or the kernel name of the format), `reason` a clause. Both may
 * carry what a tenant wrote, and end in logs and on terminals: they are made printable here, for all who show them.
 */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly path: string;
  readonly reason: string;

  constructor(
    readonly kind: SourceErrorKind,
    path: string,
    reason: string,
  ) {
    const [shownPath, shownReason] = [printable(path), printable(reason)];
    super(`${shownPath}: ${shownReason}`);
    this.path = shownPath;
    this.reason = shownReason;
  }
}

/** Not done because who asked had no more time: says nothing about the source. */
export class TimeIsUp extends SourceError {
  constructor(path: string) {
    super('timeout', path, 'left out: the scrape timeout was reached');
  }
}

/** Whether the owner of the file is gone, which is an event of life and not a failure. */
export function isGone(error: unknown): boolean {
  return error instanceof SourceError && (error.kind === 'absent' || error.kind === 'vanished');
}

/** Whether no file descriptor was free: true of this process, and of nothing that it reads. */
export function isExhausted(error: unknown): boolean {
  return sourceError(error, '').kind === 'exhausted';
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
  EMFILE: 'exhausted',
  ENFILE: 'exhausted',
};

/** Turns an error of node:fs into a {@link SourceError}; passes a SourceError through. */
export function sourceError(error: unknown, path: string): SourceError {
  if (error instanceof SourceError) return error;
  const { code }: { code?: unknown } = typeof error === 'object' && error !== null ? error : {};
  // A child process that fails has its exit status there.
  if (typeof code !== 'string') return new SourceError('failed', path, String(error));
  return new SourceError(KIND_OF_CODE[code] ?? 'failed', path, code);
}

/** A parser's complaint: `format` names the kernel file, `text` is quoted and cut. */
export function malformed(format: string, text: string): SourceError {
  return new SourceError('malformed', format, `unexpected content ${JSON.stringify(text.slice(0, 60))}`);
}
