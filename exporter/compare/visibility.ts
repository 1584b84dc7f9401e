import { getOrInsert } from '../../kernel/maps.ts';
import { HIDERS, type Hider, SIGHTS, type Sight } from '../metrics/visibility.ts';
import type { Archive } from './archive.ts';
import type { Span } from './model.ts';
import { includes, type Period } from './periods.ts';
import { stateTimes } from './state-times.ts';
import { keyOf, ofSubjects, type Subject } from './subject.ts';

interface Hidden {
  readonly sights: Set<Sight>;
  readonly vms: Set<string>;
}

/** The hidden parts of the VMs' I/O in a period: by reason, with the VMs' names. */
export type HiddenIo = ReadonlyMap<Hider, Hidden>;

/** The parts of these VMs' I/O that the host could not see, in each period. */
export async function hiddenIo(
  archive: Archive,
  subjects: readonly Subject[],
  periods: readonly Period[],
  interval: number,
): Promise<Map<Period, HiddenIo>> {
  const { times, window } = stateTimes(archive, periods, interval);
  const found = new Map<Period, Map<Hider, Hidden>>();
  for (const time of times) {
    for await (const { key, vm, hider, sight, seen } of hidingIn(archive, subjects, time, window)) {
      const during = periods.filter(({ spans }) => seen.some((at) => includes(spans.get(key) ?? [], at)));
      for (const period of during) {
        const byHider = getOrInsert(found, period, () => new Map<Hider, Hidden>());
        const own = getOrInsert(byHider, hider, () => ({ sights: new Set(), vms: new Set() }));
        own.sights.add(sight);
        own.vms.add(vm);
      }
    }
  }
  return found;
}

interface Hiding {
  readonly key: string;
  readonly vm: string;
  readonly hider: Hider;
  readonly sight: Sight;
  /** Times of the periods. */
  readonly seen: readonly number[];
}

async function* hidingIn(
  archive: Archive,
  subjects: readonly Subject[],
  time: Span,
  window: number,
): AsyncGenerator<Hiding> {
  const selector = { metric: 'kvm_vm_visibility', labels: ofSubjects(subjects) } as const;
  const how = { kind: 'level', unite: 'sum', by: ['what', 'reason'], seconds: window } as const;
  for await (const piece of archive.windows?.(selector, time, how) ?? archive.samples(selector, time)) {
    for (const { labels, samples } of piece) {
      const hider = (Object.keys(HIDERS) as Hider[]).find((each) => each === labels['reason']);
      const sight = SIGHTS.find((each) => each === labels['what']);
      if (hider === undefined || sight === undefined) continue;
      const seen = samples.map(([at]) => at);
      yield { key: keyOf(labels), vm: labels['vm'] ?? '', hider, sight, seen };
    }
  }
}
