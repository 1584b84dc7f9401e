import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { SimulatedHost } from '../../lab/simhost/host.ts';
import { repliesOf } from '../../lab/simhost/qmp/replies.ts';
import { responseTo } from '../../lab/simhost/qmp/server.ts';
import { nvmes } from '../../lab/simhost/scenarios/scenario.ts';
import { WOBBLE } from '../../lab/simhost/thread.ts';
import type { SimVm } from '../../lab/simhost/vm.ts';
import { simulatedRoot, steps } from '../../testing/simulated.ts';

/**
 * Invariants that hold on every Linux host also hold for the files of the simulated host. The test reads them with awk
 * and plain regular expressions, so that it depends on no parser of the exporter and no counter of the model.
 */
const SECONDS = 60;
const TICKS = 100;

/** Words of the lines that awk prints. */
function awk(program: string, ...files: string[]): string[][] {
  const text = execFileSync('awk', [program, ...files], { encoding: 'utf8' });
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(' '));
}

/** The reply of a VM's monitor, as a client reads it. */
function reply(vm: SimVm, execute: string, args = {}): unknown {
  const response = responseTo(repliesOf(vm), { execute, arguments: args });
  return (JSON.parse(JSON.stringify(response)) as { return: unknown }).return;
}

const numbers = (rows: readonly string[][]): Map<string, number[]> =>
  new Map(rows.map(([name = '', ...values]) => [name, values.map(Number)]));

/** The difference of two readings of the same counters. */
function grown(a: ReadonlyMap<string, number[]>, b: ReadonlyMap<string, number[]>): Map<string, number[]> {
  return new Map(
    [...b].map(([key, values]) => [key, values.map((value, i) => value - (a.get(key)?.[i] ?? 0))]),
  );
}

const sum = (values: Iterable<number>): number => [...values].reduce((all, value) => all + value, 0);

function near(actual: number, expected: number, tolerance: number, floor: number, what: string): void {
  const most = Math.max(Math.abs(expected) * tolerance, floor);
  assert.ok(Math.abs(actual - expected) <= most, `${what}: ${actual} for ${expected}`);
}

interface Reading {
  /** user nice system idle guest, by CPU; ticks. */
  readonly stat: Map<string, number[]>;
  readonly intr: number;
  readonly ctxt: number;
  /** Run and wait time in nanoseconds, and slices. */
  readonly schedstat: Map<string, number[]>;
  readonly uptime: number[];
  /** The seventeen counters by disk. */
  readonly diskstats: Map<string, number[]>;
  /** By `nvme0q1`: the count of each CPU. */
  readonly interrupts: Map<string, number[]>;
  readonly tasks: Map<string, Task>;
}

interface Task {
  readonly utime: number;
  readonly stime: number;
  readonly guest: number;
  readonly cpu: number;
  readonly allowed: string;
  readonly switches: number;
  readonly run: number;
  readonly wait: number;
  readonly slices: number;
  readonly sumExec: number;
  readonly nrSwitches: number;
  readonly migrations: number;
}

function read(root: string): Reading {
  const proc = `${root}/proc`;
  const one = (program: string, file: string): number => Number(awk(program, `${proc}/${file}`)[0]?.[0]);
  const tasks = new Map<string, Task>();
  for (const pid of readdirSync(proc).filter((name) => /^\d{7}$/.test(name)))
    for (const tid of readdirSync(`${proc}/${pid}/task`))
      tasks.set(`${pid} ${tid}`, taskOf(`${proc}/${pid}/task/${tid}`));
  return {
    stat: numbers(awk('/^cpu/ {print $1, $2, $3, $4, $5, $10}', `${proc}/stat`)),
    intr: one('/^intr/ {print $2}', 'stat'),
    ctxt: one('/^ctxt/ {print $2}', 'stat'),
    schedstat: numbers(awk('/^cpu/ {print $1, $8, $9, $10}', `${proc}/schedstat`)),
    uptime: (awk('{print $1, $2}', `${proc}/uptime`)[0] ?? []).map(Number),
    diskstats: numbers(
      awk('{line = $3; for (i = 4; i <= NF; i++) line = line " " $i; print line}', `${proc}/diskstats`),
    ),
    interrupts: numbers(
      awk(
        '/q[0-9]+$/ {line = $NF; for (i = 2; i <= NF - 3; i++) line = line " " $i; print line}',
        `${proc}/interrupts`,
      ),
    ),
    tasks,
  };
}

