import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { VCPUS } from './generate-host.ts';

/**
 * Runs as a separate process, so that its CPU time does not count as the exporter's: `node qmp-monitors.js
 * REPLIES`.
 */

interface Command {
  readonly execute: string;
  readonly arguments?: { readonly target?: string };
  readonly id?: string;
}

interface Vm {
  readonly pid: number;
  readonly uuid: string;
}

type Vcpu = { 'qom-path': string; 'cpu-index'?: number; 'thread-id'?: number };

const [replies = ''] = process.argv.slice(2);
const servers = new Map<string, Server>();
const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}\r\n';

function captured(name: string): unknown {
  return (JSON.parse(readFileSync(`${replies}/${name}.json`, 'utf8')) as { return: unknown }).return;
}

/** The captured VM has two vCPUs; this one has as many as the generated host. */
function widened(list: Vcpu[], pid: number): Vcpu[] {
  return Array.from({ length: VCPUS }, (_, index) => ({
    ...(list[0] as Vcpu),
    'qom-path': `/machine/unattached/device[${index}]`,
    ...('cpu-index' in (list[0] ?? {}) ? { 'cpu-index': index, 'thread-id': pid + 4 + index } : {}),
  }));
}

const vcpuStats = JSON.stringify(widened(captured('query-stats.vcpu') as Vcpu[], 0).reverse());
const vmStats = JSON.stringify(captured('query-stats.vm'));
const fixed = new Map(
  [
    'query-blockstats',
    'query-block',
    'query-iothreads',
    'query-status',
    'query-version',
    'query-stats-schemas',
  ].map((name) => [name, JSON.stringify(captured(name))]),
);
const cpus = captured('query-cpus-fast') as Vcpu[];

function answer({ execute, arguments: args, id }: Command, { pid, uuid }: Vm): string {
  const result =
    execute === 'query-stats'
      ? args?.target === 'vm'
        ? vmStats
        : vcpuStats
      : execute === 'query-cpus-fast'
        ? JSON.stringify(widened(cpus, pid))
        : execute === 'query-uuid'
          ? JSON.stringify({ UUID: uuid })
          : (fixed.get(execute) ?? (execute === 'qmp_capabilities' ? '{}' : undefined));
  if (result !== undefined) return `{"return": ${result}, "id": ${JSON.stringify(id)}}\r\n`;
  return `{"error": {"class": "GenericError", "desc": "no"}, "id": ${JSON.stringify(id)}}\r\n`;
}

function serve(socket: Socket, vm: Vm): void {
  let text = '';
  socket.on('error', () => undefined);
  socket.write(GREETING);
  socket.on('data', (chunk) => {
    text += String(chunk);
    for (let newline = text.indexOf('\n'); newline >= 0; newline = text.indexOf('\n')) {
      socket.write(answer(JSON.parse(text.slice(0, newline)) as Command, vm));
      text = text.slice(newline + 1);
    }
  });
}

process.on('message', ({ open, close, ...vm }: { open?: string; close?: string } & Vm) => {
  if (close !== undefined) {
    servers.get(close)?.close();
    servers.delete(close);
  }
  if (open === undefined) {
    process.send?.('done');
    return;
  }
  const server = createServer((socket) => serve(socket, vm));
  servers.set(open, server);
  server.listen(open, () => process.send?.('done'));
});
