import type { HostEvent } from '../model/host-event.ts';
import type { Vm } from '../model/vm.ts';
import type { KernelFacts } from '../model/vm-statistics.ts';

/** KVM also inhibits APICv for moments, such as for an interrupt window (arch/x86/kvm/svm/svm.c). */
const READINGS_TO_BELIEVE = 3;

type Reading = Pick<KernelFacts, 'apicv'>;

interface Known {
  /** Reasons of the last confirmed change, in one text. Empty: APICv works. */
  readonly believed: string;
  readonly latest: string;
  /** How many readings in a row gave `latest`. */
  readonly readings: number;
  readonly reading: Reading;
}

/** Notices when KVM stops or starts to use APICv or AVIC for a running VM. */
export class ApicvWatch {
  #known: ReadonlyMap<string, Known> = new Map();

  /**
   * Call it for each new reading of the statistics, with all VMs of the host.
   *
   * @param readingOf the last reading; undefined, or without `apicv`, changes nothing
   */
  changes(vms: readonly Vm[], readingOf: (vm: Vm) => Reading | undefined): HostEvent[] {
    const next = new Map<string, Known>();
    const events: HostEvent[] = [];
    for (const vm of vms) {
      const before = this.#known.get(vm.key);
      const now = follow(before, readingOf(vm));
      if (now === undefined) continue;
      next.set(vm.key, now);
      if (before !== undefined && before.believed !== now.believed)
        events.push(eventOf(vm.label, now.believed));
    }
    this.#known = next;
    return events;
  }
}

function follow(before: Known | undefined, reading: Reading | undefined): Known | undefined {
  if (reading?.apicv === undefined || reading === before?.reading) return before;
  const latest = [...reading.apicv.inhibited].sort().join(', ');
  if (before === undefined) return { believed: latest, latest, readings: 1, reading };
  const readings = latest === before.latest ? before.readings + 1 : 1;
  const believed = readings >= READINGS_TO_BELIEVE ? latest : before.believed;
  return { believed, latest, readings, reading };
}

function eventOf(vm: string, reasons: string): HostEvent {
  return reasons === ''
    ? { kind: 'apicv_works', vm, what: '', evidence: '' }
    : { kind: 'apicv_inhibited', vm, what: reasons.replaceAll('_', ' '), evidence: '' };
}
