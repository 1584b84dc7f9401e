import { getOrInsert } from '../../kernel/maps.ts';
import type { Archive } from './archive.ts';
import { includes, type Period, spansOf } from './periods.ts';
import { stateTimes } from './state-times.ts';
import { ofSubjects, type Subject } from './subject.ts';

/** Share of the events that went into the sample, by set of trace events: the mean over each period. */
export async function sampledShares(
  archive: Archive,
  subjects: readonly Subject[],
  periods: readonly Period[],
  interval: number,
): Promise<Map<Period, Map<string, number>>> {
  const { instance = [] } = ofSubjects(subjects);
  const selector = { metric: 'kvm_telemetry_trace_sampled_ratio', labels: { instance } } as const;
  const { times, window } = stateTimes(archive, periods, interval);
  const how = { kind: 'level', unite: 'sum', by: ['set'], seconds: window } as const;
  const means = new Map<Period, Map<string, { sum: number; count: number }>>();
  for (const time of times) {
    for await (const piece of archive.windows?.(selector, time, how) ?? archive.samples(selector, time)) {
      for (const { labels, samples } of piece) {
        for (const [at, share] of samples) {
          const period = periods.find((each) => includes(spansOf(each), at));
          if (period === undefined) continue;
          const bySet = getOrInsert(means, period, () => new Map<string, { sum: number; count: number }>());
          const mean = getOrInsert(bySet, labels['set'] ?? '', () => ({ sum: 0, count: 0 }));
          mean.sum += share;
          mean.count++;
        }
      }
    }
  }
  return new Map(
    [...means].map(([period, bySet]) => [
      period,
      new Map([...bySet].map(([set, { sum, count }]) => [set, sum / count])),
    ]),
  );
}
