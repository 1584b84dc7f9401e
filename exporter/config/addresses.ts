import { isIPv6 } from 'node:net';

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
