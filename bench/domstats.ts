import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Libvirt } from '../exporter/sources/libvirt/libvirt.ts';
import { Virsh } from '../exporter/sources/libvirt/virsh.ts';
import { inventoryVm } from '../testing/inventory-vm.ts';
import { markdown } from './lab-host.ts';
import { median } from './statistics.ts';

// Measures for how long the output of `virsh domstats` blocks the daemon. A script that prints a captured domain many
// times replaces virsh.

const { values: options } = parseArgs({
  options: {
    domains: { type: 'string', default: '1000' },
    vcpus: { type: 'string', default: '8,16' },
    rounds: { type: 'string', default: '10' },
  },
});

const CAPTURED = readFileSync(
  new URL('../../test/fixtures/libvirt/domstats-9.0.txt', import.meta.url),
  'utf8',
);
const SETTLE_TURNS = 50;

const folder = mkdtempSync(join(tmpdir(), 'kt-domstats-'));
process.env['PATH'] = `${folder}:${process.env['PATH']}`;
const collections: number[] = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) collections.push(duration);
}).observe({ entryTypes: ['gc'] });

const rows = [
  [
    'domains',
    'vCPUs',
    'MB',
    'ms',
    'CPU ms',
    'start virsh ms',
    'longest slice ms: median',
    'max',
    'longest GC ms: median',
    'max',
  ],
];
try {
  for (const vcpus of options.vcpus.split(',').map(Number))
    rows.push(await measure(Number(options.domains), vcpus, Number(options.rounds)));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(markdown(rows));

async function measure(domains: number, vcpus: number, rounds: number): Promise<string[]> {
  const output = Array.from({ length: domains }, (_, i) => domain(`vm-${i}`, vcpus)).join('');
  writeFileSync(join(folder, 'output'), output);
  writeFileSync(join(folder, 'virsh'), `#!/bin/sh\nexec cat ${folder}/output\n`, { mode: 0o755 });
  const vms = Array.from({ length: domains }, (_, i) => inventoryVm(1000 + i, { domain: `vm-${i}` }));
  const virsh = new Virsh();
  const libvirt = new Libvirt({ uri: 'test:///', timeoutMs: 60_000 }, virsh);
  const slices: number[] = [];
  const pauses: number[] = [];
  const starts: number[] = [];
  const walls: number[] = [];
  const cpu: number[] = [];
  // Like the daemon, keep the last result until the next one is complete.
  let last = await libvirt.query(vms);
  for (let round = 0; round < rounds; round++) {
    collections.length = 0;
    const start = performance.now();
    const before = process.cpuUsage();
    const answer = libvirt.query(vms);
    starts.push(performance.now() - start);
    const watch = watchSlices();
    last = await answer;
    walls.push(performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    cpu.push((user + system) / 1000);
    slices.push(await watch.longest());
    pauses.push(Math.max(0, ...collections));
    if (last.statistics.size !== domains) throw new Error(`${last.statistics.size} of ${domains} domains`);
  }
  const ms = (value: number): string => value.toFixed(1);
  return [
    String(domains),
    String(vcpus),
    ms(output.length / 1e6),
    ms(median(walls)),
    ms(median(cpu)),
    ms(median(starts)),
    ms(median(slices)),
    ms(Math.max(...slices)),
    ms(median(pauses)),
    ms(Math.max(...pauses)),
  ];
}

/** The longest turn of the event loop. */
function watchSlices(): { longest(): Promise<number> } {
  let longest = 0;
  let isOn = true;
  const done = (async () => {
    let turns = 0;
    for (let since = performance.now(); isOn || turns < SETTLE_TURNS; turns += isOn ? 0 : 1) {
      await setImmediate();
      const now = performance.now();
      longest = Math.max(longest, now - since);
      since = now;
    }
  })();
  return {
    async longest() {
      isOn = false;
      await done;
      return longest;
    },
  };
}

/** A domain like the captured one, with any number of vCPUs. */
function domain(name: string, vcpus: number): string {
  const lines = CAPTURED.split('\n').filter((line) => line !== '');
  const first = lines.filter((line) => line.startsWith('  vcpu.0.'));
  const others = lines.filter((line) => !/^(?:Domain: | {2}vcpu\.\d)/.test(line));
  const all = Array.from({ length: vcpus }, (_, i) =>
    first.map((line) => line.replace('vcpu.0', `vcpu.${i}`)),
  );
  // The numbers of a VM that has run for weeks.
  const grown = all
    .flat()
    .map((line) => line.replace(/=(\d{4,})$/, (_, digits) => `=${digits}${name.length}734`));
  return [`Domain: '${name}'`, ...others, ...grown, '', ''].join('\n');
}
