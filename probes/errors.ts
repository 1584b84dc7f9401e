import { printable } from './printable.ts';

/**
 * Kinds of failures to read a kernel file.
 *
 * - `absent`: no such file (ENOENT, ENOTDIR): another kernel, an unmounted file system, an exited owner
 * - `vanished`: the process or VM exited between listing and reading (ESRCH)
 * - `denied`: EPERM or EACCES; for root on debugfs the cause is kernel lockdown
 * - `malformed`: the content does not match the kernel's documentation
 * - `too_large`: the file is larger than the reader's limit
 * - `timeout`: a slow read did not finish in time
 * - `exhausted`: EMFILE or ENFILE: no free file descriptor, which is not a fault of the file
 * - `failed`: any other errno
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
 * The exact reason, for decisions that depend on more than the kind. Texts are for people and are never compared.
 *
 * - an errno, or a code of Node.js
 * - `monitor_held`: a QMP monitor serves another client
 * - `unsafe_directory`: other users than root could create a socket in the directory
 * - `not_in_this_kernel`: the kernel lacks a tracepoint or a field of one
 * - `until_restart`: another try in this process cannot succeed
 */
export type SourceErrorCode =
  | `E${string}`
  | 'monitor_held'
  | 'unsafe_directory'
  | 'not_in_this_kernel'
  | 'until_restart';

/**
 * The only error that probes throw. `path` is the file, or the kernel's name for the format; `reason` is a
 * clause. Both may contain text from a tenant and appear in logs and terminals, so the constructor escapes
 * them.
 */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly path: string;
  readonly reason: string;

  constructor(
    readonly kind: SourceErrorKind,
    path: string,
    reason: string,
    readonly code?: SourceErrorCode,
  ) {
    const [shownPath, shownReason] = [printable(path), printable(reason)];
    super(`${shownPath}: ${shownReason}`);
    this.path = shownPath;
    this.reason = shownReason;
  }
}

/** The caller's deadline has passed, so the read was not done. Not a fault of the source. */
export class TimeIsUp extends SourceError {
  constructor(path: string) {
    super('timeout', path, 'left out: the scrape timeout was reached');
  }
}

/** Whether the owner of the file has exited, which is not an error. */
export function isGone(error: unknown): boolean {
  return error instanceof SourceError && (error.kind === 'absent' || error.kind === 'vanished');
}

/** Whether the process ran out of file descriptors. This is a fault of the exporter, not of the file. */
export function isExhausted(error: unknown): boolean {
  return sourceError(error, '').kind === 'exhausted';
}

/** The result of `read`; undefined if the file or its owner does not exist. */
export function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/**
 * undefined if the read fails for any reason: for callers that treat an unreadable file as unknown, not as an error.
 */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
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

/** Converts an error of node:fs to a {@link SourceError}; returns a SourceError unchanged. */
export function sourceError(error: unknown, path: string): SourceError {
  if (error instanceof SourceError) return error;
  const { code }: { code?: unknown } = typeof error === 'object' && error !== null ? error : {};
  // For a failed child process `code` is the exit status.
  if (typeof code !== 'string') return new SourceError('failed', path, String(error));
  const errno = code.startsWith('E') ? (code as SourceErrorCode) : undefined;
  return new SourceError(KIND_OF_CODE[code] ?? 'failed', path, code, errno);
}

/** Creates the error of a parser. `format` names the kernel file; `text` is quoted and truncated. */
export function malformed(format: string, text: string): SourceError {
  return new SourceError('malformed', format, `unexpected content ${JSON.stringify(text.slice(0, 60))}`);
}
