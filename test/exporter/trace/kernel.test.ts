import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reasonName, reasonsOfTheIoPath } from '../../../exporter/model/io-path.ts';
import { readExitFormat } from '../../../exporter/trace/kernel.ts';
import { caseText } from '../../../testing/cases.ts';
import { hostTree } from '../../../testing/host-tree.ts';
import {
  formatsOf,
  KVM_EXIT_ARM64,
  KVM_EXIT_LOONGARCH,
  KVM_EXIT_RISCV,
} from '../../../testing/tracepoint-formats.ts';

const FORMAT = 'sys/kernel/tracing/events/kvm/kvm_exit/format';
const NAMES = {
  vmx: [
    [1, 'EXTERNAL_INTERRUPT'],
    [12, 'HLT'],
    [30, 'IO_INSTRUCTION'],
    [48, 'EPT_VIOLATION'],
    [49, 'EPT_MISCONFIG'],
  ],
  svm: [
    [0x60, 'interrupt'],
    [0x78, 'hlt'],
    [0x7b, 'io'],
    [0x400, 'npf'],
    [0xffffffff, 'invalid_guest_state'],
  ],
} as const;

for (const kernel of ['6.1', '6.18'] as const) {
  for (const isa of ['vmx', 'svm'] as const) {
    test(`the format of Linux ${kernel} names the reasons of ${isa}`, (context) => {
      const tree = hostTree(context);
      tree.write(FORMAT, formatsOf(kernel).get('kvm/kvm_exit') ?? '');
      tree.write(`sys/module/kvm_${isa === 'svm' ? 'amd' : 'intel'}/refcnt`, '1\n');
      const format = readExitFormat(tree.host);
      assert.equal(format.isa, isa);
      for (const [reason, name] of NAMES[isa]) assert.equal(format.names.get(reason), name);
      // A reason that only the other vendor's table has.
      assert.equal(format.names.get(isa === 'vmx' ? 0x400 : 0x21), isa === 'vmx' ? undefined : 'read_dr1');
      assert.equal(format.names.get(0), isa === 'vmx' ? 'EXCEPTION_NMI' : 'read_cr0');
    });
  }
}

test('case kvm_exit-format-5.4-amd: two tables on one field are distinguished by their order', (context) => {
  const tree = hostTree(context);
  tree.write(FORMAT, caseText('kvm_exit-format-5.4-amd', FORMAT));
  const vmx = readExitFormat(tree.host);
  assert.equal(vmx.isa, 'vmx');
  for (const [reason, name] of [...NAMES.vmx, [0, 'EXCEPTION_NMI']] as const) {
    assert.equal(vmx.names.get(reason), name);
  }
  tree.write('sys/module/kvm_amd/refcnt', '1\n');
  const svm = readExitFormat(tree.host);
  assert.equal(svm.isa, 'svm');
  const names = [
    [0x00, 'read_cr0'],
    [0x03, 'read_cr3'],
    [0x10, 'write_cr0'],
    [0x13, 'write_cr3'],
    [0x30, 'write_dr0'],
    [0x4e, 'PF excp'],
    [0x65, 'cr0_sel_write'],
    [0x6e, 'rdtsc'],
    [0x89, 'wbinvd'],
  ] as const;
  for (const [reason, name] of names) assert.equal(svm.names.get(reason), name);
});

for (const [vendor, isa] of [
  ['GenuineIntel', 'vmx'],
  ['AuthenticAMD', 'svm'],
  ['HygonGenuine', 'svm'],
  ['CentaurHauls', 'vmx'],
] as const) {
  test(`if both modules are built in, a CPU of ${vendor} is ${isa}`, (context) => {
    const tree = hostTree(context);
    for (const module of ['kvm_amd', 'kvm_intel'])
      tree.write(`sys/module/${module}/parameters/nested`, 'Y\n');
    tree.write('proc/cpuinfo', `processor\t: 0\nvendor_id\t: ${vendor}\ncpu family\t: 6\n`);
    assert.equal(readExitFormat(tree.host).isa, isa);
  });
}

test('on arm64 a reason is the kind of exit, and for a trap its class', (context) => {
  const tree = hostTree(context);
  tree.write(FORMAT, KVM_EXIT_ARM64);
  const { isa, names } = readExitFormat(tree.host);
  assert.equal(isa, 'arm64');
  assert.deepEqual(
    [0, 1000, 2001, 2022, 2036].map((reason) => names.get(reason)),
    ['IRQ', 'SERROR', 'WFx', 'HVC64', 'DABT_LOW'],
  );
  assert.equal(names.get(1), undefined);
});

for (const [architecture, format] of [
  ['RISC-V', KVM_EXIT_RISCV],
  ['LoongArch', KVM_EXIT_LOONGARCH],
] as const) {
  test(`the exits of ${architecture} have no reasons of x86`, (context) => {
    const tree = hostTree(context);
    tree.write(FORMAT, format);
    const { isa, names } = readExitFormat(tree.host);
    assert.deepEqual([isa, names.size], ['other', 0]);
    assert.deepEqual(reasonsOfTheIoPath(isa), []);
    for (const reason of [0, 1, 12, 48, 64]) assert.equal(reasonName(isa, reason, names), undefined);
  });
}

test('without the event, the CPU decides whether it is an x86', (context) => {
  const isa = (cpuinfo: string): string => {
    const tree = hostTree(context);
    tree.write('proc/cpuinfo', cpuinfo);
    return readExitFormat(tree.host).isa;
  };
  assert.equal(isa('vendor_id       : IBM/S390\n# processors    : 2\nbogomips per cpu: 24038.00\n'), 'other');
  assert.equal(isa('processor\t: 0\ncpu\t\t: POWER9, altivec supported\n'), 'other');
  assert.equal(isa('processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdch\n'), 'other');
  assert.equal(isa('processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd evtstrm aes\n'), 'arm64');
  assert.equal(isa('processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n'), 'vmx');
});

test('without names from the kernel, the built-in tables name the reasons of the I/O path', (context) => {
  const tree = hostTree(context);
  const { isa, names } = readExitFormat(tree.host);
  assert.deepEqual([isa, names.size], ['vmx', 0]);
  for (const each of ['vmx', 'svm', 'arm64'] as const) {
    for (const reason of reasonsOfTheIoPath(each)) {
      // A reason without a name in Linux 6.1: idle-halt.
      if (each !== 'svm' || reason !== 0xa6) assert.ok(reasonName(each, reason, names), `${each} ${reason}`);
    }
  }
  tree.write('sys/module/kvm_amd/refcnt', '1\n');
  assert.equal(readExitFormat(tree.host).isa, 'svm');
});

test('the built-in tables agree with the kernel’s', (context) => {
  const tree = hostTree(context);
  tree.write(FORMAT, formatsOf('6.18').get('kvm/kvm_exit') ?? '');
  for (const isa of ['vmx', 'svm'] as const) {
    if (isa === 'svm') tree.write('sys/module/kvm_amd/refcnt', '1\n');
    const { names } = readExitFormat(tree.host);
    let compared = 0;
    for (const [reason, name] of names) {
      const builtIn = reasonName(isa, reason, new Map());
      if (builtIn === undefined) continue;
      assert.equal(builtIn, name, `${isa} ${reason}`);
      compared++;
    }
    assert.ok(compared >= 12, `${isa}: ${compared}`);
  }
});

test('a malformed format file is reported', (context) => {
  const tree = hostTree(context);
  tree.write(FORMAT, 'nonsense\n');
  assert.throws(() => readExitFormat(tree.host), { name: 'SourceError', kind: 'malformed' });
});
