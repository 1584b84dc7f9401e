import type { HistBlock } from '../../probes/tracefs-hist.ts';
import type { Isa } from '../model/io-path.ts';

/** The tally to which a trigger's rows are added. */
export type TallyName =
  | 'exits'
  | 'exitDurations'
  | 'fastMmio'
  | 'mmio'
  | 'mmioWrites'
  | 'mmioInUserSpace'
  | 'pio'
  | 'pioWrites'
  | 'userspaceExits'
  | 'msi'
  | 'injections'
  | 'eois'
  | 'pvEois'
  | 'haltPoll'
  | 'migrations'
  | 'switches'
  | 'blockRequests'
  | 'blockDurations'
  | 'lockContention';

/**
 * A hist trigger. The first key is always the thread's id.
 *
 * @see https://docs.kernel.org/trace/histogram.html
 */
export interface Trigger {
  /** `system/event`; `synthetic/@x` is the set's own synthetic event x. */
  readonly event: string;
  /** With modifiers: `gpa.hex`. */
  readonly keys: readonly string[];
  /** Summed besides the hitcount. */
  readonly value?: string;
  readonly variables?: readonly string[];
  readonly action?: string;
  readonly filter?: string;
  /** Initial number of entries of its map: a power of two from 128 to 131072. */
  readonly size: number;
  /** undefined for a trigger that only feeds another. */
  readonly tally?: TallyName;
  /** Filter term for each followed thread, with the thread id for `%`: the trigger counts VM threads only. */
  readonly perThread?: string;
  /** The event whose trigger sets the variables that this one uses. */
  readonly after?: string;
  /** The event exists on x86 only. */
  readonly x86?: boolean;
  /** Its keys are used only once, so its map fills up. The trigger is created again every second. */
  readonly fills?: boolean;
}

/** Tracepoints that are enabled together. */
export interface TraceSet {
  /** What the set measures. */
  readonly help: string;
  /** How often its tracepoints fire, and what that costs: docs/performance.md has the measurements. */
  readonly cost: string;
  /** Fields of its synthetic events. */
  readonly synthetic?: Readonly<Record<string, string>>;
  readonly triggers: readonly Trigger[];
  /** The set counts only for the share trace.dutyCycle of the time. */
  readonly dutyCycled?: boolean;
}

/**
 * virtio-pci is notified with 16 bits at an address of the queue (VIRTIO 1.2, 4.1.5.2), virtio-mmio with 32
 * bits at offset 0x50 of the device's registers (4.2.2). These have 0x200 bytes or more, so the lowest nine
 * bits of the address are 0x50. The kernel's filters have no arithmetic, so the filter tests the bits one by
 * one.
 */
export const MMIO_NOTIFY = 'len == 4 && gpa & 16 && gpa & 64 && !(gpa & 431)';

const THREADS = 4096;
const FEW = 1024;

/**
 * Measures the time from one event to the next with the same keys. The first trigger stores the time stamp
 * and some fields. The second sends these fields and the time difference as a synthetic event.
 *
 * @param kept `p0=common_pid`
 * @param sends `@exit,$p0`: the synthetic event, and its fields before the time
 */
function interval(
  from: Pick<Trigger, 'event' | 'tally' | 'fills'>,
  to: Pick<Trigger, 'event' | 'filter'>,
  { keys, size, kept, sends }: Pick<Trigger, 'keys' | 'size'> & { kept: readonly string[]; sends: string },
): [Trigger, Trigger] {
  const match = from.event.replace('/', '.');
  return [
    { ...from, keys, size, variables: ['t0=common_timestamp', ...kept] },
    {
      ...to,
      keys,
      size,
      variables: ['lat=common_timestamp-$t0'],
      after: from.event,
      action: `onmatch(${match}).trace(${sends},$lat)`,
    },
  ];
}

