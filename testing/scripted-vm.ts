import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Phases } from '../exporter/assessment/stage/phases.ts';
import { StageWatch } from '../exporter/assessment/stage/watch.ts';
import { TechniqueRecords } from '../exporter/assessment/technique/records.ts';
import { TechniqueWatch } from '../exporter/assessment/technique/watch.ts';
import type { VmAffinity } from '../exporter/model/affinity-reading.ts';
import type { ObservedThread, ObservedVm } from '../exporter/model/observed.ts';
import type { VmStage } from '../exporter/model/stage-reading.ts';
import { changeInWords } from '../exporter/model/technique-in-words.ts';
import type { Vm } from '../exporter/model/vm.ts';
import type { Storage } from '../exporter/model/vm-statistics.ts';
import type { KickCount, VmTrace } from '../exporter/model/vm-trace.ts';
import type { Facts } from '../exporter/sources/qmp/facts.ts';
import type { QemuDevices } from '../probes/qemu-devices.ts';
import type { CpuTopology } from '../probes/sys-cpu.ts';
import { vmOf } from './affinity-host.ts';
import { drifts, vmOf as observedVm, thread, topologyOf } from './observed-vms.ts';
import { NOTHING_TRACED } from './vm-trace.ts';

/** Seconds between two judgements. */
export const ROUND = 10;
const VCPUS = 4;
const CPUS = 128;
const ALL = Array.from({ length: CPUS }, (_, cpu) => cpu);
/** Notify addresses of the disk's and the network device's queues. */
const DISK = 0xfe00_3000;
const NET = 0xfe00_7000;
const LEGACY_PORT = 0xc010;

/** A situation: the configuration of a VM and its work per second. */
export interface Situation {
  /** CPUs of each thread: pinned to one, or all. */
  pins: 'all' | 'none' | 'vcpus' | 'vcpu0 lost' | 'io on vcpus' | 'io on other node' | 'moved';
  /** Nodes of the host. */
  nodes: 1 | 2;
  /** Whether CPUs 64-127 are isolated and the threads have the mask that the host's first process has. */
  isolated: boolean;
  cgroup: 'known' | 'hidden';
  pollMaxNs: number;
  sqpoll: boolean;
  /** IOThreads that serve the disk. */
  iothreads: number;
  queues: number;
  uses: 'own' | 'robin' | 'one queue' | 'one vcpu';
  iops: number;
  kicksPerIo: number;
  interruptsPerIo: number;
  /** Exits to user space per I/O. */
  deviceExitsPerIo: number;
  /** Kicks and interrupts a second of a network device; undefined: there is none. */
  network: number | undefined;
  /** `with vfio`: beside the disk, a device that is no disk is passed through. */
  disk: 'virtio' | 'legacy' | 'vhost-user' | 'vfio' | 'with vfio';
  /** `silent`: it no longer answers. `none`: the VM has no monitor, and libvirt reports the I/Os. */
  monitor: 'answers' | 'silent' | 'none';
  /** The source of the I/Os if the VMM does not count them: requests of the host's disks, or none. */
  requests: boolean;
  trace: 'tracefs' | 'perf' | 'none';
  confidentialBy: 'none' | 'command line' | 'kernel';
  /** Whether the configuration is known: QEMU's command line. */
  commandLine: boolean;
  phase: string | undefined;
}

/** Stock QEMU without any of the techniques, busy. */
const ORIGINAL: Situation = {
  pins: 'none',
  nodes: 1,
  isolated: false,
  cgroup: 'known',
  pollMaxNs: 0,
  sqpoll: false,
  iothreads: 1,
  queues: 1,
  uses: 'robin',
  iops: 20_000,
  kicksPerIo: 1,
  interruptsPerIo: 1,
  deviceExitsPerIo: 0,
  network: undefined,
  disk: 'virtio',
  monitor: 'answers',
  requests: false,
  trace: 'tracefs',
  confidentialBy: 'none',
  commandLine: true,
  phase: undefined,
};

