import { addTo, getOrInsert } from '../../kernel/maps.ts';
import { TECHNIQUE_STATES, TECHNIQUES, type Technique, type TechniqueState } from '../metrics/techniques.ts';
import type { Archive } from './archive.ts';
import type { Configuration, Span } from './model.ts';
import { includes, type Period } from './periods.ts';
import { stateTimes } from './state-times.ts';
import { keyOf, ofSubjects, type Subject } from './subject.ts';

export type TechniqueTimes = Map<Technique, Map<TechniqueState, number>>;

/** Seconds of each period in the states of each technique. */
export async function techniqueTimes(
  archive: Archive,
  subjects: readonly Subject[],
  periods: readonly Period[],
  interval: number,
): Promise<Map<Period, Configuration['techniques']>> {
  const { times: all, window } = stateTimes(archive, periods, interval);
  const result = new Map<Period, TechniqueTimes>(periods.map((period) => [period, new Map()]));
  for (const time of all) {
    for await (const { key, technique, state, at, share } of statesIn(archive, subjects, time, window)) {
      const inForce = periods.find(({ spans }) => includes(spans.get(key) ?? [], at));
      const times = inForce && result.get(inForce);
      if (times)
        addTo(
          getOrInsert(times, technique, () => new Map<TechniqueState, number>()),
          state,
          share * window,
        );
    }
  }
  return result;
}

interface StateAt {
  readonly key: string;
  readonly technique: Technique;
  readonly state: TechniqueState;
  readonly at: number;
  /** Of the window that ends at `at`. */
  readonly share: number;
}

async function* statesIn(
  archive: Archive,
  subjects: readonly Subject[],
  time: Span,
  window: number,
): AsyncGenerator<StateAt> {
  const selector = { metric: 'kvm_vm_technique_state', labels: ofSubjects(subjects) } as const;
  const how = { kind: 'level', unite: 'sum', by: ['technique', 'state'], seconds: window } as const;
  for await (const piece of archive.windows?.(selector, time, how) ?? archive.samples(selector, time)) {
    for (const { labels, samples } of piece) {
      const technique = TECHNIQUES.find((each) => each === labels['technique']);
      const state = TECHNIQUE_STATES.find((each) => each === labels['state']);
      if (technique === undefined || state === undefined) continue;
      for (const [at, share] of samples)
        if (share > 0) yield { key: keyOf(labels), technique, state, at, share };
    }
  }
}
