import { secondsOf } from '../../alerts/durations.ts';
import { MISSED, WINDOW } from '../../alerts/thresholds.ts';
import type { AlertEpisode } from '../history/alerts.ts';
import type { Incident } from '../simhost/scenarios/incident.ts';
import type { Span } from '../simhost/scenarios/scenario.ts';
import { CONSEQUENCES, EXPECTED, type Expected, type Named, type Unfit } from './expected.ts';

/** The incidents of a run and the alerts that fired. */
export interface Study {
  /** Unix time in seconds at which the scenario began. */
  readonly start: number;
  /** Seconds between scrapes. */
  readonly step: number;
  readonly incidents: readonly Incident[];
  /** Spans without scrapes. */
  readonly unwatched: readonly Span[];
  readonly fired: readonly AlertEpisode[];
}

export type Verdict = 'found' | 'late' | 'missed' | 'too short' | 'unwatched' | Unfit;

/** One scrape and one evaluation after it. */
const slackOf = ({ step }: Study): number => 2 * step;

/**
 * Whether the alert reports this incident: same VM, and it started during the incident or up to a window
 * later.
 */
function matchesIncident(
  study: Study,
  { vm, from, to }: Incident,
  { labels, firingAt = 0 }: AlertEpisode,
): boolean {
  const last = study.start + to + secondsOf(WINDOW) + slackOf(study);
  return (labels['vm'] ?? '') === vm && firingAt >= study.start + from && firingAt <= last;
}

function isOf({ alert, technique }: Named, episode: AlertEpisode): boolean {
  return episode.alert === alert && (technique === undefined || episode.labels['technique'] === technique);
}

/** Whether an incident explains this alert, directly or as a consequence. */
export function isExplained(study: Study, episode: AlertEpisode): boolean {
  return study.incidents.some(
    (incident) =>
      matchesIncident(study, incident, episode) &&
      [...EXPECTED[incident.kind], ...(CONSEQUENCES[incident.kind] ?? [])].some((alert) =>
        isOf(alert, episode),
      ),
  );
}

/** Seconds after the start by which the alert must fire. A long gap in the scrapes restarts this time. */
function allowed(study: Study, { kind, from }: Incident, expected: Expected): number {
  const within = expected.within + slackOf(study);
  // The missing scrapes are the incident itself.
  if (kind === 'exporter_down') return within;
  return study.unwatched
    .filter((span) => span.to - span.from > secondsOf(MISSED))
    .sort((a, b) => a.from - b.from)
    .reduce(
      (until, span) => (span.from < from + until && span.to > from ? span.to - from + within : until),
      within,
    );
}

export interface Outcome {
  readonly verdict: Verdict;
  /** Seconds until the alert fired. */
  readonly delay?: number;
}

/** Whether one of the alerts that an incident must raise did fire, and when. */
function judge(study: Study, incident: Incident, expected: Expected): Outcome {
  const until = allowed(study, incident, expected);
  const own = study.fired.find(
    (episode) => isOf(expected, episode) && matchesIncident(study, incident, episode),
  );
  if (own?.firingAt !== undefined) {
    const delay = own.firingAt - study.start - incident.from;
    return { verdict: delay > until ? 'late' : 'found', delay };
  }
  const unfit = expected.unfit?.(incident) ?? false;
  if (unfit !== false) return { verdict: unfit };
  const lasts = incident.to - incident.from;
  if (lasts < expected.within + slackOf(study)) return { verdict: 'too short' };
  return { verdict: lasts < until ? 'unwatched' : 'missed' };
}

/** One outcome for each alert that the incident must raise, in the order of EXPECTED. */
export function judgeAll(study: Study, incident: Incident): (Outcome & { readonly expected: Expected })[] {
  return EXPECTED[incident.kind].map((expected) => ({ expected, ...judge(study, incident, expected) }));
}
