import { whole } from '../config/kinds.ts';
import { ConfigError } from '../config/load.ts';
import { readNamedFile, readStandardInput } from '../config/read-file.ts';
import {
  type FleetHost,
  hostOfLibvirtUri,
  hostsOfAnsible,
  hostsOfList,
  labelsOf,
  targetsOf,
} from './fleet-hosts.ts';
import { outputFile } from './output-file.ts';
import { print } from './print.ts';

export interface FleetTargetsFlags {
  readonly list?: readonly string[];
  readonly ansible?: readonly string[];
  readonly group: string;
  readonly libvirt?: readonly string[];
  readonly port: string;
  readonly label?: readonly string[];
  readonly out?: string;
}

const PORT = whole(1, 65_535);
/** ansible-inventory prints all variables of every host. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Writes the targets of a fleet for file_sd. An empty list is an error and leaves the file as it was. */
export async function runFleetTargets(flags: FleetTargetsFlags): Promise<void> {
  const port = portOf(flags.port);
  const labels = labelsOf(flags.label ?? [], '--label');
  const hosts: FleetHost[] = [
    ...(flags.list ?? []).flatMap((path) => hostsOfList(textOf('--list', path), path, port)),
    ...(flags.ansible ?? []).flatMap((path) =>
      hostsOfAnsible(textOf('--ansible', path), path, flags.group, port),
    ),
    ...(flags.libvirt ?? []).map((uri) => hostOfLibvirtUri(uri, port)),
  ];
  if (hosts.length === 0)
    throw new ConfigError('fleet targets: no host: give --list, --ansible or --libvirt with at least one');
  const text = `${JSON.stringify(targetsOf(hosts, labels), null, 2)}\n`;
  if (flags.out === undefined) await print([text]);
  else outputFile('--out', flags.out).write(text);
}

/** @throws ConfigError */
function portOf(text: string): number {
  const { schema, allowed } = PORT;
  const { success, data } = schema.safeParse(text);
  if (success) return data;
  throw new ConfigError(`--port: ${JSON.stringify(text)} is not allowed: give ${allowed}`);
}

/** @param path `-` for standard input @throws ConfigError */
function textOf(flag: string, path: string): string {
  try {
    const read = path === '-' ? readStandardInput(MAX_BYTES) : readNamedFile(path, MAX_BYTES);
    return read.toString('utf8');
  } catch (error) {
    throw new ConfigError(`${flag}: cannot read ${path}: ${(error as Error).message}`);
  }
}
