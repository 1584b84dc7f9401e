import { isIP } from 'node:net';
import { z } from 'zod';
import { printable } from '../../probes/printable.ts';
import { ConfigError } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';

/** A host of the fleet. Its name becomes the label `instance`, and may differ from the address. */
export interface FleetHost {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** One entry of Prometheus' file_sd and http_sd. */
interface TargetGroup {
  readonly targets: readonly [string];
  readonly labels: Readonly<Record<string, string>>;
}

const HOST = /^(?:[\w-]+(?:\.[\w-]+)*\.?)$/;
const LABEL = /^(?!__)[a-zA-Z_]\w*$/;
/** Set by the target itself. */
const RESERVED = ['instance', 'job'];
const MAX_VALUE = 1024;

/** A host in each line: `kvm1.example.org`, `[2001:db8::1]:9954`, `10.0.0.7 instance=kvm7 rack=r2`. @throws ConfigError */
export function hostsOfList(text: string, file: string, port: number): FleetHost[] {
  return text.split('\n').flatMap((line, i) => {
    const [address, ...pairs] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (address === undefined || address === '') return [];
    const where = `${file}:${i + 1}`;
    const { instance, ...labels } = labelsOf(pairs, where, ['instance']);
    const host = hostOf(address, port, where);
    return [{ ...host, name: instance ?? host.name, labels }];
  });
}

/** The host of `qemu+ssh://root@kvm1.example.org/system`. @throws ConfigError */
export function hostOfLibvirtUri(uri: string, port: number): FleetHost {
  const [, authority] = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(uri) ?? [];
  if (authority === undefined)
    throw new ConfigError(`--libvirt: ${shown(uri)} is no URI such as qemu+ssh://kvm1.example.org/system`);
  // The port belongs to ssh or TLS.
  const host = authority.replace(/^.*@/, '').replace(/:\d+$/, '');
  return hostOf(host === '' ? 'localhost' : host, port, '--libvirt');
}

const group = z.object({
  hosts: z.array(z.string()).default([]),
  children: z.array(z.string()).default([]),
});
const inventory = z.object({
  _meta: z
    .object({ hostvars: z.record(z.string(), z.record(z.string(), z.unknown())).default({}) })
    .default({ hostvars: {} }),
});

/** Hosts of a group in what `ansible-inventory --list` prints; `ansible_host` is the address. @throws ConfigError */
export function hostsOfAnsible(text: string, file: string, wanted: string, port: number): FleetHost[] {
  const groups = new Map<string, z.infer<typeof group>>();
  let hostvars: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  try {
    const document: unknown = JSON.parse(text);
    hostvars = inventory.parse(document)._meta.hostvars;
    for (const [name, value] of Object.entries(document as object))
      if (name !== '_meta') groups.set(name, group.parse(value));
  } catch {
    throw new ConfigError(`${file}: not the JSON of ansible-inventory --list`);
  }
  if (!groups.has(wanted))
    throw new ConfigError(
      `--group: ${file} has no group ${shown(wanted)}${didYouMean(wanted, [...groups.keys()])}`,
    );
  const names = new Set<string>();
  const seen = new Set<string>();
  // Groups may contain each other.
  for (const open = [wanted]; open.length > 0; ) {
    const name = open.pop() ?? '';
    if (seen.has(name)) continue;
    seen.add(name);
    const { hosts, children } = groups.get(name) ?? { hosts: [], children: [] };
    for (const host of hosts) names.add(host);
    open.push(...children);
  }
  return [...names].map((name) => {
    const address = hostvars[name]?.['ansible_host'];
    const host = hostOf(typeof address === 'string' ? address : name, port, `${file}: ${shown(name)}`);
    return { ...host, name };
  });
}

/** `cluster=east`. @throws ConfigError */
export function labelsOf(
  pairs: readonly string[],
  where: string,
  allowed: readonly string[] = [],
): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      const isReserved = RESERVED.includes(name) && !allowed.includes(name);
      if (at < 1 || !LABEL.test(name) || isReserved || value.length > MAX_VALUE)
        throw new ConfigError(`${where}: ${shown(pair)} is no label: give name=value, such as cluster=east`);
      return [name, value];
    }),
  );
}

/** The file of file_sd: one entry for each host, by name. @throws ConfigError if a name stands for two addresses */
export function targetsOf(
  hosts: readonly FleetHost[],
  labels: Readonly<Record<string, string>>,
): TargetGroup[] {
  const byInstance = new Map<string, TargetGroup>();
  for (const { name, address, port, labels: own } of hosts) {
    const instance = `${bracketed(name)}:${port}`;
    const target = `${bracketed(address)}:${port}`;
    const before = byInstance.get(instance)?.targets[0];
    if (before !== undefined && before !== target)
      throw new ConfigError(
        `${shown(instance)} is ${before} and ${target}: give each host a name of its own`,
      );
    byInstance.set(instance, { targets: [target], labels: { ...labels, ...own, instance } });
  }
  return [...byInstance].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

function bracketed(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

function hostOf(text: string, port: number, where: string): FleetHost {
  const [, v6, name, ownPort] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = isIP(text) === 6 ? text : (v6 ?? name ?? '');
  const isValid = v6 !== undefined || isIP(text) === 6 ? isIP(address) === 6 : HOST.test(address);
  const number = ownPort === undefined ? port : Number(ownPort);
  if (!isValid || address.length > 253 || number < 1 || number > 65_535)
    throw new ConfigError(
      `${where}: ${shown(text)} is no host: give a name or an address, with or without a port`,
    );
  return { name: address, address, port: number, labels: {} };
}

function shown(text: string): string {
  return printable(JSON.stringify(text.slice(0, 200)));
}
