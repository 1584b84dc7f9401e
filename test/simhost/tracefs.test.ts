import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { MMIO_NOTIFY, TRACE_SETS } from '../../exporter/trace/sets.ts';
import { paper } from '../../lab/simhost/scenarios.ts';
import { parseFilter } from '../../lab/simhost/trace/filter.ts';
import { parseTrigger } from '../../lab/simhost/trace/trigger.ts';
import { parseEventFormat } from '../../probes/tracefs-format.ts';
import { type HistBlock, parseHist } from '../../probes/tracefs-hist.ts';
import { ROOT } from '../../testing/daemon.ts';
import { until } from '../../testing/patience.ts';
import { served, simulatedRoot, steps, walk } from '../../testing/simulated.ts';

const CAPTURED = `${ROOT}test/fixtures/hosts/linux-nvme-vhost/t1/sys/kernel/tracing/instances/x/events`;

describe('a hist trigger', () => {
  it('has the text that the captured kernel printed', () => {
    const lines = walk(CAPTURED)
      .filter((name) => name.endsWith('/trigger'))
      .flatMap((name) => readFileSync(`${CAPTURED}/${name}`, 'latin1').trim().split('\n'));
    assert.ok(lines.length > 20);
    for (const line of lines)
      assert.equal(`${parseTrigger(line.replace(' [active]', ''))?.text} [active]`, line);
  });

  it('counts from its creation, and from zero after a clear', (context) => {
    const root = simulatedRoot(context);
    const { host } = paper({ seed: 1 }, 'original');
    host.writeTo(root);
    steps(host, 3);
    const instance = `${root}/sys/kernel/tracing/instances/mine`;
    mkdirSync(instance);
    host.step(1);
    const file = (name: string): string => `${instance}/events/kvm/kvm_exit/${name}`;
    const hits = (): number => parseHist(readFileSync(file('hist'), 'latin1'))[0]?.hits ?? Number.NaN;
    appendFileSync(file('trigger'), 'hist:keys=common_pid,exit_reason:size=1000\n');
    const before = host.vm('paper').totals.exits;
    host.step(1);
    assert.equal(hits(), host.vm('paper').totals.exits - before);
    assert.equal(
      readFileSync(file('trigger'), 'latin1'),
      'hist:keys=common_pid,exit_reason:vals=hitcount:sort=hitcount:size=1024 [active]\n',
    );
    host.step(1);
    assert.equal(hits(), host.vm('paper').totals.exits - before);
    const cleared = host.vm('paper').totals.exits;
    appendFileSync(file('trigger'), 'hist:keys=common_pid,exit_reason:size=1000:clear\n');
    host.step(1);
    assert.equal(hits(), host.vm('paper').totals.exits - cleared);
    appendFileSync(file('trigger'), '!hist:keys=common_pid,exit_reason:size=1000\n');
    host.step(1);
    assert.doesNotMatch(readFileSync(file('trigger'), 'latin1'), /^hist:/m);
    assert.equal(readFileSync(file('hist'), 'latin1'), '');
    host.close();
  });

  it('supports a filter and hexadecimal keys, with one row per queue and vCPU', (context) => {
    const root = simulatedRoot(context);
    const { host } = paper({ seed: 1 }, 'parallel_batching');
    host.writeTo(root);
    const instance = `${root}/sys/kernel/tracing/instances/mine`;
    mkdirSync(instance);
    host.step(1);
    const event = `${instance}/events/kvm/kvm_fast_mmio`;
    const [vcpu] = host.vm('paper').vcpus;
    appendFileSync(`${event}/trigger`, `hist:keys=common_pid,gpa.hex if common_pid == ${vcpu?.thread.tid}\n`);
    steps(host, 5);
    const [block] = parseHist(readFileSync(`${event}/hist`, 'latin1'));
    const first = host.vm('paper').notifyAddress(0, 0);
    assert.deepEqual(
      rowsOf(block)
        .map(([tid, gpa]) => [tid, gpa])
        .sort((a, b) => (a[1] ?? 0) - (b[1] ?? 0)),
      [0, 1, 2].map((queue) => [vcpu?.thread.tid, first + queue * 4]),
    );
    host.close();
  });

  it('supports each filter of the exporter', () => {
    const filters = Object.values(TRACE_SETS)
      .flatMap(({ triggers }) => triggers)
      .flatMap(({ filter }) => filter ?? []);
    assert.ok(filters.length > 0);
    assert.deepEqual(
      filters.filter((filter) => parseFilter(filter) === undefined),
      [],
    );
    const writes = parseFilter(`type == 2 && (len == 2 || ${MMIO_NOTIFY})`);
    assert.equal(writes?.({ type: 2, len: 4, gpa: 0xfe003050 }), true);
    assert.equal(writes?.({ type: 2, len: 4, gpa: 0xfe003054 }), false);
    assert.equal(writes?.({ type: 2, len: 2, gpa: 0xfe003004 }), true);
  });
});

