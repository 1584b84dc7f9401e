import { addTo, append, getOrInsert } from '../../kernel/maps.ts';
import type { Disk } from '../../probes/sys-block.ts';
import type { Queues } from '../model/queues.ts';
import { durationHistogram, type KickCount, type MsiCount, type VmTrace } from '../model/vm-trace.ts';
import { OTHER, type TraceSamples, vcpuOf } from './trace-samples.ts';

/** Limit per VM of series for pairs of vector and destination. */
const MAX_MSI = 64;

/** Kicks by virtqueue and vCPU. */
export function addKicks(
  { families, vm, sum }: TraceSamples,
  kicks: readonly KickCount[],
  queues: Queues,
): void {
  queues.observe(kicks);
  const counts = new Map<string, { queue: string; vcpu: string; addends: [string, number][] }>();
  for (const kick of kicks) {
    const queue = queues.indexOf(kick);
    const vcpu = vcpuOf(kick.thread) ?? OTHER;
    const key = `${queue} ${vcpu}`;
    const { addends } = getOrInsert(counts, key, () => ({ queue, vcpu, addends: [] }));
    addends.push([`${kick.event} ${kick.address} ${kick.thread}`, kick.count]);
  }
  for (const [key, { queue, vcpu, addends }] of counts) {
    families.add('kvm_virtqueue_kicks_total', { vm, queue, vcpu }, sum(`kicks ${key}`, addends));
  }
}

/** Pairs are in order of first appearance, so every scrape merges the same ones into the last series. */
export function addMsi({ families, vm, total }: TraceSamples, msi: readonly MsiCount[]): void {
  const pairs = new Map<string, number>();
  for (const { vector, destination, count } of msi) {
    const key = `${vector} ${destination}`;
    addTo(pairs, pairs.has(key) || pairs.size < MAX_MSI ? key : `${OTHER} ${OTHER}`, count);
  }
  for (const [key, count] of pairs) {
    const [vector = '', destination = ''] = key.split(' ');
    families.add('kvm_vm_msi_interrupts_total', { vm, vector, destination }, total(`msi ${key}`, count));
  }
}

/** Block requests by device, and their durations. Two paths of a multipath disk are one device. */
export function addBlockRequests(
  { families, vm, sum }: TraceSamples,
  { blockRequests, blockDurations }: VmTrace,
  disks: readonly Disk[],
): void {
  const requests = new Map<string, [string, number][]>();
  for (const [device, count] of blockRequests ?? []) {
    const name = deviceName(device, disks);
    append(requests, name, [String(device), count]);
  }
  for (const [device, addends] of requests) {
    families.add('kvm_vm_block_requests_total', { vm, device }, sum(`requests ${device}`, addends));
  }
  if (blockDurations === undefined) return;
  families.addHistogram('kvm_vm_block_request_duration_seconds', { vm }, durationHistogram(blockDurations));
}

/**
 * Decodes a kernel dev_t (include/linux/kdev_t.h). Requests of a multipath disk are traced under its hidden
 * path.
 */
function deviceName(device: number, disks: readonly Disk[]): string {
  const [major, minor] = [Math.floor(device / 2 ** 20), device % 2 ** 20];
  const disk = disks.find((each) => each.device?.major === major && each.device.minor === minor);
  const head = disk?.hidden === true ? disks.find(({ paths }) => paths.includes(disk.name)) : disk;
  return (head ?? disk)?.name ?? `${major}:${minor}`;
}