/** One VM whose facts and counters follow a situation. */
export function scriptedVm(context: Pick<TestContext, 'after'>, first: Partial<Situation> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'kt-verdicts-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const quiet = { info: () => undefined, warn: () => undefined };
  const now: Situation = { ...ORIGINAL, ...first };
  const counts = { at: 0, ios: 0, requests: 0, kicks: 0, interrupts: 0, deviceExits: 0 };
  const queues = new Map<string, KickCount>();
  const changes: string[] = [];
  let acceptedAt: number | undefined;
  /** The last answer of its monitor or of libvirt. */
  let answered = { at: 0, storage: storageOf(now) };
  let vm: Vm = vmOf({ label: 'web' });
  let watch = start();

  function start(): StageWatch {
    const records = new TechniqueRecords(folder, 'boot', quiet, true);
    return new StageWatch({
      phases: new Phases(folder, quiet),
      techniques: new TechniqueWatch({
        records,
        epochMs: () => counts.at * 1000,
        acceptedAt: () => acceptedAt,
        onChange: (_, verdict, from) =>
          void changes.push(`${verdict.technique}: ${changeInWords(verdict, from)}`),
      }),
      vms: () => [{ ...vm, devices: devicesOf(now), ...signsOf(now) }],
      topology: () => topology(now),
      affinity: () => ({ of: () => affinityOf(now), problems: [] }),
      lastOf: () => ({
        statistics: answered.storage,
        ageMs: (counts.at - answered.at) * 1000,
        facts: factsOf(now),
        kernel: { vm: new Map(), confidential: now.confidentialBy === 'kernel' ? 'sev_es' : undefined },
      }),
      onPhase: () => undefined,
    });
  }

  /** Moves on by one round. */
  async function step(seconds = ROUND): Promise<VmStage> {
    count(seconds);
    const { trace } = now;
    if (now.monitor !== 'silent') answered = { at: counts.at, storage: storageOf(now) };
    const isCounted = trace !== 'none';
    const ios = now.monitor === 'silent' || isElsewhere(now) || now.requests ? undefined : counts.ios;
    const moment = { trace: isCounted ? traceOf() : undefined, ios: isCounted ? ios : undefined, skewMs: 2 };
    await watch.judge(new Map([[vm.key, { ...moment, at: counts.at * 1000 }]]));
    const reading = watch.of(vm);
    if (reading === undefined) throw new Error('not judged');
    return reading;
  }

  function count(seconds: number): void {
    const { iops, kicksPerIo, interruptsPerIo, deviceExitsPerIo, network = 0 } = now;
    const ios = iops * seconds;
    counts.at += seconds;
    counts.ios += ios;
    counts.requests += ios;
    counts.kicks += Math.round(ios * kicksPerIo) + network * seconds;
    counts.interrupts += Math.round(ios * interruptsPerIo) + network * seconds;
    counts.deviceExits += Math.round(ios * deviceExitsPerIo);
    for (const [queue, vcpu, share] of usesOf(now)) kick(DISK + 4 * queue, vcpu, ios * kicksPerIo * share);
    if (network > 0) kick(NET, 0, network * seconds);
  }

  function kick(address: number, vcpu: number, times: number): void {
    const isPort = now.disk === 'legacy' && address < NET;
    const event = isPort ? 'kvm_pio' : 'kvm_fast_mmio';
    const key = `${event} ${isPort ? LEGACY_PORT : address} ${vcpu}`;
    const before = queues.get(key)?.count ?? 0;
    const own = { event, address: isPort ? LEGACY_PORT : address, thread: `vcpu${vcpu}` } as const;
    queues.set(key, { ...own, count: before + Math.round(times) });
  }

  function traceOf(): VmTrace {
    const isPerf = now.trace === 'perf';
    return {
      ...NOTHING_TRACED,
      kickTotal: counts.kicks,
      kicks: isPerf ? undefined : [...queues.values()],
      deviceExits: counts.deviceExits,
      events: new Map(isPerf ? [] : [['kvm_msi_set_irq', counts.interrupts]]),
      blockRequests: now.requests ? new Map([[1, counts.requests]]) : undefined,
    };
  }

  return {
    now,
    changes,
    step,
    async declare(phase: string | undefined): Promise<void> {
      now.phase = phase;
      const phases = new Phases(folder, quiet);
      await (phase === undefined ? phases.clear('web') : phases.set('web', phase, new Date(0)));
    },
    /** The operator accepts what was lost. */
    accept(): void {
      acceptedAt = counts.at * 1000;
    },
    /** Lets time pass in which the daemon does not run. */
    away(seconds: number): void {
      count(seconds);
    },
    /** The daemon starts again. Its trace counts begin at 0. */
    restart(): void {
      Object.assign(counts, { kicks: 0, interrupts: 0, deviceExits: 0, requests: 0 });
      queues.clear();
      watch = start();
    },
    /** The VM starts again, or arrives by migration, as another process. */
    reborn(): void {
      Object.assign(counts, { ios: 0, kicks: 0, interrupts: 0, deviceExits: 0 });
      queues.clear();
      vm = vmOf({ label: 'web', pid: vm.pid + 1, key: `${vm.pid + 1}:1000` });
    },
  };
}

