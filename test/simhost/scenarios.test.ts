import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Incident, incidents } from '../../lab/simhost/scenarios/incidents.ts';
import { normal } from '../../lab/simhost/scenarios/normal.ts';
import type { Scenario } from '../../lab/simhost/scenarios/scenario.ts';
import type { SimVm } from '../../lab/simhost/vm.ts';

const SIX_HOURS = 6 * 3600;
const STEP = 30;

function live({ host, script }: Scenario, look: () => void): void {
  while (host.time < SIX_HOURS) {
    script();
    host.step(STEP);
    look();
  }
}

function isDrifted({ threads, pins }: SimVm): boolean {
  return threads.some(({ tid, allowed }) => pins.has(tid) && pins.get(tid) !== allowed);
}

function isStruck(vm: SimVm, { kind }: Incident): boolean {
  const { misfortune, disks } = vm;
  const [disk] = disks;
  if (kind === 'exit_storm') return misfortune.storm !== undefined;
  if (kind === 'polling_lost') return misfortune.pollingLost === true && vm.calibration.kicksPerIo === 1;
  if (kind === 'halt_poll_waste') return (misfortune.wastesHaltPolls ?? 0) > 0;
  if (kind === 'disk_stall') return disk?.host.isStalled === true;
  if (kind === 'disk_slow') return (disk?.host.slowness ?? 1) > 1;
  if (kind === 'vcpu_starved') return vm.vcpus.some(({ thread }) => thread.speed < 0.95);
  return isDrifted(vm);
}

describe('the normal life of a fleet', () => {
  it('has births, deaths, reboots, migrations, hung monitors, restarts and gaps, all day loads, and no misfortune', () => {
    const scenario = normal({ seed: 1 });
    const { host, watchers } = scenario;
    const processes = new Map<string, Set<number>>();
    const seen = new Set<string>();
    const load = { least: Number.POSITIVE_INFINITY, most: 0 };
    live(scenario, () => {
      seen.add(`exporter ${watchers?.exporter}`).add(`prometheus ${watchers?.prometheus}`);
      for (const vm of host.vms) {
        processes.set(vm.name, (processes.get(vm.name) ?? new Set()).add(vm.pid));
        const { monitorHangs, ...others } = vm.misfortune;
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

describe('incidents', () => {
  it('are what is listed, while it is listed, and all is well at the end', () => {
    const scenario = incidents({ seed: 1 });
    const { host } = scenario;
    const struck = new Set<Incident>();
    live(scenario, () => {
      for (const incident of scenario.incidents) {
        const { vm, from, to } = incident;
        const isNow = host.time > from + STEP && host.time <= to;
        if (!isNow) continue;
        assert.ok(isStruck(host.vm(vm), incident), `${JSON.stringify(incident)} at ${host.time}`);
        struck.add(incident);
      }
    });
    assert.deepEqual(
      scenario.incidents.filter((each) => each.to - each.from > 2 * STEP && !struck.has(each)),
      [],
    );
    assert.equal(new Set(scenario.incidents.map(({ kind }) => kind)).size, 9);
    for (const vm of host.vms) {
      assert.ok(!Object.values(vm.misfortune).some(Boolean) && !isDrifted(vm), vm.name);
      assert.ok(vm.disks.every((disk) => !disk.host.isStalled && disk.host.slowness === 1));
    }
  });

  it('are others for another seed, and the same for the same', () => {
    const lists = [1, 1, 2].map((seed) => JSON.stringify(incidents({ seed }).incidents));
    assert.equal(lists[0], lists[1]);
    assert.notEqual(lists[0], lists[2]);
  });
});
