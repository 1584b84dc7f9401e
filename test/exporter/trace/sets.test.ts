import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { type Isa, isKick } from '../../../exporter/model/io-path.ts';
import {
  DEFAULT_TRACE_SETS,
  MMIO_NOTIFY,
  TRACE_SET_NAMES,
  TRACE_SETS,
} from '../../../exporter/trace/sets.ts';
import type { TraceSet, Trigger } from '../../../exporter/trace/trigger.ts';
import { triggerText } from '../../../exporter/trace/trigger-text.ts';
import { captured, capturedHost } from '../../../testing/captured.ts';
import { type SimulatedTracefs, simulatedTracefs } from '../../../testing/simulated-tracefs.ts';
import { KVM_EXIT_ARM64 } from '../../../testing/tracepoint-formats.ts';

const PREFIX = 'kvm_telemetry_7_';
const SETS: readonly (readonly [string, TraceSet])[] = Object.entries(TRACE_SETS);
const EVENTS = `${capturedHost('linux-nvme-vhost', 't1').roots.tracefs}/instances/x/events`;

/** Triggers of the captured host, by event, as its kernel printed them. */
const CAPTURED: readonly (readonly [string, string])[] = readdirSync(EVENTS, {
  recursive: true,
  encoding: 'utf8',
})
  .filter((path) => path.endsWith('/trigger'))
  .flatMap((path) =>
    captured(`sys/kernel/tracing/instances/x/events/${path}`, 'linux-nvme-vhost', 't1')
      .split('\n')
      .filter((line) => line.startsWith('hist:'))
      .map((line) => [dirname(path), line.replace(' [active]', '')] as const),
  );

function textOf(trigger: Trigger, isa: Isa = 'svm', followed: readonly number[] = []) {
  return triggerText(trigger, { syntheticPrefix: PREFIX, isa, size: trigger.size, followed });
}

function triggerOn(event: string, keys: string): Trigger {
  const found = SETS.flatMap(([, { triggers }]) => triggers).filter(
    (each) => each.event === event && each.keys.join() === keys,
  );
  assert.equal(found.length, 1, `${event} ${keys}`);
  return found[0] as Trigger;
}

/** Writes a set's triggers, and gives them as the kernel would print them. */
async function printed(
  { tree, writer, allTriggers }: SimulatedTracefs,
  set: TraceSet,
  isa: Isa,
): Promise<string[]> {
  const root = tree.host.roots.tracefs;
  for (const [name, fields] of Object.entries(set.synthetic ?? {})) {
    await writer.append(`${root}/synthetic_events`, `${PREFIX}${name} ${fields}`);
  }
  for (const trigger of set.triggers.filter(({ x86 }) => isa !== 'arm64' || x86 !== true)) {
    const event = trigger.event.replace('@', PREFIX);
    await writer.append(
      `${root}/instances/kvm-telemetry-7/events/${event}/trigger`,
      textOf(trigger, isa, [1, 2]).line,
    );
  }
  return allTriggers();
}

test('the simulated tracefs prints triggers as the captured kernel did', async (context) => {
  const formats = [...new Set(CAPTURED.map(([event]) => event))].filter(
    (event) => !/^synthetic|kvm_msr|_irq$|apic/.test(event),
  );
  const tracefs = simulatedTracefs(context);
  await tracefs.writer.makeDirectory(`${tracefs.host.roots.tracefs}/instances/kvm-telemetry-7`);
  const write = (path: string, line: string) =>
    tracefs.writer.append(`${tracefs.host.roots.tracefs}/${path}`, line);
  for (const fields of [
    'exit_lat pid_t pid; unsigned int reason; u64 lat',
    'guest_lat pid_t pid; u64 lat',
    'inj_eoi pid_t pid; u32 vec; u64 lat',
  ])
    await write('synthetic_events', `kvm_${fields}`);
  const plain = CAPTURED.filter(([event, line]) => formats.includes(event) && !/:sort=lat/.test(line));
  assert.ok(plain.length > 15, `${plain.length}`);
  const inOrder = [...plain].sort(
    (a, b) => Number(a[1].includes('onmatch')) - Number(b[1].includes('onmatch')),
  );
  for (const [event, line] of inOrder) await write(`instances/kvm-telemetry-7/events/${event}/trigger`, line);
  assert.deepEqual(tracefs.allTriggers().sort(), plain.map(([event, line]) => `${event} ${line}`).sort());
});