export const TRACE_SETS = {
  exits: {
    help: 'VM exits by reason',
    cost: 'one map update an exit',
    triggers: [{ event: 'kvm/kvm_exit', keys: ['common_pid', 'exit_reason'], size: 16384, tally: 'exits' }],
  },
  notifications: {
    help: 'kicks by virtqueue and vCPU; MMIO and port I/O; exits to user space',
    cost: 'one map update a kick, two more where the CPU has no fast MMIO path (AMD before late 2025, arm64)',
    synthetic: { mmio: 'pid_t pid; u32 type; u64 gpa; u64 lat' },
    triggers: [
      {
        event: 'kvm/kvm_fast_mmio',
        x86: true,
        keys: ['common_pid', 'gpa.hex'],
        size: 4096,
        tally: 'fastMmio',
      },
      {
        event: 'kvm/kvm_mmio',
        keys: ['common_pid', 'gpa.hex'],
        filter: `type == 2 && (len == 2 || ${MMIO_NOTIFY})`,
        size: 4096,
        tally: 'mmioWrites',
      },
      ...interval(
        { event: 'kvm/kvm_mmio', tally: 'mmio' },
        // KVM_EXIT_MMIO: user space handled the preceding access, so it was not a kick.
        { event: 'kvm/kvm_userspace_exit', filter: 'reason == 6' },
        {
          keys: ['common_pid'],
          size: THREADS,
          kept: ['p0=common_pid', 'y0=type', 'g0=gpa'],
          sends: '@mmio,$p0,$y0,$g0',
        },
      ),
      {
        event: 'synthetic/@mmio',
        keys: ['pid', 'gpa.hex'],
        filter: 'type == 2',
        size: 4096,
        tally: 'mmioInUserSpace',
      },
      { event: 'kvm/kvm_pio', x86: true, keys: ['common_pid', 'rw'], size: THREADS, tally: 'pio' },
      {
        event: 'kvm/kvm_pio',
        x86: true,
        keys: ['common_pid', 'port.hex'],
        filter: 'rw == 1 && size == 2 && port & 16',
        size: 4096,
        tally: 'pioWrites',
      },
      {
        event: 'kvm/kvm_userspace_exit',
        keys: ['common_pid', 'reason'],
        size: THREADS,
        tally: 'userspaceExits',
      },
    ],
  },
  interrupts: {
    help: 'interrupts asked for by MSI, injected by software, and their EOIs',
    cost: 'one map update for each; none for what APICv or AVIC does in hardware',
    triggers: [
      {
        event: 'kvm/kvm_msi_set_irq',
        x86: true,
        keys: ['common_pid', 'address.hex', 'data.hex'],
        size: 8192,
        tally: 'msi',
      },
      { event: 'kvm/kvm_inj_virq', x86: true, keys: ['common_pid'], size: THREADS, tally: 'injections' },
      { event: 'kvm/kvm_eoi', x86: true, keys: ['common_pid'], size: THREADS, tally: 'eois' },
      { event: 'kvm/kvm_pv_eoi', x86: true, keys: ['common_pid'], size: THREADS, tally: 'pvEois' },
    ],
  },
  halt_poll: {
    help: "changes of a vCPU's halt polling time",
    cost: 'fires only when the time grows or shrinks',
    triggers: [
      { event: 'kvm/kvm_halt_poll_ns', keys: ['common_pid', 'grow'], size: THREADS, tally: 'haltPoll' },
    ],
  },
  block: {
    help: 'block requests by VM, whatever its VMM',
    cost: 'one map update for each request on the host',
    triggers: [
      { event: 'block/block_rq_issue', keys: ['common_pid', 'dev'], size: 8192, tally: 'blockRequests' },
    ],
  },
  exit_duration: {
    help: 'time from each VM exit to the next entry, by reason',
    cost: 'three map updates and two time stamps an exit while it is active',
    synthetic: { exit: 'pid_t pid; unsigned int reason; u64 lat' },
    dutyCycled: true,
    triggers: [
      ...interval(
        { event: 'kvm/kvm_exit' },
        { event: 'kvm/kvm_entry' },
        {
          keys: ['common_pid'],
          size: THREADS,
          kept: ['r0=exit_reason', 'p0=common_pid'],
          sends: '@exit,$p0,$r0',
        },
      ),
      {
        event: 'synthetic/@exit',
        keys: ['pid', 'reason', 'lat.log2'],
        value: 'lat',
        size: 16384,
        tally: 'exitDurations',
      },
    ],
  },
  block_duration: {
    help: 'time from issue to completion of block requests, by VM',
    cost: 'three map updates for each request on the host while it is active; its map holds 16384 requests a second',
    synthetic: { block: 'pid_t pid; u64 lat' },
    dutyCycled: true,
    triggers: [
      ...interval(
        { event: 'block/block_rq_issue', fills: true },
        { event: 'block/block_rq_complete' },
        { keys: ['dev', 'sector'], size: 16384, kept: ['p0=common_pid'], sends: '@block,$p0' },
      ),
      {
        event: 'synthetic/@block',
        keys: ['pid', 'lat.log2'],
        value: 'lat',
        size: 8192,
        tally: 'blockDurations',
      },
    ],
  },
  sched: {
    help: 'moves between CPUs and context switches of VM threads',
    cost: 'a filter of as many comparisons as there are VM threads at each context switch of the host',
    triggers: [
      {
        event: 'sched/sched_migrate_task',
        keys: ['pid'],
        perThread: 'pid == %',
        size: FEW,
        tally: 'migrations',
      },
      {
        event: 'sched/sched_switch',
        keys: ['prev_pid'],
        perThread: 'prev_pid == %',
        size: FEW,
        tally: 'switches',
      },
    ],
  },
  lock: {
    help: 'time that VM threads wait for contended kernel locks',
    cost: 'two map updates for each contended lock on the host while it is active',
    synthetic: { lock: 'pid_t pid; u64 lat' },
    dutyCycled: true,
    triggers: [
      ...interval(
        { event: 'lock/contention_begin' },
        { event: 'lock/contention_end' },
        { keys: ['common_pid'], size: 8192, kept: ['p0=common_pid'], sends: '@lock,$p0' },
      ),
      // By duration, so that negative ones, from CPUs whose clocks disagree, can be left out of the sum.
      {
        event: 'synthetic/@lock',
        keys: ['pid', 'lat.log2'],
        value: 'lat',
        size: 8192,
        tally: 'lockContention',
      },
    ],
  },
} as const satisfies Record<string, TraceSet>;

