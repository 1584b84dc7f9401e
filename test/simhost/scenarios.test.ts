import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { day } from '../../lab/simhost/scenarios/day.ts';
import type { Incident, ScenarioWithIncidents } from '../../lab/simhost/scenarios/incident.ts';
import { incidents } from '../../lab/simhost/scenarios/incidents.ts';
import { normal } from '../../lab/simhost/scenarios/normal.ts';
import type { Scenario } from '../../lab/simhost/scenarios/scenario.ts';
import type { SimVm } from '../../lab/simhost/vm.ts';

const HOUR = 3600;
const STEP = 30;

function live({ host, script }: Scenario, hours: number, look: () => void): void {
  while (host.time < hours * HOUR) {
    script();
    host.step(STEP);
    look();
  }
}

function isDrifted({ threads, pins }: SimVm): boolean {
  return threads.some(({ tid, allowed }) => pins.has(tid) && pins.get(tid) !== allowed);
}

function isStruck({ host, watchers }: Scenario, { kind, vm: name, size }: Incident): boolean {
  if (kind === 'exporter_down') return watchers?.exporter === 'down';
  if (kind === 'lockdown') return host.lockdown === 'integrity';
  const vm = host.vm(name);
  const { faults, disks } = vm;
  const [disk] = disks;
  if (kind === 'exit_storm' || kind === 'storm_of_its_day') return faults.storm?.perSecond === size;
  if (kind === 'exits_slow') return faults.exitSlowness === size;
  if (kind === 'one_queue') return vm.vcpus.every(({ index }) => vm.queuesOf(index).join() === '0');
  if (kind === 'polling_lost') return faults.pollingLost === true && vm.calibration.kicksPerIo === 1;
  if (kind === 'halt_poll_waste') return (faults.wastesHaltPolls ?? 0) > 0;
  if (kind === 'disk_stall') return disk?.host.isStalled === true;
  if (kind === 'disk_slow') return (disk?.host.slowness ?? 1) > 1;
  if (kind === 'vcpu_starved') return vm.vcpus.some(({ thread }) => thread.speed < 0.95);
  return isDrifted(vm);
}

describe('a normal fleet', () => {
  it('has starts, exits, reboots, migrations, hung monitors, restarts, gaps and daily loads, and no fault', () => {
    const scenario = normal({ seed: 1 });
    const { host, watchers } = scenario;
    const processes = new Map<string, Set<number>>();
    const seen = new Set<string>();
    const load = { least: Number.POSITIVE_INFINITY, most: 0 };
    live(scenario, 6, () => {
      seen.add(`exporter ${watchers?.exporter}`).add(`prometheus ${watchers?.prometheus}`);
      for (const vm of host.vms) {
        processes.set(vm.name, (processes.get(vm.name) ?? new Set()).add(vm.pid));
        const { monitorHangs, ...others } = vm.faults;
        if (monitorHangs === true) seen.add('hang');
        assert.ok(!Object.values(others).some(Boolean) && !isDrifted(vm));
      }
      const { iops } = host.vm('fast-9');
      load.least = Math.min(load.least, iops);
      load.most = Math.max(load.most, iops);
    });
    const all = ['exporter down', 'exporter up', 'hang', 'prometheus away', 'prometheus up'];
    assert.deepEqual([...seen].sort(), all);
    assert.equal(processes.size, 54, 'four were born');
    assert.equal(host.vms.length, 50, 'four died, all others are back');
    assert.equal(
      [...processes.values()].filter(({ size }) => size === 2).length,
      13,
      'reboots and migrations',
    );
    assert.ok(load.least < 75_000 && load.most === 300_000, JSON.stringify(load));
  });
});

/** Runs a scenario, and checks that each incident is visible while it is listed. @returns their kinds */
function checked(scenario: ScenarioWithIncidents, hours: number): Set<string> {
  const { host } = scenario;
  const struck = new Set<Incident>();
  live(scenario, hours, () => {
    for (const incident of scenario.incidents) {
      const { from, to } = incident;
      const isNow = host.time > from + STEP && host.time <= to;
      if (!isNow) continue;
      assert.ok(isStruck(scenario, incident), `${JSON.stringify(incident)} at ${host.time}`);
      struck.add(incident);
    }
  });
  const unseen = scenario.incidents.filter((each) => each.to - each.from > 2 * STEP && !struck.has(each));
  assert.deepEqual(unseen, []);
  return new Set(scenario.incidents.map(({ kind }) => kind));
}

describe('a day', () => {
  it('is followed by the listed incidents, and then by the usual load', () => {
    const scenario = day({ seed: 1 });
    const { host, watchers } = scenario;
    const kinds = ['exits_slow', 'exporter_down', 'lockdown', 'one_queue', 'storm_of_its_day'];
    assert.deepEqual([...checked(scenario, 27)].sort(), kinds);
    const storms = host.vms.map(({ name, faults: { storm } }) => `${name} ${storm?.perSecond}`);
    assert.deepEqual(
      storms.filter((storm) => !storm.endsWith('undefined')),
      ['chatty-0 6000', 'chatty-1 6000'],
    );
    assert.ok(
      host.vms.every(
        ({ faults: { exitSlowness = 1, usesOneQueue = false } }) => exitSlowness === 1 && !usesOneQueue,
      ),
    );
    assert.deepEqual([host.lockdown, watchers?.exporter], ['none', 'up']);
  });
});

describe('incidents', () => {
  it('have the listed effects at the listed times, and none at the end', () => {
    const scenario = incidents({ seed: 1 });
    const { host } = scenario;
    assert.equal(checked(scenario, 6).size, 9);
    for (const vm of host.vms) {
      assert.ok(!Object.values(vm.faults).some(Boolean) && !isDrifted(vm), vm.name);
      assert.ok(vm.disks.every((disk) => !disk.host.isStalled && disk.host.slowness === 1));
    }
  });

  it('depend only on the seed', () => {
    const lists = [1, 1, 2].map((seed) => JSON.stringify(incidents({ seed }).incidents));
    assert.equal(lists[0], lists[1]);
    assert.notEqual(lists[0], lists[2]);
  });
});
