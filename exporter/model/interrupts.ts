/** Posted interrupts of KVM, reschedulings, function calls and the local timer: arch/x86/kernel/irq.c. */
const MNEMONICS = new Set(['PIN', 'NPI', 'PIW', 'RES', 'CAL', 'LOC']);

/** The same by the words of arm64, RISC-V and others, whose numbers of IPIs move between kernels. */
const TEXTS: ReadonlyMap<string, string> = new Map([
  ['Rescheduling interrupts', 'RES'],
  ['Function call interrupts', 'CAL'],
]);

/** Handlers: the CPU's own timer, and those of KVM (virt/kvm/arm: arch_timer.c, vgic-init.c) under their own names. */
const HANDLERS: readonly (readonly [RegExp, string])[] = [
  [/(?:^|\s)(?:arch_timer|riscv-timer)$/, 'LOC'],
  [/(?:^|\s)kvm guest vtimer$/, 'kvm guest vtimer'],
  [/(?:^|\s)kvm guest ptimer$/, 'kvm guest ptimer'],
  [/(?:^|\s)vgic$/, 'vgic'],
];

/** What kind of interrupt a line counts; undefined for one that is of no interest. */
export function interruptType(id: string, text: string): string | undefined {
  if (MNEMONICS.has(id)) return id;
  // An interrupt with a number has handlers, whose names drivers choose.
  if (!/^\d+$/.test(id)) return TEXTS.get(text);
  return HANDLERS.find(([handler]) => handler.test(text))?.[1];
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
