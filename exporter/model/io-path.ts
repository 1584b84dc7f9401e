/** The steps of an I/O that cost an exit, after the paper's 2.3.2; `halt` is a vCPU with nothing to do. */
export type IoStage = 'kick' | 'inject' | 'eoi' | 'halt' | 'other';

/** Which exit reasons there are: Intel VMX, AMD SVM, or arm64. */
export type Isa = 'vmx' | 'svm' | 'arm64';

/** Kernel's names of exit reasons, by number, from the event's format file. */
export type ReasonNames = ReadonlyMap<number, string>;

/** A number that arm64's two fields are packed into: `ret` above, `esr_ec` below. */
export const ARM_RET = 1000;
/** `ret` of a trap, whose class is in `esr_ec`: ARM_EXCEPTION_TRAP, arch/arm64/include/asm/kvm_asm.h. */
export const ARM_TRAP = 2;

/**
 * Reasons that tell the stage by themselves; all others are `other`. A kick is never told by its reason: EPT_MISCONFIG
 * and npf are any MMIO. Where the interrupt controller is virtualized (APICv, AVIC), inject and eoi all but vanish.
 * arch/x86/include/uapi/asm/{vmx,svm}.h, arch/arm64/include/asm/esr.h
 */
const STAGES: Readonly<Record<Isa, ReadonlyMap<number, IoStage>>> = {
  vmx: new Map<number, IoStage>([
    [1, 'inject'], // EXTERNAL_INTERRUPT: another CPU's kick to take an interrupt, or the host's own
    [7, 'inject'], // INTERRUPT_WINDOW: the guest can take interrupts again
    [12, 'halt'], // HLT
    [44, 'eoi'], // APIC_ACCESS
    [45, 'eoi'], // EOI_INDUCED
    [56, 'eoi'], // APIC_WRITE
  ]),
  svm: new Map<number, IoStage>([
    [0x60, 'inject'], // interrupt
    [0x64, 'inject'], // vintr: the interrupt window
    [0x78, 'halt'], // hlt
    [0xa6, 'halt'], // idle-halt
    [0x402, 'eoi'], // avic_unaccelerated_access
  ]),
  arm64: new Map<number, IoStage>([
    [0 * ARM_RET, 'inject'], // IRQ
    [ARM_TRAP * ARM_RET + 0x01, 'halt'], // WFx
  ]),
};

/** Fallback where a kernel's format file does not tell: arch/x86/include/uapi/asm/{vmx,svm}.h, arm64's esr.h. */
const NAMES: Readonly<Record<Isa, ReasonNames>> = {
  vmx: new Map([
    [0, 'EXCEPTION_NMI'],
    [1, 'EXTERNAL_INTERRUPT'],
    [7, 'INTERRUPT_WINDOW'],
    [8, 'NMI_WINDOW'],
    [10, 'CPUID'],
    [12, 'HLT'],
    [18, 'VMCALL'],
    [28, 'CR_ACCESS'],
    [29, 'DR_ACCESS'],
    [30, 'IO_INSTRUCTION'],
    [31, 'MSR_READ'],
    [32, 'MSR_WRITE'],
    [40, 'PAUSE_INSTRUCTION'],
    [44, 'APIC_ACCESS'],
    [45, 'EOI_INDUCED'],
    [48, 'EPT_VIOLATION'],
    [49, 'EPT_MISCONFIG'],
    [52, 'PREEMPTION_TIMER'],
    [54, 'WBINVD'],
    [55, 'XSETBV'],
    [56, 'APIC_WRITE'],
    [62, 'PML_FULL'],
  ]),
  svm: new Map([
    [0x60, 'interrupt'],
    [0x61, 'nmi'],
    [0x64, 'vintr'],
    [0x72, 'cpuid'],
    [0x77, 'pause'],
    [0x78, 'hlt'],
    [0x7b, 'io'],
    [0x7c, 'msr'],
    [0x81, 'hypercall'],
    [0x400, 'npf'],
    [0x401, 'avic_incomplete_ipi'],
    [0x402, 'avic_unaccelerated_access'],
  ]),
  arm64: new Map([
    [0 * ARM_RET, 'IRQ'],
    [1 * ARM_RET, 'SERROR'],
    [ARM_TRAP * ARM_RET + 0x01, 'WFx'],
    [ARM_TRAP * ARM_RET + 0x16, 'HVC64'],
    [ARM_TRAP * ARM_RET + 0x18, 'SYS64'],
    [ARM_TRAP * ARM_RET + 0x20, 'IABT_LOW'],
    [ARM_TRAP * ARM_RET + 0x24, 'DABT_LOW'],
  ]),
};