test('the simulated tracefs accepts every set, and prints the triggers as the captured kernel did', async (context) => {
  const kernels = CAPTURED.map(([event, line]) => `${event} ${line}`);
  for (const [name, set] of SETS) {
    for (const formats of ['6.1', '6.18'] as const) {
      const tracefs = simulatedTracefs(context, { formats });
      await tracefs.writer.makeDirectory(`${tracefs.host.roots.tracefs}/instances/kvm-telemetry-7`);
      const lines = await printed(tracefs, set, formats === '6.1' ? 'svm' : 'vmx');
      assert.equal(lines.length, set.triggers.length, name);
      if (name === 'exits') assert.ok(kernels.includes(lines[0] ?? ''), lines[0]);
      if (name === 'notifications') assert.ok(kernels.includes(lines[0] ?? ''), lines[0]);
    }
  }
});

test('latency triggers differ from the captured ones only in names', () => {
  const named = (line: string | undefined) =>
    line
      ?.replace(/\bts0\b/g, 't0')
      .replace('kvm_exit_lat', `${PREFIX}exit`)
      .replace(/:vals=hitcount|:sort=hitcount|:clock=global/g, '');
  const theirs = (event: string, part: string) =>
    named(CAPTURED.find(([of, line]) => of === event && line.includes(part))?.[1]);
  assert.equal(textOf(triggerOn('kvm/kvm_exit', 'common_pid')).line, theirs('kvm/kvm_exit', 'ts0='));
  assert.equal(textOf(triggerOn('kvm/kvm_entry', 'common_pid')).line, theirs('kvm/kvm_entry', '$ts0'));
  assert.equal(
    textOf(triggerOn('kvm/kvm_msi_set_irq', 'common_pid,address.hex,data.hex')).line.replace('8192', '4096'),
    theirs('kvm/kvm_msi_set_irq', 'address.hex'),
  );
});

test('value, filter and synthetic event have the kernel’s order', () => {
  assert.equal(
    textOf(triggerOn('kvm/kvm_userspace_exit', 'common_pid')).line,
    `hist:keys=common_pid:lat=common_timestamp-$t0:size=4096:onmatch(kvm.kvm_mmio).trace(${PREFIX}mmio,$p0,$y0,$g0,$lat) if reason == 6`,
  );
  assert.deepEqual(textOf(triggerOn('synthetic/@exit', 'pid,reason,lat.log2')), {
    event: `synthetic/${PREFIX}exit`,
    line: 'hist:keys=pid,reason,lat.log2:vals=hitcount,lat:size=16384',
    fields: ['pid', 'reason', 'lat'],
  });
});

test('on arm64 a reason has two fields, and its duration has the class', async (context) => {
  const arm = (event: string, keys: string) => textOf(triggerOn(event, keys), 'arm64');
  assert.deepEqual(arm('kvm/kvm_exit', 'common_pid,exit_reason'), {
    event: 'kvm/kvm_exit',
    line: 'hist:keys=common_pid,ret,esr_ec:size=16384',
    fields: ['ret', 'esr_ec'],
  });
  assert.match(arm('kvm/kvm_exit', 'common_pid').line, /:t0=common_timestamp,r0=esr_ec,p0=common_pid:/);
  const lines: string[] = [];
  for (const [, set] of SETS) {
    const tracefs = simulatedTracefs(context, {
      events: {
        'kvm/kvm_exit': KVM_EXIT_ARM64,
        ...Object.fromEntries(
          ['kvm_fast_mmio', 'kvm_pio', 'kvm_msi_set_irq', 'kvm_inj_virq', 'kvm_eoi', 'kvm_pv_eoi'].map(
            (event) => [`kvm/${event}`, undefined],
          ),
        ),
      },
    });
    await tracefs.writer.makeDirectory(`${tracefs.host.roots.tracefs}/instances/kvm-telemetry-7`);
    lines.push(...(await printed(tracefs, set, 'arm64')));
  }
  assert.ok(
    lines.includes('kvm/kvm_exit hist:keys=common_pid,ret,esr_ec:vals=hitcount:sort=hitcount:size=16384'),
  );
  assert.ok(!lines.some((line) => /exit_reason|kvm_pio|fast_mmio/.test(line)));
});