export type ScriptedVm = ReturnType<typeof scriptedVm>;

function topology({ nodes, isolated }: Situation): CpuTopology {
  const all = topologyOf(nodes, CPUS / nodes, 1);
  return { ...all, cpus: all.cpus.map((cpu) => ({ ...cpu, isolated: isolated && cpu.cpu >= CPUS / 2 })) };
}

function affinityOf(now: Situation): VmAffinity {
  const observed = observedOf(now);
  const found = drifts(topology(now), observed);
  return {
    observed,
    drifts: found,
    memoryLocal: undefined,
    completions: { cpu: undefined, node: undefined },
  };
}

function observedOf(now: Situation): ObservedVm {
  const { pins, isolated, cgroup, iothreads } = now;
  const usual = isolated ? ALL.slice(0, CPUS / 2) : ALL;
  const own = (label: string, cpu: number, isPinned: boolean): ObservedThread =>
    isPinned ? thread(label, [cpu], [cpu]) : thread(label, usual, usual, { migrationsPerSecond: 25 });
  const vcpus = Array.from({ length: VCPUS }, (_, i) => own(`vcpu${i}`, i + 1, pins !== 'none'));
  const io = Array.from({ length: iothreads }, (_, i) =>
    own(`iothread:io${i}`, VCPUS + i + 1, pins !== 'none' && pins !== 'vcpus'),
  );
  const changed: Partial<Record<Situation['pins'], [ObservedThread[], number, readonly number[]]>> = {
    'vcpu0 lost': [vcpus, 0, usual],
    moved: [vcpus, 0, [40]],
    'io on vcpus': [io, 0, [1]],
    'io on other node': [io, 0, [CPUS - 1]],
  };
  const [list, index, cpus] = changed[pins] ?? [];
  const before = list?.[index ?? 0];
  if (list !== undefined && before !== undefined && cpus !== undefined)
    list[index ?? 0] = thread(before.label, cpus, before.expectation?.cpus);
  const helpers = [
    thread('emulator', usual, usual),
    ...(now.sqpoll ? [own('sqpoll0', 30, pins === 'all')] : []),
  ];
  return observedVm([...vcpus, ...io, ...helpers], {
    unpinned: cgroup === 'hidden' ? 'unknown' : usual,
    memory: now.nodes === 1 ? undefined : new Map([[0, 2 ** 30]]),
  });
}

