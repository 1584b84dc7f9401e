import { REASON } from '../vcpu.ts';

interface EventType {
  readonly id: number;
  /** C declarations, without the common fields. */
  readonly fields: string;
  readonly print: string;
}

const SIZES: Readonly<Record<string, number>> = {
  'unsigned short': 2,
  'unsigned char': 1,
  'unsigned int': 4,
  unsigned: 4,
  'unsigned long': 8,
  int: 4,
  long: 8,
  bool: 1,
  char: 1,
  u8: 1,
  u32: 4,
  u64: 8,
  __u32: 4,
  __u64: 8,
  pid_t: 4,
  dev_t: 4,
  sector_t: 8,
  'void *': 8,
};
const SIGNED = new Set(['int', 'long', 'pid_t', 'char']);

const COMMON = `\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
`;
const FIRST_OFFSET = 8;

/** Only the reasons that a simulated guest has; Linux prints all of arch/x86/include/uapi/asm/vmx.h. */
const VMX_REASONS = Object.entries(REASON)
  .map(([name, number]) => `{ ${number}, "${name}" }`)
  .join(', ');
const USERSPACE_REASONS =
  '{ 0, "KVM_EXIT_" "UNKNOWN" }, { 2, "KVM_EXIT_" "IO" }, { 5, "KVM_EXIT_" "HLT" }, { 6, "KVM_EXIT_" "MMIO" }, { 10, "KVM_EXIT_" "INTR" }';

/** Tracepoints of Linux 6.18 on x86: include/trace/events, arch/x86/kvm/trace.h. */
const EVENTS: Readonly<Record<string, EventType>> = {
  'kvm/kvm_exit': {
    id: 103,
    fields:
      'unsigned int exit_reason;unsigned long guest_rip;u32 isa;u64 info1;u64 info2;u32 intr_info;u32 error_code;unsigned int vcpu_id;u64 requests',
    print: `"vcpu %u reason %s rip 0x%lx", REC->vcpu_id, (REC->isa == 1) ? __print_symbolic(REC->exit_reason & 0xffff, ${VMX_REASONS}) : __print_symbolic(REC->exit_reason, { 0x060, "interrupt" }, { 0x078, "hlt" }, { 0x400, "npf" }), REC->guest_rip`,
  },
  'kvm/kvm_entry': {
    id: 115,
    fields: 'unsigned int vcpu_id;unsigned long rip;bool immediate_exit;u32 intr_info;u32 error_code',
    print: '"vcpu %u, rip 0x%lx", REC->vcpu_id, REC->rip',
  },
  'kvm/kvm_fast_mmio': { id: 109, fields: 'u64 gpa', print: '"fast mmio at gpa 0x%llx", REC->gpa' },
  'kvm/kvm_mmio': {
    id: 38,
    fields: 'u32 type;u32 len;u64 gpa;u64 val',
    print:
      '"mmio %s len %u gpa 0x%llx val 0x%llx", __print_symbolic(REC->type, { 0, "unsatisfied-read" }, { 1, "read" }, { 2, "write" }), REC->len, REC->gpa, REC->val',
  },
  'kvm/kvm_pio': {
    id: 110,
    fields: 'unsigned int rw;unsigned int port;unsigned int size;unsigned int count;unsigned int val',
    print: '"pio_%s at 0x%x size %d", REC->rw ? "write" : "read", REC->port, REC->size',
  },
  'kvm/kvm_userspace_exit': {
    id: 42,
    fields: '__u32 reason;int errno',
    print: `"reason %s (%d)", __print_symbolic(REC->reason, ${USERSPACE_REASONS}), REC->reason`,
  },
  'kvm/kvm_msi_set_irq': {
    id: 105,
    fields: '__u64 address;__u64 data',
    print: '"dst %llx vec %u", REC->address, (u8)REC->data',
  },
  'kvm/kvm_inj_virq': {
    id: 102,
    fields: 'unsigned int vector;bool soft;bool reinjected',
    print: '"IRQ 0x%x", REC->vector',
  },
  'kvm/kvm_eoi': {
    id: 94,
    fields: '__u32 apicid;int vector',
    print: '"apicid %x vector %d", REC->apicid, REC->vector',
  },
  'kvm/kvm_pv_eoi': {
    id: 93,
    fields: '__u32 apicid;int vector',
    print: '"apicid %x vector %d", REC->apicid, REC->vector',
  },
  'kvm/kvm_halt_poll_ns': {
    id: 31,
    fields: 'bool grow;unsigned int vcpu_id;unsigned int new;unsigned int old',
    print:
      '"vcpu %u: halt_poll_ns %u (%s %u)", REC->vcpu_id, REC->new, REC->grow ? "grow" : "shrink", REC->old',
  },
  'kvm/kvm_vcpu_wakeup': {
    id: 41,
    fields: '__u64 ns;bool waited;bool valid',
    print: '"%s time %lld ns", REC->waited ? "wait" : "poll", REC->ns',
  },
  'block/block_rq_issue': {
    id: 2104,
    fields:
      'dev_t dev;sector_t sector;unsigned int nr_sector;unsigned int bytes;unsigned short ioprio;char rwbs[10];char comm[16];__data_loc char[] cmd',
    print:
      '"%d,%d %u", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->bytes',
  },
  'block/block_rq_complete': {
    id: 2107,
    fields:
      'dev_t dev;sector_t sector;unsigned int nr_sector;int error;unsigned short ioprio;char rwbs[10];__data_loc char[] cmd',
    print:
      '"%d,%d [%d]", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->error',
  },
  'sched/sched_migrate_task': {
    id: 371,
    fields: '__data_loc char[] comm;pid_t pid;int prio;int orig_cpu;int dest_cpu',
    print: '"pid=%d orig_cpu=%d dest_cpu=%d", REC->pid, REC->orig_cpu, REC->dest_cpu',
  },
  'sched/sched_switch': {
    id: 372,
    fields:
      'char prev_comm[16];pid_t prev_pid;int prev_prio;long prev_state;char next_comm[16];pid_t next_pid;int next_prio',
    print: '"prev_pid=%d ==> next_pid=%d", REC->prev_pid, REC->next_pid',
  },
  'lock/contention_begin': {
    id: 408,
    fields: 'void * lock_addr;unsigned int flags',
    print:
      '"%p (flags=%s)", REC->lock_addr, __print_flags(REC->flags, "|", { (1U << 0), "SPIN" }, { (1U << 5), "MUTEX" } )',
  },
  'lock/contention_end': {
    id: 407,
    fields: 'void * lock_addr;int ret',
    print: '"%p (ret=%d)", REC->lock_addr, REC->ret',
  },
};

