import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { type Kind, text } from './kinds.ts';

/**
 * Links may lead only to http or https addresses, because others could run scripts. They must contain no
 * secret.
 */
export function isWebAddress(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password, search, hash } = new URL(value);
  return /^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === '');
}

/** Names of `web.allowedHosts`, in lower case. */
export function allowedHosts(value: string): string[] {
  return value === '' ? [] : value.split(',').map((name) => name.trim().toLowerCase());
}

export function isHostPattern(name: string): boolean {
  return /^(\*|(\*\.)?[a-z\d_-]+(\.[a-z\d_-]+)*|\[[\da-f:.]+\])$/.test(name);
}

export interface ListenAddress {
  /** undefined for all addresses. */
  readonly host: string | undefined;
  readonly port: number;
}

/** Parses `127.0.0.1:9954`, `[::1]:9954`, `localhost:9954` or `:9954`; undefined for anything else. */
export function parseListenAddress(value: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([\w.-]*)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || (match[1] !== undefined && !isIPv6(match[1]))) return undefined;
  const host = match[1] ?? match[2];
  return { host: host === '' ? undefined : host, port };
}

const MAX_LISTENERS = 16;

/** One address or several. Text may contain several, separated by commas. */
export const listenAddresses: Kind<readonly string[]> = {
  schema: z
    .union([
      z.string().transform((value) => value.split(',').map((each) => each.trim())),
      z.array(z.string()),
    ])
    .pipe(
      z
        .array(z.string().refine((value) => parseListenAddress(value) !== undefined))
        .min(1)
        .max(MAX_LISTENERS),
    ),
  allowed: 'HOST:PORT, [IPv6]:PORT or :PORT with a port from 0 to 65535',
  placeholder: 'host:port',
  isRepeatable: true,
};

/**
 * Segments without special characters of URLs or express, outside the paths of the page, the API and the lifecycle.
 */
const URL_PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)+$/;
const RESERVED_PATH = /^\/(?:-|api|assets)(?:\/|$)/i;

export const telemetryPath = text(
  'path',
  'a URL path such as /metrics, of letters, digits and ._~-, outside /-/, /api/ and /assets/',
  (value) => URL_PATH.test(value) && !RESERVED_PATH.test(value),
);
