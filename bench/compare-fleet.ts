import { parseArgs } from 'node:util';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { type SimulatedHost, simulatedFleet } from '../testing/simulated-fleet.ts';
import { startVictoria } from '../testing/victoria-metrics.ts';
import { measureCompare } from './compare-process.ts';
import { note } from './lab-host.ts';
import { cpuSeconds, memory } from './process-cost.ts';

// Time and memory of `compare --by label=kernel` over the recorded series of many hosts in VictoriaMetrics. Three quarters of the
// hosts get a new kernel in the middle of the time.

const { values: options } = parseArgs({
  options: {
    hosts: { type: 'string', default: '10000' },
    vms: { type: 'string', default: '4' },
    /** The number of clusters in bench/fleet.ts. */
    clusters: { type: 'string', default: '20' },
    hours: { type: 'string', default: '24' },
    /** For `-search.maxUniqueTimeseries`. */
    series: { type: 'string', default: '300000' },
  },
});
const HOSTS = Number(options.hosts);
const VMS = Number(options.vms);
const SECONDS = 300;
const START = 1_760_004_000;
const LINES = 500;
const CLUSTERS = Number(options.clusters);
const windows = (Number(options.hours) * 3600) / SECONDS;

exitBySignal();
const { path: folder, remove } = memoryFolder('kvm-telemetry-compare-fleet-');
const { url, pid, stop } = await startVictoria(`${folder}/store`, [
  `-search.maxUniqueTimeseries=${options.series}`,
]);
const times = Array.from({ length: windows }, (_, i) => (START + (i + 1) * SECONDS - 1) * 1000);
const allTimes = times.join();
const sent = { series: 0, samples: 0 };
let batch: string[] = [];
const fleet = simulatedFleet({ seed: 1, hosts: HOSTS, updated: (HOSTS * 3) / 4, windows });
for (const [i, host] of fleet.entries()) await writeHost({ ...host, cluster: `c${i % CLUSTERS}` });
await flush();
await fetch(`${url}/internal/force_flush`);
note(`${sent.series} series and ${sent.samples} samples of ${HOSTS} hosts are in the store`);
const [cpu, to] = [cpuSeconds(pid), START + windows * SECONDS];
const args = ['--prometheus', url, '--by', 'label=kernel', '--from', `${START}`, '--to', `${to}`];
const { code, text } = await measureCompare([...args, '--format', 'json']);
process.stdout.write(
  `${text}\nthe store: ${(cpuSeconds(pid) - cpu).toFixed(1)} s of CPU time, ${memory(pid).peakMiB.toFixed(0)} MiB at the peak\n`,
);
await stop();
remove();
process.exitCode = code;

async function writeHost(host: SimulatedHost): Promise<void> {
  const { cluster, instance, kernels, ios, latency, cpu: cores, exits } = host;
  const all: [string, object, ArrayLike<number>][] = [
    ['host:kvm_vms:count', {}, new Array(windows).fill(VMS)],
    ['host:kvm_ios:rate', {}, ios],
    ['host:kvm_exits:rate', {}, exits],
    ['host:kvm_io_path_events:matched_rate', {}, exits],
    ['host:kvm_ios:matched_rate', {}, ios],
    ['host_role:kvm_cpu_seconds:rate', { role: 'vcpu' }, cores],
  ];
  const labels = { cluster, job: 'kvm-telemetry', instance };
  for (const [name, more, values] of all)
    await write({ __name__: name, ...labels, ...more }, textOf(Array.from(values)), allTimes);
  const ofVm = [
    ['vm_disk:kvm_disk_ios:rate', textOf(Array.from(ios, (value) => value / VMS))],
    ['vm_disk:kvm_disk_latency_seconds:mean', textOf(Array.from(latency))],
  ] as const;
  for (let vm = 0; vm < VMS; vm++)
    for (const [name, values] of ofVm)
      await write({ __name__: name, ...labels, vm: `vm${vm}`, disk: 'vda' }, values, allTimes);
  for (const kernel of new Set(kernels)) {
    const own = times.filter((_, i) => kernels[i] === kernel);
    const metric = { __name__: 'kvm_host_info', ...labels, kernel, cpu_model: 'EPYC' };
    await write(metric, textOf(own.map(() => 1)), own.join());
  }
}

function textOf(values: readonly number[]): string {
  return values.map((value) => Number(value.toPrecision(5))).join();
}

/** @param values numbers with commas, as many as times */
async function write(metric: object, values: string, timestamps: string): Promise<void> {
  batch.push(`{"metric":${JSON.stringify(metric)},"values":[${values}],"timestamps":[${timestamps}]}`);
  sent.series++;
  sent.samples += values.split(',').length;
  if (batch.length >= LINES) await flush();
}

async function flush(): Promise<void> {
  const { ok, status } = await fetch(`${url}/api/v1/import`, { method: 'POST', body: batch.join('\n') });
  if (!ok) throw new Error(`victoria-metrics: ${status}`);
  batch = [];
}
