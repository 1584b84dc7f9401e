import assert from 'node:assert/strict';
import { after, describe, it, type TestContext } from 'node:test';
import type { DashboardName } from '../../dashboards/links.ts';
import { windowOf } from '../../dashboards/preview/interpolate.ts';
import { choose } from '../../dashboards/preview/variables.ts';
import { EVALUATION_MINUTES } from '../../lab/history/evaluation.ts';
import { SimulatedHost } from '../../lab/simhost/host.ts';
import { nvmes, type Scenario, type ScenarioOptions } from '../../lab/simhost/scenarios/scenario.ts';
import { generated, NAMES, variablesOf } from '../../testing/generated.ts';
import { type HistoryServer, historyServer } from '../../testing/history.ts';
import { hasTool } from '../../testing/tools.ts';
import { START } from './evaluation.ts';
import { affinity } from './values/affinity.ts';
import { exporter } from './values/exporter.ts';
import { fleet } from './values/fleet.ts';
import { host } from './values/host.ts';
import { asked, type Cases, check, keyOf, type Moment, withQueries } from './values/panels.ts';
import { patchEffect } from './values/patch-effect.ts';
import { Truth } from './values/truth.ts';
import { vm } from './values/vm.ts';

const CASES: Readonly<Record<DashboardName, Cases>> = {
  fleet,
  host,
  vm,
  affinity,
  exporter,
  'patch-effect': patchEffect,
};
const LAST_MINUTE = EVALUATION_MINUTES - 1;

/** A smaller host whose `db` does little and costs much, and on which the monitor of `lonely` hangs under lockdown. */
function otherHost(options: ScenarioOptions): Scenario {
  const host = new SimulatedHost({
    ...options,
    cpus: 32,
    psi: true,
    disks: nvmes(2),
    vms: [
      {
        name: 'db',
        configuration: 'original',
        vcpus: 2,
        iops: 2000,
        writes: 0.5,
        ioBytes: 16384,
        disks: ['nvme0n1'],
      },
      { name: 'lonely', configuration: 'affinity', vcpus: 2, iops: 300, disks: ['nvme1n1'] },
    ],
  });
  const script = (): void => {
    if (host.time < 33 * 60) return;
    host.faults.hangMonitor('lonely', true);
    host.lockdown = 'integrity';
  };
  return { host, script };
}

interface Known {
  readonly server: HistoryServer;
  readonly truth: Truth;
  readonly other: Truth;
}

describe('dashboards show the true values of the hosts', () => {
  const ends: (() => unknown)[] = [];
  after(async () => {
    for (const end of ends.reverse()) await end();
  });
  let made: Promise<Known> | undefined;

  async function make(): Promise<Known> {
    const [truth, other] = [new Truth(), new Truth()];
    const hosts = [
      { instance: 'sim-host:9954', scenario: 'evaluation', seed: 1, watch: truth.watch },
      { instance: 'other-host:9954', scenario: otherHost, seed: 2, watch: other.watch },
    ] as const;
    return { server: await historyServer({ after: (end) => ends.push(end) }, hosts, START), truth, other };
  }
  /** Undefined where Prometheus is not installed. */
  async function known(context: TestContext): Promise<Known | undefined> {
    if (!hasTool(context, 'promtool', 'prometheus') || !hasTool(context, 'prometheus', 'prometheus'))
      return undefined;
    made ??= make();
    return made;
  }

  for (const name of NAMES) {
    const dashboard = generated(name);
    const cases = CASES[name];

    it(`every panel of ${name} has an expected value`, () => {
      assert.deepEqual(Object.keys(cases).sort(), withQueries(dashboard).map(keyOf).sort());
    });

    for (const panel of withQueries(dashboard)) {
      it(`${name}: ${panel.title} (${panel.type})`, async (context) => {
        const all = await known(context);
        if (all === undefined) return;
        for (const one of [cases[keyOf(panel)] ?? []].flat()) {
          const at = (one.minute ?? LAST_MINUTE) * 60;
          const moment: Moment = { at, start: START, truth: all.truth, other: all.other };
          check(one, panel, await asked(dashboard, panel, all.server.url, one, moment), moment);
        }
      });
    }

    it(`${name}: the lists of hosts and VMs depend on the selection`, async (context) => {
      const all = await known(context);
      if (all === undefined) return;
      const { url, from, to } = all.server;
      const offered = async (
        wishes: Record<string, string[]>,
      ): Promise<ReadonlyMap<string, readonly string[]>> =>
        (await choose(variablesOf(dashboard), url, windowOf(from, to, 1000), wishes)).offered;
      const both = await offered({});
      assert.deepEqual(both.get('job'), ['kvm-telemetry']);
      if (name === 'fleet')
        return void assert.deepEqual((await offered({ job: ['another'] })).get('stage'), []);
      assert.deepEqual(both.get('instance'), ['other-host:9954', 'sim-host:9954']);
      assert.deepEqual((await offered({ job: ['another'] })).get('instance'), []);
      if (!both.has('vm')) return;
      const ofSim = ['build', 'db', 'kv', 'mail', 'oltp', 'web'];
      assert.deepEqual(both.get('vm'), [...ofSim, 'lonely'].sort());
      assert.deepEqual((await offered({ instance: ['sim-host:9954'] })).get('vm'), ofSim);
      assert.deepEqual((await offered({ instance: ['other-host:9954'] })).get('vm'), ['db', 'lonely']);
      assert.deepEqual((await offered({ job: ['another'] })).get('vm'), []);
    });
  }

  it('the lists of stages and configurations are those of the chosen VMs, in order of time', async (context) => {
    const all = await known(context);
    if (all === undefined) return;
    const { url, from, to } = all.server;
    const offered = async (name: DashboardName, wishes: Record<string, string[]>) =>
      (await choose(variablesOf(generated(name)), url, windowOf(from, to, 1000), wishes)).offered;
    const ladder = ['original', 'affinity', 'exitless_polling', 'parallel_batching', 'pinned_queues'];
    const db = { instance: ['sim-host:9954'], vm: ['db'] };
    const found = await offered('patch-effect', { ...db, by: ['.+'] });
    assert.deepEqual(found.get('stage'), ladder);
    assert.deepEqual(found.get('before'), ladder);
    assert.deepEqual(found.get('after'), ladder.toReversed());
    const detected = await offered('patch-effect', { ...db, vm: ['oltp'], by: ['()'] });
    assert.deepEqual(detected.get('stage'), ['original', 'exitless_polling']);
    const declared = await offered('patch-effect', { ...db, vm: ['oltp'], by: ['.+'] });
    // Its phase is declared before its techniques are measured.
    assert.deepEqual(declared.get('stage'), [
      'data plane',
      'exitless polling',
      'exitless polling with CPU saving',
    ]);
    // Of the chosen clusters: a fleet has too many hosts for a list.
    const ofHost = (await offered('fleet', db)).get('stage');
    for (const stage of ladder) assert.ok(ofHost?.includes(stage), stage);
    assert.deepEqual((await offered('fleet', { job: ['no-job'] })).get('stage'), []);
  });
});