function rowsOf(block: HistBlock | undefined): number[][] {
  if (block === undefined) return [];
  const width = block.keys.length + block.values.length;
  return Array.from({ length: block.rows }, (_, row) => [
    ...block.columns.slice(row * width, (row + 1) * width),
  ]);
}

/** In the order in which they depend on each other. */
const TRIGGERS = {
  'synthetic/slow': 'hist:keys=pid,reason,lat.log2:vals=hitcount,lat',
  'kvm/kvm_exit': 'hist:keys=common_pid:t=common_timestamp,r=exit_reason,p=common_pid',
  'kvm/kvm_entry': 'hist:keys=common_pid:l=common_timestamp-$t:onmatch(kvm.kvm_exit).trace(slow,$p,$r,$l)',
};

describe('a synthetic event', () => {
  it('has fields of two events and the time between them', (context) => {
    const root = simulatedRoot(context);
    const { host } = paper({ seed: 1 }, 'original');
    host.writeTo(root);
    const tracing = `${root}/sys/kernel/tracing`;
    mkdirSync(`${tracing}/instances/mine`);
    appendFileSync(`${tracing}/synthetic_events`, 'slow pid_t pid; unsigned int reason; u64 lat\n');
    host.step(1);
    const format = parseEventFormat(readFileSync(`${tracing}/events/synthetic/slow/format`, 'latin1'));
    assert.deepEqual([...format.fields.keys()].slice(-3), ['pid', 'reason', 'lat']);
    const events = `${tracing}/instances/mine/events`;
    const set = (event: string, line: string): void =>
      appendFileSync(`${events}/${event}/trigger`, `${line}\n`);
    for (const [event, line] of Object.entries(TRIGGERS)) set(event, line);
    const before = host.vm('paper').totals.exits;
    steps(host, 2);
    const [block] = parseHist(readFileSync(`${events}/synthetic/slow/hist`, 'latin1'));
    assert.equal(block?.hits, host.vm('paper').totals.exits - before);
    // An EPT_MISCONFIG takes 2200 ns in the middle: ]2^11, 2^12].
    const kicks = rowsOf(block).filter(([, reason, exponent]) => reason === 49 && exponent === 12);
    assert.ok(kicks.length > 0);
    for (const [, , , hits = 0, sum] of kicks) assert.equal(sum, hits * 2200);
    appendFileSync(`${tracing}/synthetic_events`, '!slow\n');
    host.step(1);
    assert.match(readFileSync(`${tracing}/synthetic_events`, 'latin1'), /^slow\t/, 'EBUSY: triggers use it');
    for (const [event, line] of Object.entries(TRIGGERS).reverse()) set(event, `!${line}`);
    host.step(1);
    appendFileSync(`${tracing}/synthetic_events`, '!slow\n');
    host.step(1);
    assert.equal(readFileSync(`${tracing}/synthetic_events`, 'latin1'), '');
    assert.equal(existsSync(`${events}/synthetic/slow`), false);
    host.close();
  });
});

describe('a served tracefs', () => {
  it('executes commands without a step, and removes an instance without triggers', async (context) => {
    const { host } = paper({ seed: 1 }, 'original');
    const root = await served(context, host);
    const instances = `${root}/sys/kernel/tracing/instances`;
    mkdirSync(`${instances}/mine`);
    await until(() => existsSync(`${instances}/mine/events/sched/sched_switch/hist`));
    const trigger = `${instances}/mine/events/kvm/kvm_exit/trigger`;
    // Each finds the file of the other replaced, sooner or later.
    for (const key of ['exit_reason', 'isa', 'vcpu_id'])
      appendFileSync(trigger, `hist:keys=common_pid,${key}\n`);
    await until(() => readFileSync(trigger, 'latin1').split('[active]').length === 4);
    for (const key of ['exit_reason', 'isa', 'vcpu_id'])
      appendFileSync(trigger, `!hist:keys=common_pid,${key}\n`);
    await until(() => !/^hist:/m.test(readFileSync(trigger, 'latin1')));
    steps(host, 4);
    assert.deepEqual(readdirSync(instances), []);
  });
});
