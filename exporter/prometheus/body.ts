import { printable } from '../../probes/printable.ts';
import type { Response } from './request.ts';

const MAX_MESSAGE = 300;
/** VictoriaMetrics begins with the query and ends with the reason and a link. */
const BEGIN = 100;

/** A response of the API, whatever the endpoint. */
export interface Body {
  readonly status?: string;
  readonly error?: string;
  readonly errorType?: string;
  readonly data?: unknown;
  readonly warnings?: readonly unknown[];
  readonly isPartial?: boolean;
}

/** undefined if the text is no JSON. */
export function bodyOf(text: string): Body | undefined {
  try {
    return JSON.parse(text) as Body;
  } catch {
    return undefined;
  }
}

/** The error of a response, after a colon. */
export function messageOf({ text }: Response): string {
  const error = bodyOf(text)?.error;
  return typeof error === 'string' ? `: ${short(error)}` : '';
}

/** Text of a server, for a message. */
export function short(text: string): string {
  if (text.length <= MAX_MESSAGE) return printable(text);
  return printable(`${text.slice(0, BEGIN)}…${text.slice(BEGIN - MAX_MESSAGE)}`);
}
