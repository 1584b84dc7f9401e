import { parseArgs } from 'node:util';
import { startDemoHost } from '../exporter/cli/demo-host.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { startExporter } from './daemon.ts';
import { fetchMetrics } from './http.ts';
import { markdown } from './lab-host.ts';

// Series of each set of metrics that is not about the I/O path, and the least time that its collector takes in a
// scrape, on a simulated host of 100 VMs with 8 vCPUs and a disk each, 128 CPUs with cpufreq. The minimum, because
// other programs may use the machine.

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '40' } } });
const rounds = Number(options.rounds);
const VMS = 100;
/** Metrics of a VM by collector. */
const SETS: Readonly<Record<string, RegExp>> = {
  cpu_quota: /^kvm_vm_(throttled|quota)_/,
  cpu_state: /^kvm_vm_cpu_(frequency|governor|idle|observed)_/,
  scheduling:
    /^kvm_vm_(cpus|scheduled_threads|uclamp_\w+|ext_threads|core_scheduled_threads|forced_idle\w+|numa_pages_migrated_total)\{/,
  interrupts: /^kvm_vm_cpu_interrupts_total\{/,
  memory: /^kvm_vm_memory_/,
};

exitBySignal();
const host = await startDemoHost('large');
const exporter = await startExporter(host.rootfs, ['--trace.backend=off']);
const least = new Map<string, number>();
let text = '';
for (let i = 0; i < rounds; i++) {
  text = (await fetchMetrics(exporter.port, true)).text();
  for (const [, name = '', seconds] of text.matchAll(
    /^kvm_telemetry_collector_duration_seconds\{collector="(\w+)"\} (\S+)$/gm,
  ))
    least.set(name, Math.min(least.get(name) ?? Number.POSITIVE_INFINITY, Number(seconds)));
}
await exporter.stop();
await host.stop();
const ofVms = text.split('\n').filter((line) => /^kvm_.*[{,]vm="/.test(line));
const perVm = (count: number): string => (count / VMS).toFixed(1);
const ms = (seconds = Number.NaN): string => (seconds * 1000).toFixed(1);
process.stdout.write(
  markdown([
    ['collector', 'series a VM', 'ms a scrape, at least'],
    ...Object.entries(SETS).map(([name, pattern]) => [
      name,
      perVm(ofVms.filter((line) => pattern.test(line)).length),
      ms(least.get(name)),
    ]),
    ['all', perVm(ofVms.length), ms([...least.values()].reduce((sum, each) => sum + each, 0))],
  ]),
);
