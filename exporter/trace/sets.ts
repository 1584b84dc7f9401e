import type { TallyName, TraceSet, Trigger } from './trigger.ts';

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

/** Counts an event by the thread's id and other keys. */
function count(
  event: string,
  keys: readonly string[],
  size: number,
  tally: TallyName,
  more: Partial<Trigger> = {},
): Trigger {
  return { event, keys, size, tally, ...more };
}

const X86 = { x86: true };

const SETS = {
  exits: {
    help: 'VM exits by reason',
    cost: 'one map update per exit',
    triggers: [count('kvm/kvm_exit', ['common_pid', 'exit_reason'], 16384, 'exits')],
  },
  notifications: {
    help: 'kicks by virtqueue and vCPU; MMIO and port I/O; exits to user space',
    cost: 'one map update per kick; two more on CPUs without a fast MMIO path (AMD before late 2025, arm64)',
    synthetic: { mmio: 'pid_t pid; u32 type; u64 gpa; u64 lat' },
    triggers: [
      count('kvm/kvm_fast_mmio', ['common_pid', 'gpa.hex'], 4096, 'fastMmio', X86),
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
      count('synthetic/@mmio', ['pid', 'gpa.hex'], 4096, 'mmioInUserSpace', { filter: 'type == 2' }),
      count('kvm/kvm_pio', ['common_pid', 'rw'], THREADS, 'pio', X86),
      count('kvm/kvm_pio', ['common_pid', 'port.hex'], 4096, 'pioWrites', {
        ...X86,
        filter: 'rw == 1 && size == 2 && port & 16',
      }),
      count('kvm/kvm_userspace_exit', ['common_pid', 'reason'], THREADS, 'userspaceExits'),
    ],
  },
  interrupts: {
    help: 'interrupts requested by MSI, interrupts injected by software, and EOIs',
    cost: 'one map update for each; none for those that APICv or AVIC handles in hardware',
    triggers: [
      count('kvm/kvm_msi_set_irq', ['common_pid', 'address.hex', 'data.hex'], 8192, 'msi', X86),
      count('kvm/kvm_inj_virq', ['common_pid'], THREADS, 'injections', X86),
      count('kvm/kvm_eoi', ['common_pid'], THREADS, 'eois', X86),
      count('kvm/kvm_pv_eoi', ['common_pid'], THREADS, 'pvEois', X86),
    ],
  },
  halt_poll: {
    help: "changes of a vCPU's halt polling time",
    cost: 'fires only when the time grows or shrinks',
    triggers: [count('kvm/kvm_halt_poll_ns', ['common_pid', 'grow'], THREADS, 'haltPoll')],
  },
  block: {
    help: 'block requests by VM, for every VMM',
    cost: 'one map update for each request on the host',
    triggers: [count('block/block_rq_issue', ['common_pid', 'dev'], 8192, 'blockRequests')],
  },
  exit_duration: {
    help: 'time from each VM exit to the next entry, by reason',
    cost: 'three map updates and two time stamps per exit while the set is active',
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
      count('synthetic/@exit', ['pid', 'reason', 'lat.log2'], 16384, 'exitDurations', { value: 'lat' }),
    ],
  },
  block_duration: {
    help: 'time from issue to completion of block requests, by VM',
    cost: 'three map updates for each request on the host while the set is active; the map holds 16384 requests per second',
    synthetic: { block: 'pid_t pid; u64 lat' },
    dutyCycled: true,
    triggers: [
      ...interval(
        { event: 'block/block_rq_issue', fills: true },
        { event: 'block/block_rq_complete' },
        { keys: ['dev', 'sector'], size: 16384, kept: ['p0=common_pid'], sends: '@block,$p0' },
      ),
      count('synthetic/@block', ['pid', 'lat.log2'], 8192, 'blockDurations', { value: 'lat' }),
    ],
  },
  sched: {
    help: 'moves between CPUs and context switches of VM threads',
    cost: 'a filter with one comparison per VM thread at each context switch of the host',
    triggers: [
      count('sched/sched_migrate_task', ['pid'], FEW, 'migrations', { perThread: 'pid == %' }),
      count('sched/sched_switch', ['prev_pid'], FEW, 'switches', { perThread: 'prev_pid == %' }),
    ],
  },
  lock: {
    help: 'time that VM threads wait for contended kernel locks',
    cost: 'two map updates for each contended lock on the host while the set is active',
    synthetic: { lock: 'pid_t pid; u64 lat' },
    dutyCycled: true,
    triggers: [
      ...interval(
        { event: 'lock/contention_begin' },
        { event: 'lock/contention_end' },
        { keys: ['common_pid'], size: 8192, kept: ['p0=common_pid'], sends: '@lock,$p0' },
      ),
      // By duration, so that negative ones, from CPUs whose clocks disagree, can be left out of the sum.
      count('synthetic/@lock', ['pid', 'lat.log2'], 8192, 'lockContention', { value: 'lat' }),
    ],
  },
} satisfies Record<string, TraceSet>;

export type TraceSetName = keyof typeof SETS;

export const TRACE_SETS: Readonly<Record<TraceSetName, TraceSet>> = SETS;

export const TRACE_SET_NAMES = Object.keys(SETS) as TraceSetName[];

/** The default of trace.sets. */
export const DEFAULT_TRACE_SETS: readonly TraceSetName[] = [
  'exits',
  'notifications',
  'interrupts',
  'halt_poll',
  'block',
  'exit_duration',
];
