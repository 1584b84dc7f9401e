import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { quiet } from '../lab/simhost/scenarios.ts';
import { startExporter } from './daemon.ts';
import { fetchMetrics, seriesIn } from './http.ts';
import { cpuSeconds, memory } from './process-cost.ts';
import { median } from './statistics.ts';

const VCPUS = 8;

const { values } = parseArgs({
  options: {
    vms: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '20' },
    births: { type: 'string', default: '1000' },
  },
});
const vms = Number(values.vms);
const rounds = Number(values.rounds);
const births = Number(values.births);

const { path: scratch } = memoryFolder('kt-');
exitBySignal();
const rootfs = `${scratch}/h`;

process.stderr.write(`${vms} VMs: generating the host\n`);
const { host } = quiet({ seed: 1 }, vms, VCPUS, { libvirt: false });
host.step(1);
host.writeTo(rootfs);
await host.serve();

const withMonitors = await measure([]);
const without = await measure(['--no-collector.qmp']);
const leak = await birthsAndDeaths();
host.close();

const ms = (seconds: number): string => (seconds * 1000).toFixed(1);
process.stdout.write(
  [
    '| VMs | KVM statistics from | CPU ms a scrape | wall ms | series | RSS MiB |',
    '|--:|---|--:|--:|--:|--:|',
    `| ${vms} | debugfs | ${ms(without.cpu)} | ${ms(without.wall)} | ${without.series} | ${without.rss.toFixed(0)} |`,
    `| ${vms} | QMP | ${ms(withMonitors.cpu)} | ${ms(withMonitors.wall)} | ${withMonitors.series} | ${withMonitors.rss.toFixed(0)} |`,
    '',
    `Descriptors of the exporter: ${leak.before} before and ${leak.after} after ${births} VMs started and ended; RSS ${leak.rssBefore.toFixed(0)} and ${leak.rssAfter.toFixed(0)} MiB.`,
    '',
  ].join('\n'),
);

interface Cost {
  readonly cpu: number;
  readonly wall: number;
  readonly series: number;
  readonly rss: number;
}

async function measure(flags: readonly string[]): Promise<Cost> {
  // The sampler is off because its cost is not part of the scrape.
  const daemon = await startExporter(rootfs, [
    '--sampler.schedule=0 0 0 1 1 *',
    '--inventory.schedule=0 0 0 1 1 *',
    ...flags,
  ]);
  for (let i = 0; i < 5; i++) await fetchMetrics(daemon.port, false);
  const cpus: number[] = [];
  const walls: number[] = [];
  let text = '';
  for (let round = 0; round < rounds; round++) {
    const before = cpuSeconds(daemon.pid);
    const response = await fetchMetrics(daemon.port, false);
    cpus.push(cpuSeconds(daemon.pid) - before);
    walls.push(response.seconds);
    text = response.text();
  }
  const rss = memory(daemon.pid).rssMiB;
  await daemon.stop();
  const vcpus = text.match(/^kvm_vcpu_exits_total\{/gm)?.length ?? 0;
  if (vcpus !== (flags.length === 0 ? vms * VCPUS : 0)) throw new Error(`${vcpus} vCPUs with exits`);
  return { cpu: median(cpus), wall: median(walls), series: seriesIn(text), rss };
}

/** Each round, ten VMs exit and ten start with new process ids, then a scrape discovers them. */
async function birthsAndDeaths(): Promise<{
  before: number;
  after: number;
  rssBefore: number;
  rssAfter: number;
}> {
  const daemon = await startExporter(rootfs);
  const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
  for (let i = 0; i < 5; i++) await fetchMetrics(daemon.port, false);
  const before = descriptors();
  const rssBefore = memory(daemon.pid).rssMiB;
  const BATCH = 10;
  for (let born = 0; born < births; ) {
    for (const { spec } of host.vms.slice(0, BATCH)) {
      host.destroy(spec.name);
      host.boot({ ...spec, name: `vm-${vms + born++}` });
    }
    host.step(0.01);
    await fetchMetrics(daemon.port, false);
  }
  const text = (await fetchMetrics(daemon.port, false)).text();
  const replying = text.match(/^kvm_vm_source_up\{.*source="qmp"\} 1$/gm)?.length ?? 0;
  if (replying !== vms) throw new Error(`${replying} of ${vms} monitors reply`);
  const result = { before, after: descriptors(), rssBefore, rssAfter: memory(daemon.pid).rssMiB };
  await daemon.stop();
  return result;
}
