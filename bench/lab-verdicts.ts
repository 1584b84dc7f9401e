import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TECHNIQUES } from '../exporter/metrics/techniques.ts';
import type { LabHost } from '../lab/host.ts';
import { fetchCommand, PATIENT, startExporter } from '../testing/lab.ts';
import { parseSamples, type Samples, series } from '../testing/metrics.ts';
import { inHosts, markdown, note } from './lab-host.ts';

// The share of wrong verdicts on a Linux guest of the emulated host, whose vCPUs and IOThread share a CPU. An emulated host lives for
// minutes, so the time is that of several boots.

const MAIN = fileURLToPath(new URL('../exporter/main.js', import.meta.url));
const VM = 'vm-a';
const PORT = 9954;
const EVERY_MS = 20_000;
/** Two judgements after a start or a change, as in bench/verdicts.ts. */
const SETTLING_MS = 120_000;
const CHANGE_MS = 300_000;

/** Each vCPU uses a queue of its own, and waits for one I/O at a time, so that each costs a kick, whether or not the IOThread polls. */
const EXPECTED: Readonly<Record<string, string>> = {
  affinity: 'partly',
  exitless_polling: 'off',
  pinned_queues: 'in_force',
};
/** By turns. */
const POLL_MAX_NS = [32_768, 0];

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } });
const durationMs = Number(values.minutes) * 60_000;

/** How often each state was seen, by technique. */
const seen = new Map<string, Map<string, number>>();
let measuredMs = 0;
let boots = 0;
let settling = 0;
let failed = 0;

await inHosts({}, async (host) => {
  boots++;
  await host.startGuest(VM);
  await startExporter(host, MAIN, `127.0.0.1:${PORT}`, [PATIENT]);
  note('guest and exporter are up');
  let changedAt = performance.now();
  for (let change = 0; measuredMs < durationMs; ) {
    const begin = performance.now();
    if (begin - changedAt > CHANGE_MS) {
      change++;
      const pollMaxNs = POLL_MAX_NS[change % POLL_MAX_NS.length];
      await host.monitor(VM, `qom-set /objects/io0 poll-max-ns ${pollMaxNs}`);
      note(`poll-max-ns ${pollMaxNs}`);
      changedAt = begin;
    }
    await read(host, begin - changedAt < SETTLING_MS);
    await host.output(`sleep ${EVERY_MS / 1000}`);
    measuredMs += performance.now() - begin;
  }
  return true;
});

const rows = [...seen].map(([technique, states]) => {
  const expected = EXPECTED[technique];
  const all = [...states].map(([state, count]) => `${state} ${count}`).join(', ');
  const wrong = [...states]
    .filter(([state]) => state !== expected && state !== 'unknown')
    .reduce((sum, [, count]) => sum + count, 0);
  return [technique, expected ?? 'not judged', all, expected === undefined ? '' : String(wrong)];
});
process.stdout.write(markdown([['technique', 'expected', 'seen', 'wrong'], ...rows]));
process.stdout.write(
  `${(measuredMs / 60_000).toFixed(1)} minutes in ${boots} boots, ${settling} readings within two minutes of a start or a change, ${failed} scrapes failed\n`,
);

async function read(host: LabHost, isSettling: boolean): Promise<void> {
  const samples = parseSamples(await host.output(fetchCommand(PORT)));
  if (series(samples, 'kvm_vm_technique_state', { vm: VM }).length === 0) {
    failed++;
    return;
  }
  if (isSettling) {
    settling++;
    return;
  }
  for (const technique of TECHNIQUES) {
    const state = stateOf(samples, technique);
    const counts = seen.get(technique) ?? new Map<string, number>();
    seen.set(technique, counts.set(state, (counts.get(state) ?? 0) + 1));
    if (EXPECTED[technique] !== undefined && state !== EXPECTED[technique]) note(`${technique} is ${state}`);
  }
}

function stateOf(samples: Samples, technique: string): string {
  const found = series(samples, 'kvm_vm_technique_state', { vm: VM, technique }).find(
    (each) => samples.get(each) === 1,
  );
  return /state="(\w+)"/.exec(found ?? '')?.[1] ?? 'none';
}
