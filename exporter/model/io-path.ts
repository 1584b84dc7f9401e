import { PAGE_SIZE } from '../../kernel/units.ts';

/** The steps of an I/O that cost an exit, after section 2.3.2 of Oh et al. `halt` is an idle vCPU. */
export type IoStep = 'kick' | 'inject' | 'eoi' | 'halt' | 'other';

/**
 * Set of exit reasons: Intel VMX, AMD SVM, or arm64. `other` is RISC-V, LoongArch, POWER, s390x, MIPS, whose reasons and kicks are
 * unknown here: RISC-V has `scause` with WFI among all virtual instructions, LoongArch has no event for an exit by interrupt.
 */
export type Isa = 'vmx' | 'svm' | 'arm64' | 'other';

export function isX86(isa: Isa): boolean {
  return isa === 'vmx' || isa === 'svm';
}

/** The kernel's names of exit reasons by number, from the event's format file. */
export type ReasonNames = ReadonlyMap<number, string>;

/** arm64's two fields are packed into one number: `ret` * 1000 + `esr_ec`. */
export const ARM_RET = 1000;
/**
 * `ret` of a trap; `esr_ec` has the class of the trap: ARM_EXCEPTION_TRAP, arch/arm64/include/asm/kvm_asm.h.
 */
export const ARM_TRAP = 2;

/**
 * Exit reasons that identify the step; all others are `other`. No reason identifies a kick: EPT_MISCONFIG and
 * npf stand for any MMIO. With a virtualized interrupt controller (APICv, AVIC) there are almost no inject
 * and eoi exits.
 * arch/x86/include/uapi/asm/{vmx,svm}.h, arch/arm64/include/asm/esr.h
 */
const STEPS: Readonly<Record<Isa, ReadonlyMap<number, IoStep>>> = {
  vmx: new Map<number, IoStep>([
    [1, 'inject'], // EXTERNAL_INTERRUPT: another CPU's kick to take an interrupt, or the host's own
    [7, 'inject'], // INTERRUPT_WINDOW: the guest can take interrupts again
    [12, 'halt'], // HLT
    [44, 'eoi'], // APIC_ACCESS
    [45, 'eoi'], // EOI_INDUCED
    [56, 'eoi'], // APIC_WRITE
  ]),
  svm: new Map<number, IoStep>([
    [0x60, 'inject'], // interrupt
    [0x64, 'inject'], // vintr: the interrupt window
    [0x78, 'halt'], // hlt
    [0xa6, 'halt'], // idle-halt
    [0x402, 'eoi'], // avic_unaccelerated_access
  ]),
  arm64: new Map<number, IoStep>([
    [0 * ARM_RET, 'inject'], // IRQ
    [ARM_TRAP * ARM_RET + 0x01, 'halt'], // WFx
  ]),
  other: new Map(),
};

/**
 * Fallback names if the kernel's format file has none: arch/x86/include/uapi/asm/{vmx,svm}.h, arm64's esr.h.
 */
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
  other: new Map(),
};

/** The step of an exit by its reason alone. */
export function stepOfReason(isa: Isa, reason: number): IoStep {
  return STEPS[isa].get(reason) ?? 'other';
}

/** Exit reasons that kicks and x2APIC EOIs share with other accesses: port I/O, MSR writes, MMIO. */
const SHARED_REASONS: Readonly<Record<Isa, readonly number[]>> = {
  vmx: [30, 32, 48, 49],
  svm: [0x7b, 0x7c, 0x400],
  arm64: [ARM_TRAP * ARM_RET + 0x24],
  other: [],
};

const IO_PATH_REASONS: Readonly<Record<Isa, readonly number[]>> = {
  vmx: [...STEPS.vmx.keys(), ...SHARED_REASONS.vmx],
  svm: [...STEPS.svm.keys(), ...SHARED_REASONS.svm],
  arm64: [...STEPS.arm64.keys(), ...SHARED_REASONS.arm64],
  other: [],
};

/** Exit reasons of the I/O path. They are counted one by one if not all reasons can be. */
export function reasonsOfTheIoPath(isa: Isa): readonly number[] {
  return IO_PATH_REASONS[isa];
}

/**
 * Strips the flags from the tracepoint's exit reason. VMX keeps the reason in the low 16 bits and flags such
 * as FAILED_VMENTRY above them. Some kernels print `-1` as 2^64-1.
 */
export function reasonNumber(isa: Isa, raw: number): number {
  if (isa === 'vmx') return raw % 0x1_0000;
  return raw >= 2 ** 32 ? 2 ** 32 - 1 : raw;
}

/** The kernel's name of an exit reason; undefined if neither the kernel nor the fallback table has one. */
export function reasonName(isa: Isa, reason: number, names: ReasonNames): string | undefined {
  return names.get(reason) ?? NAMES[isa].get(reason);
}

/** Offset of QueueNotify in the registers of a virtio-mmio device. The registers have 0x200 bytes or more. */
const MMIO_NOTIFY = 0x50;
const MMIO_REGISTERS = 0x200;

/** Whether all queues of the device share this notify address: virtio-mmio and legacy virtio-pci. */
export function isSharedByQueues({ event, address }: NotifyWrite): boolean {
  return event === 'kvm_pio' || (event === 'kvm_mmio' && address % MMIO_REGISTERS === MMIO_NOTIFY);
}

/**
 * KVM_EXIT_IO and KVM_EXIT_MMIO, include/uapi/linux/kvm.h: user space handles the access to a device's
 * register.
 */
export const DEVICE_EXITS: readonly number[] = [2, 6];

/** A write that may be a virtqueue notification. */
export interface NotifyWrite {
  readonly event: 'kvm_fast_mmio' | 'kvm_mmio' | 'kvm_pio';
  /** Guest-physical address or port number. */
  readonly address: number;
}

/** Interrupt controllers that KVM emulates in the kernel, by page number: xAPIC, IOAPIC (x86 only). */
const INTERRUPT_CONTROLLER_PAGES = [0xfee00, 0xfec00];
/** Offset of VIRTIO_PCI_QUEUE_NOTIFY of a legacy device, whose I/O BAR is aligned to at least 32 bytes. */
const LEGACY_NOTIFY = 0x10;
const LEGACY_ALIGNMENT = 0x20;
/** Lower ports belong to the PC's own devices. */
const FIRST_PCI_PORT = 0x1000;

/**
 * Whether a write that KVM handled in the kernel was a kick. kvm_fast_mmio fires only for an ioeventfd. For
 * kvm_mmio the caller passes only the writes that did not exit to user space: an ioeventfd or an interrupt
 * controller in the kernel handled them. A port is a notify port if it is at the offset of a legacy virtio
 * device.
 */
export function isKick({ event, address }: NotifyWrite): boolean {
  if (event === 'kvm_fast_mmio') return true;
  if (event === 'kvm_mmio') return !INTERRUPT_CONTROLLER_PAGES.includes(Math.floor(address / PAGE_SIZE));
  return address >= FIRST_PCI_PORT && address % LEGACY_ALIGNMENT === LEGACY_NOTIFY;
}
