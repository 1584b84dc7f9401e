import { getOrInsert } from '../../kernel/maps.ts';
import { HIDERS, type Hider, SIGHTS, type Sight } from '../metrics/visibility.ts';
import type { Archive } from './archive.ts';
import { includes, type Period } from './periods.ts';
import { stateTimes } from './state-times.ts';
import { keyOf, ofSubjects, type Subject } from './subject.ts';

/** What was hidden of the VMs' I/O in a period: by reason, with the VMs' names. */
export type HiddenIo = ReadonlyMap<Hider, { readonly sights: Set<Sight>; readonly vms: Set<string> }>;

/** What the host could not see of the I/O of these VMs, in each period. */
export async function hiddenIo(
  archive: Archive,
  subjects: readonly Subject[],
  periods: readonly Period[],
  interval: number,
): Promise<Map<Period, HiddenIo>> {
  const { times, window } = stateTimes(archive, periods, interval);
  const selector = { metric: 'kvm_vm_visibility', labels: ofSubjects(subjects) } as const;
  const how = { kind: 'level', unite: 'sum', by: ['what', 'reason'], seconds: window } as const;
  const found = new Map<Period, Map<Hider, { sights: Set<Sight>; vms: Set<string> }>>();
  for (const time of times) {
    for await (const piece of archive.windows?.(selector, time, how) ?? archive.samples(selector, time)) {
      for (const { labels, samples } of piece) {
        const hider = (Object.keys(HIDERS) as Hider[]).find((each) => each === labels['reason']);
        const sight = SIGHTS.find((each) => each === labels['what']);
        if (hider === undefined || sight === undefined) continue;
        const key = keyOf(labels);
        for (const period of periods) {
          const spans = period.spans.get(key) ?? [];
          if (!samples.some(([at]) => includes(spans, at))) continue;
          const byHider = getOrInsert(found, period, () => new Map());
          const own = getOrInsert(byHider, hider, () => ({
            sights: new Set<Sight>(),
            vms: new Set<string>(),
          }));
          own.sights.add(sight);
          own.vms.add(labels['vm'] ?? '');
        }
      }
    }
  }
  return found;
}