test('the filter of a trigger for VM threads has one term per thread', () => {
  const migrations = triggerOn('sched/sched_migrate_task', 'pid');
  assert.equal(
    textOf(migrations, 'vmx', [11, 12, 4_194_303]).line,
    'hist:keys=pid:size=1024 if pid == 11 || pid == 12 || pid == 4194303',
  );
  assert.match(textOf(triggerOn('sched/sched_switch', 'prev_pid'), 'vmx', [11]).line, / if prev_pid == 11$/);
  assert.equal(
    textOf(triggerOn('kvm/kvm_exit', 'common_pid,exit_reason'), 'vmx', [11]).line,
    'hist:keys=common_pid,exit_reason:size=16384',
  );
});

test('a filter for 128 threads fits into one page', () => {
  const tids = Array.from({ length: 128 }, (_, i) => 4_194_303 - i);
  assert.ok(textOf(triggerOn('sched/sched_switch', 'prev_pid'), 'vmx', tids).line.length < 4096);
});

test('the sets satisfy the program’s assumptions', () => {
  assert.deepEqual(TRACE_SET_NAMES, Object.keys(TRACE_SETS));
  assert.ok(DEFAULT_TRACE_SETS.every((name) => TRACE_SET_NAMES.includes(name)));
  const all = SETS.flatMap(([, { triggers }]) => triggers);
  const places = all.map(
    ({ event, keys }) => `${event} ${keys.map((key) => key.replace(/\..*/, '')).join()}`,
  );
  assert.deepEqual(
    places.filter((place, i) => places.indexOf(place) !== i),
    [],
    'blocks are distinguished by event and keys',
  );
  const tallies = all.flatMap(({ tally }) => tally ?? []);
  assert.equal(new Set(tallies).size, tallies.length, 'a tally is of one trigger');
  for (const { keys, size, event, tally } of all) {
    assert.ok(Number.isInteger(Math.log2(size)) && size >= 128 && size <= 131_072, event);
    if (tally !== undefined) assert.match(keys[0] ?? '', /pid$/, event);
  }
});

test('a 4-byte write is a kick only at the notify register of a virtio-mmio device', () => {
  const filter = MMIO_NOTIFY.replaceAll(/gpa & (16|64)\b/g, '(gpa & $1) !== 0');
  const passes = new Function('len', 'gpa', `return ${filter}`) as (len: number, gpa: number) => boolean;
  // QEMU's microvm, Firecracker on x86 and arm64, QEMU's virt and kvmtool: first and later devices.
  for (const base of [
    0xfeb0_0000, 0xfeb0_0200, 0xd000_0000, 0xd000_1000, 0x4000_0000, 0x0a00_3e00, 0x100_0200,
  ]) {
    for (let offset = 0; offset < 0x200; offset += 4) {
      assert.equal(passes(4, base + offset), offset === 0x50, `0x${(base + offset).toString(16)}`);
    }
    assert.equal(passes(2, base + 0x50), false);
    assert.equal(isKick({ event: 'kvm_mmio', address: base + 0x50 }), true);
  }
  const writes = TRACE_SETS.notifications.triggers.find(({ tally }) => tally === 'mmioWrites');
  assert.equal(writes?.filter, `type == 2 && (len == 2 || ${MMIO_NOTIFY})`);
});