/** `system/event` of all tracepoints of the simulated kernel. */
export const TRACEPOINTS = Object.keys(EVENTS);

/** The `format` file of a tracepoint, kernel/trace/trace_events.c f_show(). */
export function formatOf(event: string): string {
  const type = EVENTS[event];
  if (type === undefined) throw new Error(`no tracepoint ${event}`);
  return formatText(event.split('/')[1] ?? '', type);
}

/** The `format` files of the simulated kernel, by `system/event`. */
export const FORMATS: ReadonlyMap<string, string> = new Map(
  TRACEPOINTS.map((event) => [event, formatOf(event)]),
);

/** Names of the fields in a `format` file. */
export function fieldNames(format: string): string[] {
  return [...format.matchAll(/^\tfield:[^;]*?(\w+)(?:\[[^\]]*\])?;/gm)].map(([, name = '']) => name);
}

/**
 * The `format` file of a synthetic event, kernel/trace/trace_events_synth.c: each field takes 8 bytes.
 *
 * @param fields `pid_t pid; u64 lat`
 */
export function syntheticFormat(name: string, fields: string, id: number): string {
  const declared = fields.split(';').map((field) => field.trim());
  const lines = declared.map((field, i) => fieldLine(field, FIRST_OFFSET + i * 8));
  const values = declared.map((field) => `REC->${nameOf(field)}`).join(', ');
  const formats = declared.map((field) => `${nameOf(field)}=%llu`).join(', ');
  return `name: ${name}\nID: ${id}\nformat:\n${COMMON}\n${lines.join('')}\nprint fmt: "${formats}", ${values}\n`;
}

function formatText(name: string, { id, fields, print }: EventType): string {
  let offset = FIRST_OFFSET;
  const lines = fields.split(';').map((field) => {
    const { size, count } = typeOf(field);
    offset = Math.ceil(offset / size) * size;
    const line = fieldLine(field, offset);
    offset += size * count;
    return line;
  });
  return `name: ${name}\nID: ${id}\nformat:\n${COMMON}\n${lines.join('')}\nprint fmt: ${print}\n`;
}

function fieldLine(field: string, offset: number): string {
  const { size, count, isSigned } = typeOf(field);
  return `\tfield:${field};\toffset:${offset};\tsize:${size * count};\tsigned:${isSigned ? 1 : 0};\n`;
}

function nameOf(field: string): string {
  return /(\w+)(?:\[\d+\])?$/.exec(field)?.[1] ?? field;
}

function typeOf(field: string): { size: number; count: number; isSigned: boolean } {
  if (field.startsWith('__data_loc')) return { size: 4, count: 1, isSigned: false };
  const [, type = '', count = '1'] = /^(.+?) ?\w+(?:\[(\d+)\])?$/.exec(field) ?? [];
  // The compiler decides whether an array's elements are signed; Linux builds with -funsigned-char.
  return { size: SIZES[type] ?? 4, count: Number(count), isSigned: SIGNED.has(type) && count === '1' };
}