/** Whether QEMU does not count the I/Os of the disk. */
function isElsewhere({ disk }: Pick<Situation, 'disk'>): boolean {
  return disk === 'vhost-user' || disk === 'vfio';
}

function signsOf({ commandLine, confidentialBy, disk }: Situation): Partial<Vm> {
  const signs = new Set(disk === 'vhost-user' ? (['vhost_user'] as const) : []);
  const vfio = { vfio: 0x010802, 'with vfio': 0x020000 }[disk as string];
  return {
    confidential: confidentialBy === 'command line' ? 'tdx' : undefined,
    ioPath: commandLine ? { signs, nvmeAddresses: [], vdpaWithoutDisk: [], hasVfioDevice: false } : undefined,
    passthrough: {
      vfio: vfio === undefined ? [] : [{ address: '0000:01:00.0', pciClass: vfio }],
      vdpa: [],
      hasNvmeCharacterDevice: false,
      hasVhostScsi: false,
    },
  };
}

function devicesOf({
  commandLine,
  disk,
  network,
  queues,
  iothreads,
  pollMaxNs,
}: Situation): QemuDevices | undefined {
  if (!commandLine) return undefined;
  if (disk === 'vfio') return { storage: [], nets: [], iothreads: [] };
  const common = { id: 'vda', queues, packed: undefined, eventIdx: undefined, mapping: [], drives: [] };
  return {
    storage: [
      {
        ...common,
        kind: disk === 'vhost-user' ? 'vhost' : 'virtio-blk',
        iothread: iothreads > 0 ? 'io0' : undefined,
        drives: [{ node: 'd0', direct: true, aio: 'native' }],
      },
    ],
    nets: network === undefined ? [] : [{ id: 'net0', vhost: true }],
    iothreads: Array.from({ length: iothreads }, (_, i) => ({ id: `io${i}`, pollMaxNs })),
  };
}

function storageOf({ monitor, disk, queues, iothreads, pollMaxNs }: Situation): Storage | undefined {
  if (monitor === 'none' || isElsewhere({ disk })) return undefined;
  const served = Array.from({ length: Math.max(1, queues) }, (_, i) => `io${i % Math.max(1, iothreads)}`);
  const vda = { name: 'vda', queues, iothreads: iothreads === 0 ? [] : served };
  const parameters = {
    pollMaxSeconds: pollMaxNs / 1e9,
    pollGrow: 0,
    pollShrink: 0,
    pollWeight: undefined,
    aioMaxBatch: 0,
  };
  return {
    disks: [vda as unknown as Storage['disks'][number]],
    iothreads: Array.from({ length: iothreads }, (_, i) => ({ id: `io${i}`, ...parameters })),
  };
}

function factsOf({ monitor, network, disk }: Situation): Facts | undefined {
  if (monitor === 'none') return undefined;
  const region = (address: number, isPort = false) => ({ isPort, address, size: isPort ? 0x20 : 0x1000 });
  const vda = disk === 'legacy' ? region(LEGACY_PORT - 0x10, true) : region(DISK);
  const net = network === undefined ? [] : [{ name: 'net0', regions: [region(NET)] }];
  return {
    pci: [{ name: 'vda', regions: [vda] }, ...net],
    blocks: [],
    queues: new Map(),
  } as unknown as Facts;
}

/** Queue, vCPU, and the share of the kicks. */
function* usesOf({ uses, queues }: Situation): Iterable<[queue: number, vcpu: number, share: number]> {
  if (uses === 'one vcpu') yield [0, 0, 1];
  else
    for (let vcpu = 0; vcpu < VCPUS; vcpu++) {
      if (uses === 'own') yield [vcpu % queues, vcpu, 1 / VCPUS];
      else if (uses === 'one queue') yield [0, vcpu, 1 / VCPUS];
      else for (let queue = 0; queue < queues; queue++) yield [queue, vcpu, 1 / VCPUS / queues];
    }
}
