import { type Diagnosis, diagnose } from '../assessment/cause/diagnosis.ts';
import { type EventLog, MAX_EVENTS } from '../assessment/event-log.ts';
import type { HostHistory } from './history/host-history.ts';
import { rounded } from './history/points.ts';
import type { LiveCauses } from './live.ts';

/** The changes in the minutes in which a VM's I/O became worse, from the daemon's hour. */
export function diagnosisOf(
  vm: string,
  history: Pick<HostHistory, 'read'>,
  events: Pick<EventLog, 'find'>,
): Diagnosis {
  return diagnose(history.read(vm), events.find({ vm, limit: MAX_EVENTS }));
}

/** The response of `GET /api/v1/causes`. */
export function liveCauses(
  vm: string,
  pid: string | undefined,
  { isKnown, worsening, causes, unknown }: Diagnosis,
): LiveCauses {
  return {
    vm,
    pid: pid ?? null,
    isKnown,
    worsening: worsening && {
      metric: worsening.metric,
      from: rounded(worsening.from),
      to: rounded(worsening.to),
      since: worsening.since,
    },
    causes: causes.map(({ cause, before, after, unit, explains, text }) => ({
      cause,
      before: before === undefined ? null : rounded(before),
      after: after === undefined ? null : rounded(after),
      unit: unit ?? null,
      explains: rounded(explains),
      text,
    })),
    unknown,
  };
}
