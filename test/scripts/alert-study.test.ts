import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { secondsOf } from '../../alerts/durations.ts';
import { crossNodeIo, exitStorm, WINDOW } from '../../alerts/thresholds.ts';
import { isSound, report, summary } from '../../lab/alert-study/report.ts';
import { judgeAll, type Outcome, type Study } from '../../lab/alert-study/verdict.ts';
import type { AlertEpisode } from '../../lab/history/alerts.ts';
import type { Incident } from '../../lab/simhost/scenarios/incident.ts';

const START = 1_760_000_400;
const STEP = 15;
/** Time until a storm is detected, two scrapes included. */
const STORM = secondsOf(WINDOW) + secondsOf(exitStorm.for) + 2 * STEP;
const storm: Incident = { kind: 'exit_storm', vm: 'vm-1', size: 80_000, from: 600, to: 1800 };

function alert(name: string, vm: string | undefined, after: number): AlertEpisode {
  const labels = { alertname: name, ...(vm === undefined ? {} : { vm }) };
  const firingAt = START + storm.from + after;
  return { alert: name, labels, pendingAt: firingAt - 120, firingAt, resolvedAt: undefined };
}

function study(
  incidents: readonly Incident[],
  fired: readonly AlertEpisode[],
  unwatched: Study['unwatched'] = [],
): Study {
  return { start: START, step: STEP, incidents, fired, unwatched };
}

/** Of the first alert that the incident must raise, or of this one. */
function judge(of: Study, incident: Incident, name?: string): Outcome {
  const all = judgeAll(of, incident);
  const { expected, ...outcome } =
    all.find((each) => each.expected.alert === name) ?? all[0] ?? assert.fail();
  return outcome;
}

const verdict = (
  incident: Incident,
  fired: readonly AlertEpisode[],
  unwatched: Study['unwatched'] = [],
): string => judge(study([incident], fired, unwatched), incident).verdict;

describe('an incident', () => {
  it('is found by its own alert, of its own VM, in time', () => {
    assert.deepEqual(judge(study([storm], [alert('KvmExitStorm', 'vm-1', STORM)]), storm), {
      verdict: 'found',
      delay: STORM,
    });
    assert.equal(verdict(storm, [alert('KvmExitStorm', 'vm-1', STORM + 1)]), 'late');
    assert.equal(verdict(storm, [alert('KvmExitStorm', 'vm-2', 200)]), 'missed');
    assert.equal(verdict(storm, [alert('KvmVcpuStarved', 'vm-1', 200)]), 'missed');
    assert.equal(verdict(storm, [alert('KvmExitStorm', 'vm-1', -60)]), 'missed');
  });

  it('needs no alert if it is too short, too small or too young', () => {
    assert.equal(verdict({ ...storm, to: storm.from + STORM - 1 }, []), 'too short');
    assert.equal(verdict({ ...storm, to: storm.from + STORM }, []), 'missed');
    assert.equal(verdict({ ...storm, size: 39_999 }, []), 'too small');
    // Within what 80,000 I/Os a second may cost.
    assert.equal(verdict({ ...storm, vm: 'fast-0', size: 90_000 }, []), 'too small');
    assert.equal(verdict({ ...storm, kind: 'storm_of_its_day' }, []), 'too young');
    assert.equal(verdict({ ...storm, kind: 'storm_of_its_day', usual: 30_000 }, []), 'too small');
    assert.equal(verdict({ ...storm, kind: 'storm_of_its_day', usual: 0 }, []), 'missed');
  });

  it('gets its full time again after an outage, and is not missed if it ends before', () => {
    const away = [{ from: 700, to: 1000 }];
    assert.equal(verdict(storm, [alert('KvmExitStorm', 'vm-1', 400 + STORM)], away), 'found');
    assert.equal(verdict(storm, [alert('KvmExitStorm', 'vm-1', 401 + STORM)], away), 'late');
    assert.equal(verdict(storm, [], away), 'missed');
    assert.equal(verdict({ ...storm, to: 1200 }, [], away), 'unwatched');
    assert.equal(verdict({ ...storm, to: 1200 }, [], [{ from: 2000, to: 3000 }]), 'missed', 'later');
  });

  it('is not excused by a restart of the exporter, which must not delay an alert', () => {
    const moved: Incident = { ...storm, kind: 'drift_other_node', to: 3000 };
    const restart = [{ from: 1000, to: 1005 }];
    const within = secondsOf(crossNodeIo.for) + 2 * STEP;
    assert.equal(verdict(moved, [alert('KvmCrossNodeIo', 'vm-1', within)], restart), 'found');
    assert.equal(verdict(moved, [alert('KvmCrossNodeIo', 'vm-1', within + 1)], restart), 'late');
  });

  it('of the host has no VM, and must be found during an outage of the exporter', () => {
    const down: Incident = { kind: 'exporter_down', vm: '', size: 1, from: 600, to: 1800 };
    assert.equal(verdict(down, [alert('KvmTelemetryDown', undefined, 315)], [down]), 'found');
    assert.equal(verdict(down, [], [down]), 'missed');
  });
});

