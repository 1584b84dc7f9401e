import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ARM_RET,
  ARM_TRAP,
  DEVICE_EXITS,
  type IoStep,
  type Isa,
  isKick,
  isSharedByQueues,
  reasonName,
  reasonNumber,
  reasonsOfTheIoPath,
  stepOfReason,
} from '../../../exporter/model/io-path.ts';

test('the reason of an exit gives its step if it identifies one', () => {
  const expected: readonly (readonly ['vmx' | 'svm' | 'arm64', number, IoStep])[] = [
    ...([
      ['vmx', 1, 'inject'],
      ['vmx', 7, 'inject'],
      ['vmx', 12, 'halt'],
      ['vmx', 44, 'eoi'],
      ['vmx', 45, 'eoi'],
      ['vmx', 56, 'eoi'],
    ] as const),
    ...([
      ['svm', 0x60, 'inject'],
      ['svm', 0x64, 'inject'],
      ['svm', 0x78, 'halt'],
      ['svm', 0xa6, 'halt'],
      ['svm', 0x402, 'eoi'],
    ] as const),
    ...([
      ['arm64', 0, 'inject'],
      ['arm64', ARM_TRAP * ARM_RET + 1, 'halt'],
    ] as const),
    // No reason identifies a kick: these are any MMIO, port or register.
    ...([
      ['vmx', 30, 'other'],
      ['vmx', 32, 'other'],
      ['vmx', 49, 'other'],
      ['svm', 0x400, 'other'],
      ['svm', 0x7b, 'other'],
      ['arm64', ARM_TRAP * ARM_RET + 0x24, 'other'],
      ['svm', 1, 'other'],
      ['vmx', 0x60, 'other'],
    ] as const),
  ];
  for (const [isa, reason, stage] of expected)
    assert.equal(stepOfReason(isa, reason), stage, `${isa} ${reason}`);
});

test('the reasons of the I/O path are those with a step and those of kicks', () => {
  for (const isa of ['vmx', 'svm', 'arm64'] as const) {
    const reasons = reasonsOfTheIoPath(isa);
    assert.equal(new Set(reasons).size, reasons.length, isa);
    assert.ok(reasons.some((reason) => stepOfReason(isa, reason) === 'other'));
    assert.ok(reasons.length <= 16, 'each is a histogram, or a counter of perf');
  }
});

test('VMX’s flags are removed from the reason; SVM’s reasons have 32 bits', () => {
  assert.equal(reasonNumber('vmx', 48), 48);
  assert.equal(reasonNumber('vmx', 0x8000_0021), 0x21);
  assert.equal(reasonNumber('vmx', 0x0800_0030), 48);
  assert.equal(reasonNumber('svm', 0x400), 0x400);
  assert.equal(reasonNumber('svm', 0x8000_0000), 0x8000_0000);
  for (const minusOne of [2 ** 32 - 1, 2 ** 64]) assert.equal(reasonNumber('svm', minusOne), 2 ** 32 - 1);
});

test('the kernel’s name of a reason takes precedence over the table’s; a reason may have none', () => {
  assert.equal(reasonName('vmx', 12, new Map([[12, 'NEW_NAME']])), 'NEW_NAME');
  assert.equal(reasonName('vmx', 12, new Map()), 'HLT');
  assert.equal(reasonName('svm', 0x400, new Map()), 'npf');
  assert.equal(reasonName('arm64', ARM_TRAP * ARM_RET + 1, new Map()), 'WFx');
  assert.equal(reasonName('vmx', 999, new Map([[12, 'HLT']])), undefined);
});

test('a fast MMIO is always a kick, because only an ioeventfd causes it', () => {
  for (const address of [0, 0xfee0_00b0, 0xfec0_0000, 0x38_0000_3000])
    assert.ok(isKick({ event: 'kvm_fast_mmio', address }));
});

test('a slow MMIO is a kick, except in the pages of the in-kernel interrupt controllers', () => {
  const kick = (address: number) => isKick({ event: 'kvm_mmio', address });
  for (const address of [0xfee0_0000, 0xfee0_00b0, 0xfee0_0fff, 0xfec0_0000, 0xfec0_0010])
    assert.equal(kick(address), false);
  for (const address of [
    0xfebf_b000, 0xfebf_b004, 0xfedf_ffff, 0xfee0_1000, 0xfec0_1000, 0x38_0000_3000, 0x1_fee0_0000,
  ])
    assert.equal(kick(address), true, address.toString(16));
});