function taskOf(folder: string): Task {
  const text = (name: string): string => readFileSync(`${folder}/${name}`, 'latin1');
  const stat = (/\) (.*)$/s.exec(text('stat'))?.[1] ?? '').trim().split(' ');
  const of = (name: string, file: string): string =>
    new RegExp(`^${name}\\s*:\\s*(\\S+)`, 'm').exec(text(file))?.[1] ?? '';
  const [run = 0, wait = 0, slices = 0] = text('schedstat').trim().split(' ').map(Number);
  return {
    // proc(5): the state is field 3.
    utime: Number(stat[11]),
    stime: Number(stat[12]),
    guest: Number(stat[40]),
    cpu: Number(stat[36]),
    allowed: of('Cpus_allowed_list', 'status'),
    switches:
      Number(of('voluntary_ctxt_switches', 'status')) + Number(of('nonvoluntary_ctxt_switches', 'status')),
    run,
    wait,
    slices,
    sumExec: Number(of('se.sum_exec_runtime', 'sched')),
    nrSwitches: Number(of('nr_switches', 'sched')),
    migrations: Number(of('se.nr_migrations', 'sched')),
  };
}

function isIn(cpu: number, list: string): boolean {
  return list.split(',').some((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return cpu >= from && cpu <= to;
  });
}

