import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rootsOf } from '../exporter/config/roots.ts';
import { createHost, type Host } from '../probes/host.ts';

/** Hosts whose kernel files were copied twice, some ten seconds apart. */
export type CapturedHost = 'linux-nvme-vhost' | 'toy-pio-hlt';
export type Moment = 't0' | 't1';

const HOSTS = fileURLToPath(new URL('../../test/fixtures/hosts/', import.meta.url));

/** A kernel file of a captured host, decoded as probes do: one byte a character. */
export function captured(
  path: string,
  host: CapturedHost = 'linux-nvme-vhost',
  moment: Moment = 't0',
): string {
  return readFileSync(`${HOSTS}${host}/${moment}/${path}`, 'latin1');
}

export function capturedHost(host: CapturedHost = 'linux-nvme-vhost', moment: Moment = 't0'): Host {
  const root = `${HOSTS}${host}/${moment}`;
  return createHost(rootsOf({ 'path.rootfs': root }));
}

/** The machine that the test runs on. */
export function liveHost(): Host {
  return createHost(rootsOf({ 'path.rootfs': '/' }));
}