test('a write to a port is a kick at the notify register of a legacy virtio device', () => {
  const kick = (address: number) => isKick({ event: 'kvm_pio', address });
  for (const port of [0xc010, 0xc030, 0x1010, 0xfff0]) assert.equal(kick(port), true, port.toString(16));
  // The device's other registers, and ports of the PC itself.
  for (const port of [0xc000, 0xc00e, 0xc012, 0xc014, 0xc020, 0x0fd0, 0x3f8, 0x70, 0x10, 0xcf8])
    assert.equal(kick(port), false, port.toString(16));
});

/** From the kernel's headers: a wrong or missing name would be another `reason` label. */
const FALLBACK: Readonly<Record<Isa, string>> = {
  vmx: '0 EXCEPTION_NMI, 1 EXTERNAL_INTERRUPT, 7 INTERRUPT_WINDOW, 8 NMI_WINDOW, 10 CPUID, 12 HLT, 18 VMCALL, 28 CR_ACCESS, 29 DR_ACCESS, 30 IO_INSTRUCTION, 31 MSR_READ, 32 MSR_WRITE, 40 PAUSE_INSTRUCTION, 44 APIC_ACCESS, 45 EOI_INDUCED, 48 EPT_VIOLATION, 49 EPT_MISCONFIG, 52 PREEMPTION_TIMER, 54 WBINVD, 55 XSETBV, 56 APIC_WRITE, 62 PML_FULL',
  svm: '96 interrupt, 97 nmi, 100 vintr, 114 cpuid, 119 pause, 120 hlt, 123 io, 124 msr, 129 hypercall, 1024 npf, 1025 avic_incomplete_ipi, 1026 avic_unaccelerated_access',
  arm64: '0 IRQ, 1000 SERROR, 2001 WFx, 2022 HVC64, 2024 SYS64, 2032 IABT_LOW, 2036 DABT_LOW',
  other: '',
};

test('a kernel without names has those of its headers, and no others', () => {
  for (const isa of ['vmx', 'svm', 'arm64', 'other'] as const) {
    const found = Array.from({ length: 4096 }, (_, reason) => [reason, reasonName(isa, reason, new Map())])
      .filter(([, name]) => name !== undefined)
      .map((pair) => pair.join(' '));
    assert.equal(found.join(', '), FALLBACK[isa]);
  }
});

test('the reasons of the I/O path are these, of each architecture', () => {
  const reasons = (isa: Isa): number[] => [...reasonsOfTheIoPath(isa)].sort((a, b) => a - b);
  assert.deepEqual(reasons('vmx'), [1, 7, 12, 30, 32, 44, 45, 48, 49, 56]);
  assert.deepEqual(reasons('svm'), [0x60, 0x64, 0x78, 0x7b, 0x7c, 0xa6, 0x400, 0x402]);
  assert.deepEqual(reasons('arm64'), [0, 2001, 2036]);
});

test('queues share the notify address of virtio-mmio and legacy devices, not that of a modern one', () => {
  assert.equal(isSharedByQueues({ event: 'kvm_pio', address: 0xc010 }), true);
  assert.equal(isSharedByQueues({ event: 'kvm_mmio', address: 0xfeb0_0050 }), true);
  assert.equal(isSharedByQueues({ event: 'kvm_mmio', address: 0xfeb0_0250 }), true);
  assert.equal(isSharedByQueues({ event: 'kvm_mmio', address: 0xfeb0_0150 }), false);
  assert.equal(isSharedByQueues({ event: 'kvm_mmio', address: 0xfeb0_3000 }), false);
  assert.equal(isSharedByQueues({ event: 'kvm_fast_mmio', address: 0xfeb0_0050 }), false);
});

test('exits to user space for a device are those for port I/O and MMIO', () => {
  assert.deepEqual(DEVICE_EXITS, [2, 6]);
});