describe('the files of a simulated host agree with each other', () => {
  let root: string;
  let host: SimulatedHost;
  let first: Reading;
  let last: Reading;

  const ends: (() => unknown)[] = [];
  after(() => ends.forEach((end) => void end()));
  before(() => {
    root = simulatedRoot({ after: (end: () => unknown) => ends.push(end) } as never);
    host = new SimulatedHost({
      seed: 5,
      cpus: 64,
      disks: [...nvmes(3), { name: 'sda', kind: 'sata', node: 0, hardwareQueues: 1 }],
      vms: [
        { name: 'fast', configuration: 'pinned_queues', disks: ['nvme0n1'], writes: 0.3 },
        {
          name: 'old',
          configuration: 'original',
          disks: ['nvme1n1'],
          iops: 20_000,
          vhostNet: true,
          sqpoll: true,
        },
        {
          name: 'calm',
          configuration: 'affinity',
          disks: ['nvme2n1'],
          iops: 800,
          writes: 0.5,
          libvirt: true,
        },
        { name: 'disk', configuration: 'sata_polling_saving', disks: ['sda'], writes: 0.1, vcpus: 2 },
      ],
    });
    host.writeTo(root);
    steps(host, 10);
    first = read(root);
    steps(host, SECONDS / 2);
    // A step of another length must change all counters in proportion.
    for (let half = 0; half < SECONDS; half++) host.step(0.5);
    last = read(root);
    host.close();
  });

  it('busy and idle time of each CPU add up to the elapsed time', () => {
    const cpus = [...grown(first.stat, last.stat)];
    assert.equal(cpus.length, 65);
    for (const [cpu, [user = 0, nice = 0, system = 0, idle = 0, guest = 0]] of cpus) {
      const seconds = cpu === 'cpu' ? SECONDS * 64 : SECONDS;
      near(user + nice + system + idle, seconds * TICKS, 0, 4, cpu);
      assert.ok(guest <= user + 1, cpu);
      const run = grown(first.schedstat, last.schedstat).get(cpu)?.[0];
      if (run !== undefined) near(user + system, run / 1e7, 0, 3, `${cpu} in schedstat`);
    }
    // proc(5): the guest's time is in user, and only vCPUs have any.
    const guest = sum([...last.tasks].map(([tid, task]) => task.guest - (first.tasks.get(tid)?.guest ?? 0)));
    near(cpus.find(([cpu]) => cpu === 'cpu')?.[1][4] ?? 0, guest, 0.001, last.tasks.size, 'guest');
    const idle = (cpus.find(([cpu]) => cpu === 'cpu')?.[1][3] ?? 0) / TICKS;
    const [up = 0, idleSeconds = 0] = last.uptime.map((value, i) => value - (first.uptime[i] ?? 0));
    near(up, SECONDS, 0, 0.001, 'uptime');
    near(idleSeconds, idle, 0, 0.05, 'idle time in uptime');
  });

  it('CPUs and threads agree on run time, waits and switches', () => {
    const cpus = [...grown(first.schedstat, last.schedstat).values()];
    const of = (key: 'run' | 'wait' | 'slices'): number =>
      sum([...last.tasks].map(([tid, task]) => task[key] - (first.tasks.get(tid)?.[key] ?? 0)));
    near(sum(cpus.map(([run = 0]) => run)), of('run'), 1e-9, 0, 'run');
    near(sum(cpus.map(([, wait = 0]) => wait)), of('wait'), 1e-9, 0, 'wait');
    near(sum(cpus.map(([, , slices = 0]) => slices)), of('slices'), 0, 0, 'slices');
    near(last.ctxt - first.ctxt, of('slices'), 0, 0, 'ctxt');
    assert.ok(of('run') > SECONDS * 1e9 && of('wait') > 0);
  });

  it('all files of a thread agree, and no thread runs too long or on a forbidden CPU', () => {
    for (const [tid, task] of last.tasks) {
      const { utime, stime, guest, run, wait, allowed, cpu } = task;
      near(utime + stime, run / 1e7, 0, 3, `ticks of ${tid}`);
      // utime is exact, and the guest's time sampled.
      assert.ok(guest <= utime + WOBBLE, tid);
      near(task.sumExec * 1e6, run, 1e-9, 1, `sum_exec_runtime of ${tid}`);
      assert.equal(task.nrSwitches, task.switches, tid);
      assert.equal(task.slices, task.switches, tid);
      assert.ok(isIn(cpu, allowed), `${tid}: ${cpu} of ${allowed}`);
      const earlier = first.tasks.get(tid);
      assert.ok(run - (earlier?.run ?? 0) <= SECONDS * 1e9 + 1, tid);
      assert.ok(wait - (earlier?.wait ?? 0) <= SECONDS * 1e9, tid);
      if (/^\d+$/.test(allowed)) assert.equal(task.migrations, earlier?.migrations, `${tid} is pinned`);
    }
  });

  it('only vCPUs have guest time, and a process has the sum of its threads', () => {
    for (const { pid, vcpus, threads } of host.vms) {
      const vcpuTids = new Set(vcpus.map(({ thread }) => `${pid} ${thread.tid}`));
      for (const [tid, { guest }] of last.tasks) {
        if (tid.startsWith(`${pid} `)) assert.equal(guest > 0, vcpuTids.has(tid), tid);
      }
      const [, utime] = /\) (?:\S+ ){11}(\d+)/.exec(readFileSync(`${root}/proc/${pid}/stat`, 'latin1')) ?? [];
      const own = sum([...last.tasks].map(([tid, task]) => (tid.startsWith(`${pid} `) ? task.utime : 0)));
      near(Number(utime), own, 0, threads.length, `${pid}`);
    }
  });

  // Milliseconds of one operation: an XS1715 and an 845DC evo, as lab/simhost/calibration.ts has them.
  const MS = { nvme: { read: 0.09, write: 0.025, flush: 0.4 }, sda: { read: 0.25, write: 0.06, flush: 3 } };

  it("the time of a disk is the sum over its operations, and requests in flight follow Little's law", () => {
    for (const [name, counters] of grown(first.diskstats, last.diskstats)) {
      const ms = name === 'sda' ? MS.sda : MS.nvme;
      const [
        reads = 0,
        readsMerged,
        sectorsRead,
        readMs = 0,
        writes = 0,
        writesMerged,
        written,
        writeMs = 0,
      ] = counters;
      const [inflight = 0, busyMs = 0, weightedMs] = last.diskstats.get(name)?.slice(8, 11) ?? [];
      const [flushes = 0, flushMs = 0] = counters.slice(15);
      assert.equal(counters.length, 17);
      near(readMs, reads * ms.read, 0.001, 1.01, `${name} reads`);
      near(writeMs, writes * ms.write, 0.001, 1.01, `${name} writes`);
      near(flushMs, flushes * ms.flush, 0.001, ms.flush + 1.01, `${name} flushes`);
      assert.deepEqual([sectorsRead, written, readsMerged, writesMerged], [reads * 8, writes * 8, 0, 0]);
      assert.equal(weightedMs, sum([3, 7, 16].map((i) => last.diskstats.get(name)?.[i] ?? 0)));
      const load = (readMs + writeMs + flushMs) / (SECONDS * 1000);
      near(inflight, load, 0.05, 1.5, `${name} in flight`);
      near(
        busyMs - (first.diskstats.get(name)?.[9] ?? 0),
        Math.min(1, load) * SECONDS * 1000,
        0.01,
        2,
        `${name} busy`,
      );
      const text = (file: string): number[] =>
        readFileSync(`${root}/sys/block/${name}/${file}`, 'latin1').trim().split(/\s+/).map(Number);
      assert.deepEqual(text('stat'), last.diskstats.get(name));
      assert.equal(sum(text('inflight')), inflight);
      // Reads are first; a flush is no read.
      near(text('inflight')[0] ?? 0, readMs / (SECONDS * 1000), 0.05, 1.5, `${name} reads in flight`);
      assert.ok(reads > 0 && (name === 'nvme1n1' ? writes === 0 : writes > 0 && flushes > 0), name);
    }
  });

  it('an NVMe disk interrupts once per request, on the CPU in /proc/irq', () => {
    const counts = grown(first.interrupts, last.interrupts);
    let all = 0;
    for (const [disk, counters] of grown(first.diskstats, last.diskstats)) {
      if (disk === 'sda') continue;
      const queues = [...counts].filter(([name]) => name.startsWith(disk.replace(/n1$/, 'q')));
      const total = sum(queues.flatMap(([, cpus]) => cpus));
      near(total, (counters[0] ?? 0) + (counters[4] ?? 0), 0.0001, 64, disk);
      all += total;
    }
    const sda = grown(first.diskstats, last.diskstats).get('sda') ?? [];
    near(last.intr - first.intr, all + (sda[0] ?? 0) + (sda[4] ?? 0), 0.001, 64, 'intr');
    for (const line of readFileSync(`${root}/proc/interrupts`, 'latin1').split('\n')) {
      const [, irq, columns] = /^\s*(\d+):((?:\s+\d+)+) /.exec(line) ?? [];
      if (irq === undefined || columns === undefined) continue;
      const on = columns
        .trim()
        .split(/\s+/)
        .flatMap((count, cpu) => (count === '0' ? [] : [cpu]));
      const list = readFileSync(`${root}/proc/irq/${irq}/effective_affinity_list`, 'latin1').trim();
      for (const cpu of on) assert.equal(String(cpu), list, irq);
    }
  });

  it("QEMU and the host's disks agree, and a guest has at most as many requests in flight as processes", () => {
    for (const vm of host.vms) {
      const [stats] = reply(vm, 'query-blockstats') as {
        stats: Record<string, number>;
      }[];
      const of = (name: string): number => stats?.stats[name] ?? Number.NaN;
      const device = last.diskstats.get(vm.disks[0]?.host.spec.name ?? '') ?? [];
      for (const [kind, place, name] of [
        ['rd', 0, 'read'],
        ['wr', 4, 'write'],
        ['flush', 15, 'flush'],
      ] as const) {
        assert.equal(of(`${kind}_operations`), device[place], `${vm.name} ${kind}`);
        if (kind !== 'flush') assert.equal(of(`${kind}_bytes`), of(`${kind}_operations`) * 4096);
        const ms = MS[device === last.diskstats.get('sda') ? 'sda' : 'nvme'][name];
        // In QEMU it takes at least as long as in the device.
        if (of(`${kind}_operations`) > 0)
          assert.ok(
            of(`${kind}_total_time_ns`) / of(`${kind}_operations`) >= ms * 1e6 * 0.999,
            `${vm.name} ${kind}`,
          );
      }
      const underWay = (of('rd_total_time_ns') + of('wr_total_time_ns')) / ((SECONDS + 10) * 1e9);
      assert.ok(underWay > 0 && underWay < 128 * 1.03, `${vm.name}: ${underWay}`);
      // All of fio's 128 processes have an I/O in flight if nothing else limits the guest.
      if (vm.name === 'fast') near(underWay, 128, 0.05, 0, vm.name);
    }
  });

  it('KVM counts an exit per reason, and the exits of an I/O match the configuration', () => {
    for (const vm of host.vms) {
      const folder = `${root}/sys/kernel/debug/kvm/${vm.pid}-16`;
      const file = (name: string): number => Number(readFileSync(`${folder}/${name}`, 'latin1'));
      const vcpus = reply(vm, 'query-stats', { target: 'vcpu' }) as {
        stats: { name: string; value: number }[];
      }[];
      const total = (name: string): number =>
        sum(vcpus.map(({ stats }) => stats.find((each) => each.name === name)?.value ?? Number.NaN));
      for (const name of ['exits', 'halt_exits', 'irq_exits', 'halt_poll_fail_ns', 'halt_attempted_poll'])
        assert.equal(file(name), total(name), `${vm.name} ${name}`);
      assert.ok(file('halt_successful_poll') <= file('halt_attempted_poll'));
      assert.ok(file('halt_attempted_poll') <= file('halt_exits'));
      assert.equal(file('halt_wakeup'), file('halt_exits') - file('halt_successful_poll'));
      // kvm.halt_poll_ns.
      const failed = file('halt_attempted_poll') - file('halt_successful_poll');
      assert.ok(file('halt_poll_fail_ns') <= failed * 200_000 && file('halt_poll_fail_ns') > 0);
      // A halted vCPU does not run.
      const ran = sum(vm.vcpus.map(({ thread }) => last.tasks.get(`${vm.pid} ${thread.tid}`)?.run ?? 0));
      const halted = file('halt_wait_ns') / vm.vcpus.length;
      assert.ok(halted + ran / vm.vcpus.length <= (SECONDS + 10) * 1e9 * 1.01, `${vm.name}: ${halted}`);
      const device = last.diskstats.get(vm.disks[0]?.host.spec.name ?? '') ?? [];
      const ios = (device[0] ?? 0) + (device[4] ?? 0);
      // 2.3.2: a kick, an injection and an EOI without polling; almost none with it.
      const least = { old: 3, calm: 3, fast: 0.03, disk: 0.11 }[vm.name] ?? Number.NaN;
      const explained = ios * least;
      const rest = file('exits') - explained;
      assert.ok(
        rest > 0 && rest < vm.vcpus.length * 70 * 6000 + explained,
        `${vm.name}: ${rest} of ${file('exits')}`,
      );
    }
  });

  it('no counter falls during any event', (context) => {
    const folder = simulatedRoot(context);
    const troubled = new SimulatedHost({
      seed: 6,
      cpus: 64,
      disks: nvmes(2),
      vms: [
        { name: 'a', configuration: 'exitless_polling', disks: ['nvme0n1'], writes: 0.2 },
        { name: 'b', configuration: 'affinity', disks: ['nvme1n1'], iops: 3000 },
      ],
    });
    troubled.writeTo(folder);
    const events = [
      () => troubled.faults.exitStorm('a', 100_000),
      () => troubled.faults.drift('a', 'shared_cpu'),
      () => troubled.faults.stallDisk('nvme1n1', true),
      () => troubled.faults.wasteHaltPolls('b', true),
      () => troubled.faults.hog('b', 3),
      () => troubled.faults.slowDisk('nvme0n1', 30),
      () => troubled.faults.losePolling('a', true),
      () => troubled.load('b', 100),
      () => troubled.faults.restore('a'),
    ];
    let before = counters(folder);
    for (const happen of events) {
      steps(troubled, 3);
      happen();
      const now = counters(folder);
      for (const [name, value] of before)
        assert.ok((now.get(name) ?? 0) >= value, `${name}: ${value}, ${now.get(name)}`);
      before = now;
    }
    troubled.close();
  });
});

function counters(root: string): Map<string, number> {
  const { stat, schedstat, diskstats, interrupts, tasks, intr, ctxt } = read(root);
  const all = new Map<string, number>([
    ['intr', intr],
    ['ctxt', ctxt],
  ]);
  // In flight is no counter.
  for (const [kind, rows] of Object.entries({ stat, schedstat, diskstats, interrupts }))
    for (const [name, values] of rows)
      for (const [i, value] of values.entries())
        if (kind !== 'diskstats' || i !== 8) all.set(`${kind} ${name} ${i}`, value);
  for (const [tid, task] of tasks)
    for (const [name, value] of Object.entries(task))
      if (name !== 'cpu' && name !== 'allowed') all.set(`${tid} ${name}`, value as number);
  return all;
}
