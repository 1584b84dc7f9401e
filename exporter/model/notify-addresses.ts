import { PAGE_SIZE } from '../../kernel/units.ts';
import type { NotifyAddress } from '../../probes/bpf/kvm-rows.ts';
import type { NotifyWrite } from './io-path.ts';

/** The start of the page in which a virtqueue is notified, or the port: a device has one of its own. */
export function placeOf({ event, address }: NotifyWrite): number {
  return event === 'kvm_pio' ? address : address - (address % PAGE_SIZE);
}

/**
 * The number of a device's queues, used or not: those with a notify address in the page of its kicks.
 *
 * @param all addresses that the kernel has for the VM; undefined if unknown
 * @returns undefined if the kernel has none there, as with ioeventfd=off
 */
export function queuesBeside(
  kicks: readonly NotifyWrite[],
  all: readonly NotifyAddress[] | undefined,
): number | undefined {
  const places = new Set(kicks.map((kick) => `${kick.event === 'kvm_pio'} ${placeOf(kick)}`));
  const beside = (all ?? []).filter((each) => places.has(`${each.isPort} ${placeOf(writeTo(each))}`));
  return beside.length === 0 ? undefined : beside.reduce((sum, { queues }) => sum + queues, 0);
}

/** The write that notifies at this address. */
export function writeTo({ address, isPort }: NotifyAddress): NotifyWrite {
  return { event: isPort ? 'kvm_pio' : 'kvm_fast_mmio', address };
}
