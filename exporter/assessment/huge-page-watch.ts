import { MIB, PAGE_SIZE } from '../../kernel/units.ts';
import type { HostEvent } from '../model/host-event.ts';
import type { Vm } from '../model/vm.ts';
import type { KernelFacts } from '../model/vm-statistics.ts';

/** KVM unmaps pages for moments, and maps them again when the guest touches them. */
const READINGS_TO_BELIEVE = 3;
/** Less is mapped for a moment after KVM has unmapped all. */
const MIN_MAPPED = MIB;
/** Of the mapped memory: so much less than at best is a loss, and so near to the best is the end of it. */
const LOST = 0.25;
const NEARLY_BEST = 0.1;

/** Bytes of a page by KVM's statistic, arch/x86/include/asm/kvm_host.h. */
const PAGE_BYTES = { pages_4k: PAGE_SIZE, pages_2m: 2 * MIB, pages_1g: 1024 * MIB };

type Reading = Pick<KernelFacts, 'vm'>;

interface Mapped {
  readonly bytes: number;
  readonly huge: number;
}

interface Known {
  readonly best: Mapped;
  readonly isLost: boolean;
  /** How many readings in a row contradict `isLost`. */
  readonly contradictions: number;
  readonly reading: Reading;
}

/**
 * Notices when KVM maps a guest's memory in small pages that it mapped in huge ones before: dirty logging splits them, and so does
 * memory that is no longer contiguous.
 */
export class HugePageWatch {
  #known: ReadonlyMap<string, Known> = new Map();

  /**
   * Call it for each new reading of the statistics, with all VMs of the host.
   *
   * @param readingOf the last reading; undefined, or without the numbers of pages, changes nothing
   */
  changes(vms: readonly Vm[], readingOf: (vm: Vm) => Reading | undefined): HostEvent[] {
    const next = new Map<string, Known>();
    const events: HostEvent[] = [];
    for (const vm of vms) {
      const { key } = vm;
      const before = this.#known.get(key);
      const reading = readingOf(vm);
      const mapped = reading === undefined || reading === before?.reading ? undefined : mappedIn(reading);
      if (reading === undefined || mapped === undefined) {
        if (before !== undefined) next.set(key, before);
        continue;
      }
      const now = follow(before, mapped, reading);
      next.set(key, now);
      if (before === undefined || before.isLost === now.isLost) continue;
      const kind = now.isLost ? 'huge_pages_lost' : 'huge_pages_back';
      events.push({ kind, vm: vm.label, what: '', evidence: evidenceOf(mapped, now.best) });
    }
    this.#known = next;
    return events;
  }
}

function mappedIn({ vm }: Reading): Mapped | undefined {
  const of = (name: keyof typeof PAGE_BYTES): number => (vm.get(name) ?? Number.NaN) * PAGE_BYTES[name];
  const huge = of('pages_2m') + of('pages_1g');
  const bytes = of('pages_4k') + huge;
  return bytes >= MIN_MAPPED ? { bytes, huge } : undefined;
}

function follow(before: Known | undefined, mapped: Mapped, reading: Reading): Known {
  if (before === undefined) return { best: mapped, isLost: false, contradictions: 0, reading };
  const best = mapped.huge >= before.best.huge ? mapped : before.best;
  const missing = shareOf(best) - shareOf(mapped);
  // Memory that was never mapped before may be in small pages.
  const isLess = mapped.huge < best.huge * (1 - LOST);
  const isOther = before.isLost ? missing <= NEARLY_BEST : missing >= LOST && isLess;
  const contradictions = isOther ? before.contradictions + 1 : 0;
  const isBelieved = contradictions >= READINGS_TO_BELIEVE;
  return {
    best,
    isLost: isBelieved ? !before.isLost : before.isLost,
    contradictions: isBelieved ? 0 : contradictions,
    reading,
  };
}

function shareOf({ bytes, huge }: Mapped): number {
  return huge / bytes;
}

/** `12% of 4096 MiB, at best 98%` */
function evidenceOf(mapped: Mapped, best: Mapped): string {
  const percent = (of: Mapped): string => `${Math.round(shareOf(of) * 100)}%`;
  return `${percent(mapped)} of ${Math.round(mapped.bytes / MIB)} MiB, at best ${percent(best)}`;
}
