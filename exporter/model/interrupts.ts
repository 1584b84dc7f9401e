/** Posted interrupts of KVM, reschedulings, function calls and the local timer: arch/x86/kernel/irq.c. */
const MNEMONICS = new Set(['PIN', 'NPI', 'PIW', 'RES', 'CAL', 'LOC']);

/** The same types by description: on arm64, RISC-V and others the IPI numbers differ between kernels. */
const TEXTS: ReadonlyMap<string, string> = new Map([
  ['Rescheduling interrupts', 'RES'],
  ['Function call interrupts', 'CAL'],
]);

/** By handler name: the CPU's timer, and the handlers of KVM (virt/kvm/arm: arch_timer.c, vgic-init.c). */
const HANDLERS: readonly (readonly [RegExp, string])[] = [
  [/(?:^|\s)(?:arch_timer|riscv-timer)$/, 'LOC'],
  [/(?:^|\s)kvm guest vtimer$/, 'kvm guest vtimer'],
  [/(?:^|\s)kvm guest ptimer$/, 'kvm guest ptimer'],
  [/(?:^|\s)vgic$/, 'vgic'],
];

/** The type of interrupt that a line counts; undefined if the exporter does not report it. */
export function interruptType(id: string, text: string): string | undefined {
  if (MNEMONICS.has(id)) return id;
  // A numbered interrupt lists handlers, whose names the drivers choose.
  if (!/^\d+$/.test(id)) return TEXTS.get(text);
  return HANDLERS.find(([handler]) => handler.test(text))?.[1];
}

/** What interrupts a CPU, as the label of a VM's CPUs has it. */
export type InterruptKind = 'device' | 'timer' | 'ipi' | 'other';

const KINDS: Readonly<Record<string, InterruptKind>> = {
  LOC: 'timer',
  'kvm guest vtimer': 'timer',
  'kvm guest ptimer': 'timer',
  RES: 'ipi',
  CAL: 'ipi',
};
/** arch/x86/kernel/irq.c; on arm64 and RISC-V the lines `IPI0` and so on. */
const IPI = /^(?:TLB|IPI\d{1,2})$/;

/** @param type as {@link interruptType} has it */
export function interruptKind(id: string, type: string | undefined): InterruptKind {
  if (type !== undefined) return KINDS[type] ?? 'other';
  if (/^\d+$/.test(id)) return 'device';
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