/** The stage of an exit by its reason alone. */
export function stageOfReason(isa: Isa, reason: number): IoStage {
  return STAGES[isa].get(reason) ?? 'other';
}

/** Reasons with which kicks and, of an x2APIC, EOIs come, among others: port I/O, MSR writes, MMIO. */
const CARRIERS: Readonly<Record<Isa, readonly number[]>> = {
  vmx: [30, 32, 48, 49],
  svm: [0x7b, 0x7c, 0x400],
  arm64: [ARM_TRAP * ARM_RET + 0x24],
};

const REASONS: Readonly<Record<Isa, readonly number[]>> = {
  vmx: [...STAGES.vmx.keys(), ...CARRIERS.vmx],
  svm: [...STAGES.svm.keys(), ...CARRIERS.svm],
  arm64: [...STAGES.arm64.keys(), ...CARRIERS.arm64],
};

/** Reasons that have to do with I/O: those that are looked at one by one where there is not room for all. */
export function reasonsOfTheIoPath(isa: Isa): readonly number[] {
  return REASONS[isa];
}

/**
 * The reason as the tracepoint has it, without its flags: VMX keeps 16 bits of it and puts FAILED_VMENTRY and the like
 * above; `-1` is printed as 2^64-1 by some kernels.
 */
export function reasonNumber(isa: Isa, raw: number): number {
  if (isa === 'vmx') return raw % 0x1_0000;
  return raw >= 2 ** 32 ? 2 ** 32 - 1 : raw;
}

/** The kernel's name of a reason; undefined for one that neither this kernel nor the table knows. */
export function reasonName(isa: Isa, reason: number, names: ReasonNames): string | undefined {
  return names.get(reason) ?? NAMES[isa].get(reason);
}

/** Offset of QueueNotify in the registers of a virtio-mmio device, which have 0x200 bytes or more. */
const MMIO_NOTIFY = 0x50;
const MMIO_REGISTERS = 0x200;

/** Whether all queues of a device notify at this address: those of virtio-mmio and of legacy virtio-pci. */
export function isSharedByQueues({ event, address }: NotifyWrite): boolean {
  return event === 'kvm_pio' || (event === 'kvm_mmio' && address % MMIO_REGISTERS === MMIO_NOTIFY);
}

/** KVM_EXIT_IO and KVM_EXIT_MMIO, include/uapi/linux/kvm.h: user space serves a device's register. */
export const DEVICE_EXITS: readonly number[] = [2, 6];

/** What was written where, that may have been a notification of a virtqueue. */
export interface NotifyWrite {
  readonly event: 'kvm_fast_mmio' | 'kvm_mmio' | 'kvm_pio';
  /** Guest-physical address, or port. */
  readonly address: number;
}

/** Windows of interrupt controllers that KVM emulates in the kernel: xAPIC, IOAPIC (x86 only). */
const IN_KERNEL = [0xfee00, 0xfec00];
const PAGE = 0x1000;
/** VIRTIO_PCI_QUEUE_NOTIFY of a legacy device, whose I/O BAR is aligned to 32 bytes at least. */
const LEGACY_NOTIFY = 0x10;
const LEGACY_ALIGNMENT = 0x20;
/** Below are the ports of the PC's own devices. */
const FIRST_PCI_PORT = 0x1000;

/**
 * Whether a write that KVM handled in the kernel was a kick. kvm_fast_mmio fires for an ioeventfd and nothing else.
 * Of the 2-byte MMIO writes, the caller gives those that did not leave to user space: an ioeventfd or an interrupt
 * controller took them. A port is a notify port when it lies where a legacy virtio device has it.
 */
export function isKick({ event, address }: NotifyWrite): boolean {
  if (event === 'kvm_fast_mmio') return true;
  if (event === 'kvm_mmio') return !IN_KERNEL.includes(Math.floor(address / PAGE));
  return address >= FIRST_PCI_PORT && address % LEGACY_ALIGNMENT === LEGACY_NOTIFY;
}
