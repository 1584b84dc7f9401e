import { malformed, SourceError } from './errors.ts';

/** Limits of the quoted excerpt: elements per level, and levels. */
const MAX_PARTS = 3;
const MAX_DEPTH = 3;

/**
 * Creates the error for a response that is valid JSON but not what QEMU documents. Quotes only its beginning:
 * the whole may have 16 MiB, or nest so deeply that serializing it overflows the stack.
 *
 * @example unexpected('query-uuid', { UUID: 7 }).reason // 'unexpected content "{\"UUID\":7}"'
 */
export function unexpected(command: string, reply: unknown): SourceError {
  return malformed(`QMP ${command}`, excerpt(reply, 0));
}

/** Undefined if QEMU refuses an optional command or answers it in an unknown way. Any other error is thrown. */
export async function ifAnswered<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof SourceError && ['absent', 'failed', 'malformed'].includes(error.kind))
      return undefined;
    throw error;
  }
}

function excerpt(value: unknown, depth: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60));
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) {
    if (depth === MAX_DEPTH) return '[...]';
    const parts = value.slice(0, MAX_PARTS).map((each) => excerpt(each, depth + 1));
    return `[${parts.join(',')}${value.length > MAX_PARTS ? ',...' : ''}]`;
  }
  if (depth === MAX_DEPTH) return '{...}';
  const parts: string[] = [];
  for (const key in value) {
    if (parts.length === MAX_PARTS) return `{${parts.join(',')},...}`;
    parts.push(`${excerpt(key, 0)}:${excerpt((value as Record<string, unknown>)[key], depth + 1)}`);
  }
  return `{${parts.join(',')}}`;
}