describe('a lost technique', () => {
  const lost: Incident = { ...storm, kind: 'polling_lost', size: 1 };
  const ofTechnique = (technique: string): AlertEpisode => {
    const { labels, ...episode } = alert('KvmTechniqueLost', 'vm-1', 180);
    return { ...episode, labels: { ...labels, technique } };
  };

  it('must be found by its own alert beside the one of the regression', () => {
    const regressed = alert('KvmPollingRegressed', 'vm-1', 300);
    const own = ofTechnique('exitless_polling');
    assert.ok(isSound(study([lost], [regressed, own])));
    assert.ok(!isSound(study([lost], [regressed])), 'missed');
    assert.equal(judge(study([lost], [regressed]), lost, 'KvmTechniqueLost').verdict, 'missed');
    assert.ok(!isSound(study([lost], [regressed, ofTechnique('affinity')])), 'another technique');
    assert.match(
      report(study([lost], [own])),
      /\| KvmTechniqueLost \(exitless_polling\) \| found \| 3\.0 \|/,
    );
  });

  it('is a false alert if a disk only stalls', () => {
    const stalled: Incident = { ...storm, kind: 'disk_stall', size: 1 };
    const own = alert('KvmIoStalled', 'vm-1', 180);
    assert.ok(isSound(study([stalled], [own])));
    assert.ok(!isSound(study([stalled], [own, ofTechnique('exitless_polling')])));
  });
});

describe('a study', () => {
  it('is sound if no alert is false, missing or late', () => {
    const found = alert('KvmExitStorm', 'vm-1', STORM);
    assert.ok(isSound(study([storm], [found, alert('KvmVcpuStarved', 'vm-1', 400)])), 'a consequence');
    assert.ok(!isSound(study([storm], [])));
    assert.ok(!isSound(study([storm], [found, alert('KvmExitStorm', 'vm-2', 200)])));
    assert.ok(!isSound(study([storm], [found, alert('KvmHaltPollWaste', 'vm-1', 200)])));
    assert.ok(!isSound(study([], [found])));
  });

  it('lists the false alerts', () => {
    const wrong = study([storm], [alert('KvmExitStorm', 'vm-2', 300)]);
    assert.match(summary(wrong), /^1 alerts fired, 1 of them false\.\n- KvmExitStorm .*vm-2.* fired 15\.0/);
  });

  it('has a line for each incident, one for all VMs of a disk', () => {
    const stall = (vm: string): Incident => ({ kind: 'disk_stall', vm, size: 1, from: 600, to: 1200 });
    const told = [alert('KvmIoStalled', 'a', 180), alert('KvmIoStalled', 'b', 195)];
    const lines = report(study([storm, stall('a'), stall('b')], told))
      .split('\n')
      .slice(2);
    assert.deepEqual(lines, [
      '| exit_storm | vm-1 | 80000 | 20.0 | KvmExitStorm | missed |  |',
      '| disk_stall | 2 VMs | 1 | 10.0 | KvmIoStalled | 2 found | 3.0 to 3.3 |',
      '',
    ]);
  });
});
