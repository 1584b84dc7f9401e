import type { IncomingHttpHeaders } from 'node:http';
import { isIP, isIPv4 } from 'node:net';

export interface HostRules {
  /** Hosts of the listening addresses; undefined for all addresses. */
  readonly listenHosts: readonly (string | undefined)[];
  /** `kvm1.example.org`, `*.example.org` or `*`, in lower case. */
  readonly allowed: readonly string[];
  /** Hostname of the machine. */
  readonly hostname: string;
  /** Whether TLS or a login is required. A page under another name lacks the certificate or the password. */
  readonly isGuarded: boolean;
}

export interface Refusal {
  readonly status: 403 | 421;
  readonly text: string;
}

interface Asked {
  readonly method?: string | undefined;
  /** The target of the request line: a path, or an absolute URL as a proxy gets it. */
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** All values of each header: Node.js keeps the first `Host`, a proxy may have used another. */
  readonly headersDistinct?: NodeJS.Dict<string[]>;
}

/**
 * Whether a request is addressed to this exporter. A page open in a browser can send requests to any address
 * that the browser reaches. With DNS rebinding it can also read the response, and a request can act even if
 * its response is not read.
 *
 * @returns why the request is refused
 */
export function refusal(
  { method, url, headers, headersDistinct }: Asked,
  rules: HostRules,
): Refusal | undefined {
  const hosts = [headers.host, authorityOf(url)];
  const isTwice = (headersDistinct?.['host']?.length ?? 0) > 1;
  const foreign =
    hosts.find((host) => !isOurName(host, headers, rules)) ?? (isTwice ? headers.host : undefined);
  if (foreign !== undefined) {
    const name = JSON.stringify(foreign.slice(0, 100));
    const text = `This exporter is not known as ${name}. Use its address, or start it with --web.allowed-hosts=NAME.\n`;
    return { status: 421, text };
  }
  const { origin } = headers;
  const isForeign =
    origin === undefined ? isCrossSite(method, headers) : !isOurs(origin, headers.host, rules);
  if (!isForeign) return undefined;
  return { status: 403, text: 'Pages of other origins may not use this exporter.\n' };
}

/**
 * Every listener accepts loopback names and allowed names; loopback listeners accept no others. Programs
 * may use any name. Browsers may use only names that no third party can register, unless TLS or a login is
 * required.
 */
function isOurName(host: string | undefined, headers: IncomingHttpHeaders, rules: HostRules): boolean {
  // HTTP/1.0, which browsers do not use.
  if (host === undefined) return true;
  const name = nameOf(host);
  if (name === undefined) return false;
  if (isLoopback(name) || isAllowed(name, rules)) return true;
  if (rules.listenHosts.every((each) => isLoopback(each ?? ''))) return false;
  const own = rules.hostname.toLowerCase();
  return (
    rules.isGuarded || !isBrowser(headers) || isIP(bare(name)) !== 0 || !name.includes('.') || name === own
  );
}

function isAllowed(name: string, { allowed }: HostRules): boolean {
  return allowed.some(
    (each) => each === '*' || each === name || (each.startsWith('*.') && name.endsWith(each.slice(1))),
  );
}

/** A page cannot suppress Accept-Language. */
function isBrowser(headers: IncomingHttpHeaders): boolean {
  const marks = [
    headers['accept-language'],
    headers.origin,
    headers['sec-fetch-site'],
    headers['sec-fetch-mode'],
  ];
  return marks.some((mark) => mark !== undefined) || /^Mozilla\//.test(headers['user-agent'] ?? '');
}

function isOurs(origin: string, host: string | undefined, rules: HostRules): boolean {
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  const name = nameOf(url.host);
  const isAllowedName =
    rules.allowed.some((each) => each !== '*') && name !== undefined && isAllowed(name, rules);
  return /^https?:$/.test(url.protocol) && (url.host === host?.toLowerCase() || isAllowedName);
}

/** Links from other sites to the page are allowed. Subresource requests from other sites are not. */
function isCrossSite(method: string | undefined, headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== 'cross-site' && site !== 'same-site') return false;
  return (method !== 'GET' && method !== 'HEAD') || headers['sec-fetch-mode'] !== 'navigate';
}

/** The host of an absolute URL; undefined for a path. */
function authorityOf(url = ''): string | undefined {
  return /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(url)?.[1];
}

/** The host in lower case, without the port; undefined if it is not valid. */
function nameOf(host: string): string | undefined {
  const match = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.exec(host);
  return match?.[1]?.toLowerCase().replace(/\.$/, '');
}

function bare(name: string): string {
  return name.replace(/^\[|\]$/g, '');
}

function isLoopback(name: string): boolean {
  const address = bare(name).toLowerCase();
  return address === 'localhost' || address === '::1' || (isIPv4(address) && address.startsWith('127.'));
}
