import { existsSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { quiet } from '../lab/simhost/scenarios.ts';
import { startExporter, startNodeExporter } from './daemon.ts';
import { fetchMetrics } from './http.ts';
import { measureFootprint, measureScrapes } from './measure.ts';
import { type Result, table } from './table.ts';

const VCPUS = 8;
/** Each VM has one disk. */
const IOTHREADS = 1;

const { values } = parseArgs({
  options: {
    vms: { type: 'string', default: '100,1000' },
    rounds: { type: 'string', default: '20' },
    'node-exporter': { type: 'string', default: '/usr/bin/prometheus-node-exporter' },
  },
});

const say = (text: string): boolean => process.stderr.write(`${text}\n`);
const { path: scratch } = memoryFolder('kvm-bench-');
exitBySignal();

const peer = existsSync(values['node-exporter'])
  ? await startNodeExporter(values['node-exporter'])
  : undefined;
const results: Result[] = [];
for (const vms of values.vms.split(',').map(Number)) {
  results.push(await measure(vms, Number(values.rounds)));
  say(`\n${table(results.slice(-1))}`);
}
await peer?.stop();
process.stdout.write(table(results));

async function measure(vms: number, rounds: number): Promise<Result> {
  const rootfs = `${scratch}/host-${vms}`;
  say(`${vms} VMs: generating the host`);
  const { host } = quiet({ seed: 1 }, vms, VCPUS, { qmp: false, libvirt: false });
  host.step(1);
  host.writeTo(rootfs);
  host.close();
  await check(rootfs, vms);
  say(`${vms} VMs: what a scrape costs, ${rounds} rounds`);
  const costs = await measureScrapes(rootfs, scratch, rounds, peer);
  say(`${vms} VMs: footprint and stalls`);
  const footprint = await measureFootprint(rootfs, rounds);
  rmSync(rootfs, { recursive: true });
  return { vms, costs, footprint };
}

/** If the exporter found only part of the host, the result would be too good. */
async function check(rootfs: string, vms: number): Promise<void> {
  const daemon = await startExporter(rootfs);
  const text = (await fetchMetrics(daemon.port, false)).text();
  await daemon.stop();
  const found = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
  const counts = {
    vms: found(/^kvm_vm_info\{/gm) / vms,
    vcpus: found(/^kvm_thread_cpu\{.*thread="vcpu\d+"/gm) / vms,
    iothreads: found(/^kvm_thread_cpu\{.*thread="iothread:\w+"/gm) / vms,
    exits: found(/^kvm_vm_exits_total\{/gm) / vms,
    failed: found(/^kvm_telemetry_collector_success\{.*\} 0$/gm),
  };
  const { vcpus, iothreads, exits, failed } = counts;
  if (counts.vms !== 1 || vcpus !== VCPUS || iothreads !== IOTHREADS || exits !== 1 || failed !== 0) {
    throw new Error(`the exporter does not see the host as generated: ${JSON.stringify(counts)}`);
  }
}
