import type { Host } from '../host.ts';
import { readPossibleCpus } from '../sys-cpu.ts';
import { BpfIterator } from './iterator.ts';
import { parseKvmRows } from './kvm-rows.ts';
import type { Libbpf } from './libbpf.ts';
import { Row, rowsIn } from './rows.ts';

/** probes/bpf/rows.h: the VM's address follows the head of each row of KVM. */
const VM = 16;

/**
 * Rows of this host, by the name of their file, for a copy of the host. Kernel addresses of VMs are replaced by
 * numbers.
 *
 * @param only the processes of some VMs; all if undefined
 * @throws SourceError
 */
export function captureRows(
  libbpf: Libbpf,
  host: Host,
  only?: ReadonlySet<number>,
): Record<'kvm' | 'threads', Buffer> {
  const kvm = BpfIterator.load(libbpf, 'kvm');
  const threads = BpfIterator.load(libbpf, 'threads');
  try {
    const rows = withoutAddresses(rowsOf(Buffer.from(kvm.read()), only));
    const pids = new Set(parseKvmRows(rows, kvm.object).vms.map(({ pid }) => pid));
    threads.processSet('processes').replace(pids, Math.ceil(readPossibleCpus(host) / 64));
    return { kvm: rows, threads: Buffer.from(threads.read()) };
  } finally {
    kvm.close();
    threads.close();
  }
}

function rowsOf(rows: Buffer, only: ReadonlySet<number> | undefined): Buffer {
  const kept: Buffer[] = [];
  let start = 0;
  for (const { pid, size } of rowsIn(rows, 'rows of KVM', (of, at, length) => new Row(of, at, length))) {
    if (only === undefined || only.has(pid)) kept.push(rows.subarray(start, start + size));
    start += size;
  }
  return Buffer.concat(kept);
}

/** Numbers the VMs in the order of their rows. */
export function withoutAddresses(rows: Buffer): Buffer {
  const numbers = new Map<bigint, number>();
  const changed = Buffer.from(rows);
  let start = 0;
  for (const { size } of rowsIn(rows, 'rows of KVM', (of, at, length) => new Row(of, at, length))) {
    const address = rows.readBigUInt64LE(start + VM);
    const number = numbers.get(address) ?? numbers.size + 1;
    numbers.set(address, number);
    changed.writeBigUInt64LE(BigInt(number), start + VM);
    start += size;
  }
  return changed;
}
