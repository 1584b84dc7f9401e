import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interruptKind, interruptType, isSum, nvmeQueues } from '../../../exporter/model/interrupts.ts';

test('on x86 the type is the mnemonic of the line', () => {
  for (const id of ['PIN', 'NPI', 'PIW', 'RES', 'CAL', 'LOC'])
    assert.equal(interruptType(id, 'any text'), id);
  assert.equal(interruptType('NMI', 'Non-maskable interrupts'), undefined);
});

test('IPIs of other architectures are known by their text, as their numbers differ', () => {
  assert.equal(interruptType('IPI0', 'Rescheduling interrupts'), 'RES');
  assert.equal(interruptType('IPI1', 'Function call interrupts'), 'CAL');
  assert.equal(interruptType('IPI2', 'CPU stop interrupts'), undefined);
  assert.equal(interruptType('12', 'Rescheduling interrupts'), undefined, 'a driver with that name');
  assert.equal(interruptType('x12', 'GICv3 30 Level arch_timer'), undefined);
});

test('timers and handlers of KVM are known by the last name of a numbered line', () => {
  const types: Readonly<Record<string, string | undefined>> = {
    'GICv3 30 Level arch_timer': 'LOC',
    arch_timer: 'LOC',
    'RISC-V INTC 5 Edge riscv-timer': 'LOC',
    'CPUINTC  11  timer': 'LOC',
    'IO-APIC   2-edge      timer': undefined,
    'GICv3 27 Level kvm guest vtimer': 'kvm guest vtimer',
    'GICv3 26 Level kvm guest ptimer': 'kvm guest ptimer',
    'GICv3 25 Level vgic': 'vgic',
    vgic: 'vgic',
    'GICv3 25 Level xvgic': undefined,
    'GICv3 25 Level vgic2': undefined,
    'my-arch_timer': undefined,
    'arch_timer eth0': undefined,
    'my-kvm guest vtimer': undefined,
    'kvm guest ptimer x': undefined,
  };
  for (const [text, type] of Object.entries(types)) assert.equal(interruptType('12', text), type, text);
});

test('s390x: timer, signals between CPUs, devices without a number, and sums of other lines', () => {
  assert.equal(interruptType('CLK', '[EXT] Clock Comparator'), 'LOC');
  const lines: readonly (readonly [id: string, text: string, kind: string])[] = [
    ['CLK', '[EXT] Clock Comparator', 'timer'],
    ['EXC', '[EXT] External Call', 'ipi'],
    ['EMS', '[EXT] Emergency Signal', 'ipi'],
    ['SCP', '[EXT] Service Call', 'other'],
    ['DAS', '[I/O] DASD', 'device'],
    ['VAI', '[AIO] Virtual I/O Devices AI', 'device'],
    ['17', 'PCI-MSI  nvme0q1', 'device'],
    ['NMI', '[NMI] Machine Check', 'other'],
  ];
  for (const [id, text, kind] of lines) {
    assert.equal(interruptKind(id, interruptType(id, text), text), kind, id);
    assert.equal(isSum(id, text), false, id);
  }
  for (const id of ['EXT', 'I/O', 'AIO']) assert.equal(isSum(id, ''), true, id);
  assert.equal(isSum('PCD', '[AIO] PCI Directed Interrupt'), true);
  assert.equal(isSum('MSI', '[AIO] MSI Interrupt'), true);
});

test('each NVMe queue on a line counts, and nothing else', () => {
  assert.deepEqual(
    nvmeQueues(['nvme0q0', 'eth0', 'nvme12q345', 'xnvme0q1', 'nvme0q1x', 'nvmeq1', 'nvme0q']),
    [
      { controller: 'nvme0', queue: '0' },
      { controller: 'nvme12', queue: '345' },
    ],
  );
  assert.deepEqual(nvmeQueues([]), []);
});
