import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { CALIBRATION, CONFIGURATIONS } from '../../lab/simhost/calibration.ts';
import type { Scenario } from '../../lab/simhost/scenarios/scenario.ts';
import { demo, paper, quiet, troubled } from '../../lab/simhost/scenarios.ts';
import type { SimVm } from '../../lab/simhost/vm.ts';
import { simulatedRoot, steps, walk } from '../../testing/simulated.ts';

/** Of all files by name and content, links not followed. */
function treeHash(root: string): string {
  const hash = createHash('sha256');
  for (const name of walk(root)) {
    const path = join(root, name);
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) hash.update(`${name} -> ${readlinkSync(path)}\n`);
    else hash.update(`${name} ${stat.mode}\n`).update(readFileSync(path));
  }
  return hash.digest('hex');
}

function hashAfter(context: TestContext, make: () => Scenario, seconds: number): string {
  const root = simulatedRoot(context);
  const { host, script } = make();
  host.writeTo(root);
  for (let i = 0; i < seconds; i++) {
    script();
    host.step(1);
  }
  host.close();
  return treeHash(root);
}

describe('at time 0', () => {
  it('every counter is a number', (context) => {
    const root = simulatedRoot(context);
    const { host } = demo({ seed: 7 });
    host.step(0);
    host.writeTo(root);
    host.close();
    const files = walk(root).filter((name) => !lstatSync(join(root, name)).isSymbolicLink());
    const wrong = files.filter((name) =>
      /\b(NaN|Infinity|undefined)\b/.test(readFileSync(join(root, name), 'latin1')),
    );
    assert.deepEqual(wrong, []);
    assert.ok(files.length > 1000);
  });
});

describe('the same seed', () => {
  it('gives the same bytes in the demo', (context) => {
    const make = () => demo({ seed: 7 });
    assert.equal(hashAfter(context, make, 250), hashAfter(context, make, 250));
  });

  it('and another seed gives other bytes', (context) => {
    const hashes = [1, 2].map((seed) => hashAfter(context, () => quiet({ seed }, 3), 5));
    assert.notEqual(hashes[0], hashes[1]);
  });
});

function cpuNs({ threads }: SimVm): number {
  return threads.reduce((sum, thread) => sum + thread.runNs, 0);
}

describe('calibration', () => {
  for (const configuration of CONFIGURATIONS) {
    it(`reproduces the figures of ${configuration} over a minute`, () => {
      const { host } = paper({ seed: 3 }, configuration);
      const expected = CALIBRATION[configuration];
      steps(host, 5);
      const vm = host.vm('paper');
      const before = { ...vm.totals };
      const cpuBefore = cpuNs(vm);
      steps(host, 60);
      const ios = vm.totals.ios - before.ios;
      const perIo = (name: keyof typeof before): number => (vm.totals[name] - before[name]) / ios;
      near(ios / 60, expected.iops, 0.02);
      near(perIo('kicks'), expected.kicksPerIo, 0.02);
      // The host's own ticks are external interrupts too.
      near(perIo('injections'), expected.interruptsPerIo, 0.02);
      near(perIo('eois'), expected.interruptsPerIo, 0.02);
      const cpus = (expected.vcpuGuest + expected.vcpuSystem) * 6 + expected.ioUser + expected.ioSystem;
      near((cpuNs(vm) - cpuBefore) / 60e9, cpus, 0.02);
    });
  }

  it('reproduces Table 1', () => {
    const percent = { sata_data_plane: 1000, sata_polling: 850, sata_polling_saving: 750 } as const;
    for (const [name, expected] of Object.entries(percent)) {
      const { vcpuGuest, vcpuSystem, ioUser, ioSystem } = CALIBRATION[name as keyof typeof percent];
      near((vcpuGuest + vcpuSystem) * 600 + (ioUser + ioSystem) * 100, expected, 0.001);
    }
  });
});

function near(actual: number, expected: number, tolerance: number): void {
  const message = `${actual} is not within ${tolerance * 100}% of ${expected}`;
  assert.ok(Math.abs(actual - expected) <= expected * tolerance, message);
}

describe('a troubled host', () => {
  it('has each kind of fault in its time, and none afterwards', () => {
    const { host, script } = troubled({ seed: 4 }, 8);
    const seen = new Set<string>();
    for (let second = 0; second < 1200; second++) {
      script();
      host.step(1);
      if (host.lockdown !== 'none') seen.add('lockdown');
      if (host.vms.length < 8) seen.add('death');
      for (const { faults, threads, pins } of host.vms) {
        for (const [name, value] of Object.entries(faults)) if (value !== false) seen.add(name);
        if (threads.some(({ tid, allowed }) => pins.has(tid) && pins.get(tid) !== allowed)) seen.add('drift');
      }
    }
    const all = ['death', 'drift', 'isStalled', 'lockdown', 'monitorHangs', 'storm', 'wastesHaltPolls'];
    assert.deepEqual([...seen].sort(), all);
    assert.equal(host.vms.length, 8);
    assert.ok(host.vms.every(({ faults }) => !Object.values(faults).some(Boolean)));
  });
});
