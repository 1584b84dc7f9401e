import { Random } from '../random.ts';
import { type Fleet, fleet, quietVm } from './fleet.ts';
import {
  absent,
  agenda,
  between,
  type Happening,
  MINUTE,
  type Scenario,
  type ScenarioOptions,
  type Span,
  timetable,
  type Watchers,
} from './scenario.ts';

/**
 * The first number of a new VM. New VMs are not pinned: they would take the cores of a VM that is migrated
 * away and comes back.
 */
const NEWBORN = 101;
const REBOOTS = 8;
const MIGRATIONS = 5;
const DEATHS = 4;
const BIRTHS = 4;
const HANGS = 4;

/** Six hours of 50 VMs without anything that is worth an alert. */
export function normal(options: ScenarioOptions): Scenario {
  return living(fleet(options), options.seed, []);
}

/** A fleet with its ordinary events and additional ones. */
export function living(vms: Fleet, seed: number, more: readonly Happening[]): Scenario {
  const { host, setLoads } = vms;
  const random = new Random(seed ^ 0x11fe);
  const watchers: Watchers = { exporter: 'up', prometheus: 'up' };
  const vmsLive = ofVms(vms, random);
  const unwatched = outages(random);
  const ofWatchers = unwatched.flatMap(({ of, from, to }) =>
    between(from, to, (on) => absent(watchers, of, on)),
  );
  const happenings = [...vmsLive, ...ofWatchers, ...more];
  const happen = agenda(host, happenings);
  const runDue = timetable(host, MINUTE, [{ at: 0, happen: setLoads }]);
  const script = (): void => {
    happen();
    runDue();
  };
  return { host, watchers, unwatched, script };
}

/** A start time in minutes of the six hours for an event that is over within an hour. */
function anyTime(random: Random): number {
  return Math.round((5 + random.next() * 290) * MINUTE);
}

/**
 * Reboots, migrations away and back, new VMs, terminated VMs, monitors that hang for half a minute: at most
 * one event per VM.
 */
function ofVms({ host, lively }: Fleet, random: Random): Happening[] {
  const left = [...lively];
  const some = (count: number): string[] => left.splice(0, count);
  const once = (happen: () => void): Happening => ({ at: anyTime(random), happen });
  const away = (name: string): Happening[] => {
    const from = anyTime(random);
    const { spec } = host.vm(name);
    return between(from, from + (3 + random.below(50)) * MINUTE, (on) =>
      on ? host.destroy(name) : host.boot(spec),
    );
  };
  const hang = (name: string): Happening[] => {
    const from = anyTime(random);
    return between(from, from + 30, (on) => host.faults.hangMonitor(name, on));
  };
  const born = Array.from({ length: BIRTHS }, (_, i) => quietVm(NEWBORN + i));
  return [
    ...some(REBOOTS).map((name) => once(() => host.reboot(name))),
    ...some(MIGRATIONS).flatMap(away),
    ...some(HANGS).flatMap(hang),
    ...some(DEATHS).map((name) => once(() => host.destroy(name))),
    ...born.map((spec) => once(() => host.boot(spec))),
  ];
}

interface Outage extends Span {
  readonly of: keyof Watchers;
}

/**
 * Restarts of the exporter, an update that takes a minute or two, missed scrapes, a Prometheus that moves.
 */
function outages(random: Random): Outage[] {
  const some = (of: Outage['of'], seconds: number): Outage => {
    const from = anyTime(random);
    return { of, from, to: from + seconds };
  };
  return [
    ...[5, 5, 10, 70, 150].map((seconds) => some('exporter', seconds)),
    ...[20, 40, 12 * MINUTE].map((seconds) => some('prometheus', seconds)),
  ];
}
