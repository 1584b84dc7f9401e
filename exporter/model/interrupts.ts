/** Posted interrupts of KVM, reschedulings, function calls and the local timer: arch/x86/kernel/irq.c. */
const MNEMONICS = new Set(['PIN', 'NPI', 'PIW', 'RES', 'CAL', 'LOC']);

/**
 * The same types by description: on arm64, RISC-V and others the IPI numbers differ between kernels. LoongArch has its
 * own name and a number before it.
 */
const TEXTS: readonly (readonly [RegExp, string])[] = [
  [/(?:^|\s)Rescheduling interrupts$/, 'RES'],
  [/(?:^|\s)Function call interrupts$/, 'CAL'],
  // s390x: arch/s390/kernel/irq.c.
  [/^\[EXT\] Clock Comparator$/, 'LOC'],
];

/** By handler name: the CPU's timer (LoongArch: chip and name), and the handlers of KVM (virt/kvm/arm: arch_timer.c, vgic-init.c). */
const HANDLERS: readonly (readonly [RegExp, string])[] = [
  [/(?:^|\s)(?:arch_timer|riscv-timer)$|^CPUINTC\s+\d+\s+timer$/, 'LOC'],
  [/(?:^|\s)kvm guest vtimer$/, 'kvm guest vtimer'],
  [/(?:^|\s)kvm guest ptimer$/, 'kvm guest ptimer'],
  [/(?:^|\s)vgic$/, 'vgic'],
];

/** The type of interrupt that a line counts; undefined if the exporter does not report it. */
export function interruptType(id: string, text: string): string | undefined {
  if (MNEMONICS.has(id)) return id;
  // A numbered interrupt lists handlers, whose names the drivers choose.
  const patterns = /^\d+$/.test(id) ? HANDLERS : TEXTS;
  return patterns.find(([pattern]) => pattern.test(text))?.[1];
}

/** The key of a line: POWER has two lines `LOC`. */
export function lineKey(id: string, text: string): string {
  return /^\d/.test(id) ? id : `${id} ${text}`;
}

/** Lines with one count for all CPUs; `Err` on arm64, `BAD` on POWER. */
export function isOfAllCpus(id: string): boolean {
  return /^(?:ERR|Err|MIS|BAD)$/.test(id);
}

/** Sums of other lines, on s390x: of the lines with their name in brackets, and of the numbered lines of PCI devices. */
export function isSum(id: string, text: string): boolean {
  return /^(?:EXT|I\/O|AIO)$/.test(id) || /^\[AIO\] (?:PCI|MSI) /.test(text);
}

/** The kind of an interrupt, as a label value. */
export type InterruptKind = 'device' | 'timer' | 'ipi' | 'other';

const KINDS: Readonly<Record<string, InterruptKind>> = {
  LOC: 'timer',
  'kvm guest vtimer': 'timer',
  'kvm guest ptimer': 'timer',
  RES: 'ipi',
  CAL: 'ipi',
};
/** arch/x86/kernel/irq.c; on arm64 and RISC-V the lines `IPI0` and so on; on POWER doorbells; on s390x two kinds of signals. */
const IPI = /^(?:TLB|IPI\d{1,2}|DBL|EXC|EMS)$/;
/** Interrupts of devices that have no number, on s390x. */
const DEVICE = /^\[(?:I\/O|AIO)\] /;
/** POWER: arch/powerpc/sysdev/xics/xics-common.c, arch/powerpc/sysdev/xive/common.c. */
const IPI_HANDLER = /\sIPI(?:-\d{1,5})?$/;

/** @param type as {@link interruptType} has it */
export function interruptKind(id: string, type: string | undefined, text: string): InterruptKind {
  if (type !== undefined) return KINDS[type] ?? 'other';
  if (/^\d+$/.test(id)) return IPI_HANDLER.test(text) ? 'ipi' : 'device';
  if (DEVICE.test(text)) return 'device';
  return IPI.test(id) ? 'ipi' : 'other';
}

const NVME_QUEUE = /^(nvme\d{1,5})q(\d{1,5})$/;

export interface NvmeQueue {
  readonly controller: string;
  readonly queue: string;
}

/** The NVMe queues among the handlers of a line. */
export function nvmeQueues(handlers: readonly string[]): NvmeQueue[] {
  return handlers.flatMap((handler) => {
    const [name, controller = '', queue = ''] = NVME_QUEUE.exec(handler) ?? [];
    return name === undefined ? [] : [{ controller, queue }];
  });
}
