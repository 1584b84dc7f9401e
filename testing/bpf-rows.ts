import { VCPU_STATISTICS, VM_STATISTICS } from '../probes/bpf/kvm-rows.ts';

type Statistics = Readonly<Record<string, number>>;

interface VcpuFields {
  readonly pid: number;
  readonly vm?: bigint;
  readonly id: number;
  readonly tid?: number;
  readonly statistics?: Statistics;
  readonly waits?: readonly number[];
  readonly haltPollNs?: number;
  readonly isApicvActive?: boolean;
  readonly guestPolls?: boolean;
}

interface VmFields {
  /** Bits of enum apicv_inhibit. */
  readonly apicvInhibited?: number;
  /** A number of KVM_X86_*_VM. */
  readonly type?: number;
  /** Whether the kernel has ioeventfds: their rows come before. */
  readonly hasIoeventfds?: boolean;
  readonly haltsInside?: boolean;
}

const VM = 0xffff_8881_0000_0000n;
const BUCKETS = 32;
const HISTOGRAMS = 3;

/** A row of a vCPU, as probes/bpf/rows.h describes it. */
export function vcpuRow(fields: VcpuFields): Buffer {
  const { pid, vm = VM, id, tid = 0, statistics = {}, waits, haltPollNs, isApicvActive, guestPolls } = fields;
  const values = valuesOf(VCPU_STATISTICS, statistics);
  const head = Buffer.alloc(24);
  head.writeUInt32LE(id, 0);
  head.writeUInt32LE(tid, 4);
  head.writeUInt32LE(haltPollNs ?? 0, 8);
  const apicv = isApicvActive === undefined ? 0 : isApicvActive ? 4 + 8 : 4;
  const polls = guestPolls === undefined ? 0 : guestPolls ? 16 + 32 : 16;
  head.writeUInt32LE((waits === undefined ? 0 : 1) + (haltPollNs === undefined ? 0 : 2) + apicv + polls, 12);
  head.writeBigUInt64LE(presentOf(VCPU_STATISTICS, statistics), 16);
  const histograms = Buffer.alloc(8 * BUCKETS * HISTOGRAMS);
  waits?.forEach((count, i) => {
    histograms.writeBigUInt64LE(BigInt(count), 8 * (2 * BUCKETS + i));
  });
  return row(2, pid, vm, Buffer.concat([head, values, histograms]));
}

/** A row of a VM. */
export function vmRow(pid: number, statistics: Statistics = {}, vm = VM, fields: VmFields = {}): Buffer {
  const { apicvInhibited, type, hasIoeventfds, haltsInside } = fields;
  const head = Buffer.alloc(24);
  const known = [
    apicvInhibited !== undefined,
    type !== undefined,
    hasIoeventfds === true,
    haltsInside !== undefined,
    haltsInside === true,
  ];
  head.writeUInt32LE(
    known.reduce((bits, is, i) => bits + (is ? 2 ** i : 0), 0),
    0,
  );
  head.writeUInt32LE(type ?? 0, 4);
  head.writeUInt32LE(apicvInhibited ?? 0, 8);
  head.writeBigUInt64LE(presentOf(VM_STATISTICS, statistics), 16);
  return row(1, pid, vm, Buffer.concat([head, valuesOf(VM_STATISTICS, statistics)]));
}

/** A row of an ioeventfd. @param value undefined: any */
export function ioeventfdRow(pid: number, address: bigint, isPort: boolean, value?: number, vm = VM): Buffer {
  const body = Buffer.alloc(24);
  body.writeBigUInt64LE(address, 0);
  body.writeBigUInt64LE(BigInt(value ?? 0), 8);
  body.writeUInt32LE(2, 16);
  body.writeUInt32LE((isPort ? 1 : 0) + (value === undefined ? 2 : 0), 20);
  return row(4, pid, vm, body);
}

function row(kind: number, pid: number, vm: bigint, body: Buffer): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(kind, 0);
  head.writeUInt32LE(head.length + body.length, 4);
  head.writeUInt32LE(pid, 8);
  head.writeBigUInt64LE(vm, 16);
  return Buffer.concat([head, body]);
}

function valuesOf(names: readonly string[], statistics: Statistics): Buffer {
  const values = Buffer.alloc(8 * names.length);
  names.forEach((name, i) => {
    values.writeBigUInt64LE(BigInt(statistics[name] ?? 0), 8 * i);
  });
  return values;
}

function presentOf(names: readonly string[], statistics: Statistics): bigint {
  return names.reduce((bits, name, i) => (name in statistics ? bits | (1n << BigInt(i)) : bits), 0n);
}