export type TraceSetName = keyof typeof TRACE_SETS;

export const TRACE_SET_NAMES = Object.keys(TRACE_SETS) as TraceSetName[];

/** The default of trace.sets. */
export const DEFAULT_TRACE_SETS: readonly TraceSetName[] = [
  'exits',
  'notifications',
  'interrupts',
  'halt_poll',
  'block',
  'exit_duration',
];

interface SpecOptions {
  readonly syntheticPrefix: string;
  readonly isa: Isa;
  readonly size: number;
  /** Thread ids for the triggers that count VM threads only. */
  readonly followed: readonly number[];
}

/**
 * arm64 has two fields for the exit reason. A duration has room for one of them: arch/arm64/kvm/trace_arm.h.
 */
const ARM_REASON = { keys: ['ret', 'esr_ec'], variable: 'esr_ec' };

function keysOf({ keys }: Trigger, isa: Isa): string[] {
  return keys.flatMap((key) => (isa === 'arm64' && key === 'exit_reason' ? ARM_REASON.keys : [key]));
}

function fieldOf(key: string): string {
  return key.replace(/\..*/, '');
}

/** The histogram of a trigger among those of its event. No event has two with the same keys. */
export function blockOf(blocks: readonly HistBlock[], trigger: Trigger, isa: Isa): HistBlock | undefined {
  const keys = keysOf(trigger, isa).map(fieldOf).join();
  return blocks.find((block) => block.keys.join() === keys);
}

/** The line for the `trigger` file, and the fields of the event that it needs. */
export function triggerSpec(trigger: Trigger, options: SpecOptions): { spec: string; fields: string[] } {
  const { value, action, filter, perThread } = trigger;
  const isArm = options.isa === 'arm64';
  const keys = keysOf(trigger, options.isa);
  const variables = trigger.variables?.join(',');
  const parts = [
    `keys=${keys.join(',')}`,
    ...(value === undefined ? [] : [`vals=hitcount,${value}`]),
    ...(variables === undefined
      ? []
      : [isArm ? variables.replace('=exit_reason', `=${ARM_REASON.variable}`) : variables]),
    `size=${options.size}`,
    ...(action === undefined ? [] : [action.replace('@', options.syntheticPrefix)]),
  ];
  const followed = options.followed.map((tid) => perThread?.replace('%', String(tid))).join(' || ');
  const chosen = perThread === undefined ? filter : followed;
  return {
    spec: `hist:${parts.join(':')}${chosen === undefined ? '' : ` if ${chosen}`}`,
    fields: keys.map(fieldOf).filter((key) => !key.startsWith('common_')),
  };
}
