import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alertingFile, recordingFile } from '../../alerts/rule-files.ts';
import { memoryFolder } from '../../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../exit-by-signal.ts';
import { BlockSink } from '../history/chunks.ts';
import { generateHistory } from '../history/generate.ts';
import { recordRules } from '../history/record.ts';
import { day } from '../simhost/scenarios/day.ts';
import type { ScenarioWithIncidents } from '../simhost/scenarios/incident.ts';
import { incidents } from '../simhost/scenarios/incidents.ts';
import { normal } from '../simhost/scenarios/normal.ts';
import type { Scenario, ScenarioOptions } from '../simhost/scenarios/scenario.ts';
import { isSound, report, summary } from './report.ts';
import type { Study } from './verdict.ts';

// `npm run alert-study`: six hours of normal operation in which no alert may fire, six more with incidents,
// and a day before incidents that show only against it. Every incident must be found in time. Prints the
// tables of docs/alerts.md. Exits with 1 if an alert is false, missing or late.

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    only: { type: 'string', default: 'normal,incidents,day' },
  },
});
const START = 1_760_000_400;
const HOUR = 3600;

interface Plan {
  readonly title: string;
  readonly hours: number;
  /** Seconds between scrapes. */
  readonly step: number;
  readonly make: (options: ScenarioOptions) => Scenario & Partial<ScenarioWithIncidents>;
}

const PLANS: Readonly<Record<string, Plan>> = {
  normal: { title: 'Normal life', hours: 6, step: 15, make: normal },
  incidents: { title: 'Incidents', hours: 6, step: 15, make: incidents },
  day: { title: 'After a day', hours: 27, step: 30, make: day },
};

async function study({ hours, step, make }: Plan, seed: number): Promise<Study> {
  const { path: folder, remove } = memoryFolder('kvm-telemetry-alerts-');
  const data = join(folder, 'data');
  const sink = new BlockSink(folder, data);
  await generateHistory({ scenario: make, hours, stepSeconds: step, seed, start: START, sink });
  await sink.end();
  const rules = [...recordingFile().groups, ...alertingFile().groups].flatMap((group) => group.rules);
  const times = { from: START, to: START + hours * HOUR, step };
  const episodes = await recordRules(data, rules, times).finally(remove);
  const { incidents: scripted = [], unwatched = [] } = make({ seed, startTime: START });
  const fired = episodes.filter(({ firingAt }) => firingAt !== undefined);
  return { start: START, step, incidents: scripted, unwatched, fired };
}

exitBySignal();
for (const seed of options.seeds.split(',').map(Number)) {
  for (const name of options.only.split(',')) {
    const plan = PLANS[name];
    if (plan === undefined) throw new Error(`no study ${name}: there are ${Object.keys(PLANS).join(', ')}`);
    const one = await study(plan, seed);
    process.stdout.write(`${plan.title}, ${plan.hours} h, seed ${seed}: ${summary(one)}`);
    process.stdout.write(one.incidents.length === 0 ? '\n' : `${report(one)}\n`);
    if (!isSound(one)) process.exitCode = 1;
  }
}
