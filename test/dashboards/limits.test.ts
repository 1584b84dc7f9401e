import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generated, NAMES, panelsOf } from '../../testing/generated.ts';

/** Of ratios of after and before. */
const MORE = 'red, 0.95 text, 1.05 green';
const LESS = 'green, 0.95 text, 1.05 red';

const STATES = '0 in force green, 1 partly yellow, 2 lost red, 3 off blue, 4 unknown purple';
const SEVERITIES = 'critical critical red, warning warning orange, info info blue';

/** The colour steps of numbers. Repeated here, so that a change of a limit is deliberate. */
const LIMITS: Readonly<Record<string, string>> = {
  'fleet: stat Hosts down': 'green, 1 red',
  'fleet: stat Exits per I/O': 'green, 1 orange',
  'fleet: stat Drifting VMs': 'green, 1 red',
  'fleet: stat Failing collectors': 'green, 1 orange',
  'fleet: timeseries Exits per I/O': 'transparent, 1 orange',
  'fleet: table Exits beyond I/O: Exits/s and vCPU': 'text, 10000 red',
  'fleet: table Exits per I/O: Exits per I/O': 'text, 1 red',
  'fleet: table Slow exits: 99th percentile': 'text, 0.001 red',
  'fleet: table Starved vCPUs: Wait': 'text, 0.1 red',
  'fleet: table Busy I/O threads: Busy': 'text, 0.95 red',
  'fleet: table Drift: Threads': 'text, 1 red',
  'fleet: table Hosts: Drifting VMs': 'text, 1 red',
  'fleet: table Hosts: Failing collectors': 'text, 1 orange',
  'host: stat Drifting threads': 'green, 1 red',
  'host: stat Failing collectors': 'green, 1 orange',
  'host: table VMs: Exits per I/O': 'green, 1 orange',
  'host: table VMs: Longest wait': 'text, 0.1 red',
  'host: table VMs: Drifting threads': 'text, 1 red',
  'host: timeseries Run-queue wait of vCPUs': 'transparent, 0.1 red',
  'host: timeseries Stopped by a CPU quota': 'transparent, 0.1 red',
  'vm: timeseries Stopped by a CPU quota': 'transparent, 0.1 red',
  'host: timeseries Exits per I/O by VM': 'transparent, 1 orange',
  'host: timeseries Mean latency': 'transparent, 0.02 red',
  'vm: stat Exits per I/O': 'green, 1 orange',
  'vm: stat Drifting threads': 'green, 1 red',
  'vm: timeseries Exits per I/O by step': 'transparent, 1 orange',
  'vm: timeseries Exit latency by reason': 'transparent, 0.001 red',
  'vm: timeseries Wasted polling by vCPU': 'transparent, 0.05 red',
  'vm: timeseries Wait by thread': 'transparent, 0.1 red',
  'vm: timeseries Mean latency': 'transparent, 0.02 red',
  'patch-effect: stat I/Os per second: C': MORE,
  'patch-effect: stat CPU: C': LESS,
  'patch-effect: stat CPU per 1,000 I/Os: C': LESS,
  'patch-effect: stat Exits per I/O: C': LESS,
  'patch-effect: stat I/Os per kick: C': MORE,
  'patch-effect: stat I/Os per injection: C': MORE,
  'patch-effect: stat Mean latency: C': LESS,
  'patch-effect: stat Median latency: C': LESS,
  'patch-effect: stat 99th percentile of latency: C': LESS,
  'patch-effect: timeseries Exits per I/O': 'transparent, 1 orange',
  'affinity: timeseries Fairness of queues': 'transparent, 0.5 orange',
  'exporter: stat Failing collectors': 'green, 1 red',
  'exporter: stat Dropped series': 'green, 1 red',
  'exporter: timeseries Age of the last run, in intervals': 'transparent, 5 red',
  'exporter: stat Dropped events': 'green, 1e-9 red',
};

/** The texts of states, and whether a state is good (green), bad (red) or neutral. */
const WORDS: Readonly<Record<string, string>> = {
  'host: Collectors': '0 failing red, 1 works green',
  'host: Monitors and managers of VMs': '0 no response red, 1 responds green',
  'vm: Techniques over time': STATES,
  'vm: Techniques: State': STATES,
  'patch-effect: Techniques over time': STATES,
  'fleet: Firing alerts: Severity': SEVERITIES,
  'host: Firing alerts: Severity': SEVERITIES,
  'vm: Firing alerts: Severity': SEVERITIES,
  'patch-effect: Firing alerts: Severity': SEVERITIES,
  'affinity: Firing alerts: Severity': SEVERITIES,
  'exporter: Firing alerts: Severity': SEVERITIES,
  'vm: Detected stage':
    '0 original red, 1 affinity orange, 2 exitless polling yellow, 3 parallel batching green, 4 pinned queues blue, -1 not a stage purple',
  'patch-effect: Is the load the same?':
    '0 Same load green, 1 Reads and writes differ orange, 2 Request size differs orange, 3 Reads, writes and request size differ orange',
  'patch-effect: Configurations': '0 not counted orange, 1 counted green',
  'patch-effect: Features':
    '0 no blue, 1 yes green, 10 threads blue, 11 native green, 12 io_uring green, 20 none blue, 21 IOThread green, 22 SQPOLL green, 30 one blue, 31 several green, 32 one per vCPU green, 40 shared blue, 41 own green, 42 one per queue green',
  'affinity: Threads that drifted': '0 as expected green, 1 drifts red',
  'exporter: Collector success': '0 failing red, 1 works green',
  'exporter: Versions: Configuration': '0 refused red, 1 in force text',
};

interface Steps {
  readonly steps: readonly { readonly value: number | null; readonly color: string }[];
}
type Mappings = readonly { readonly options: Readonly<Record<string, { text: string; color: string }>> }[];

interface Config {
  readonly defaults: { readonly thresholds: Steps; readonly mappings: Mappings };
  readonly overrides: readonly {
    readonly matcher: { readonly options: string };
    readonly properties: readonly { readonly id: string; readonly value: unknown }[];
  }[];
}

/** Of every panel and column: a setting, by the dashboard, the panel and the column. */
function settings<T>(id: 'thresholds' | 'mappings' | 'links', isTyped: boolean): [string, T][] {
  return NAMES.flatMap((name) =>
    panelsOf(generated(name)).flatMap((panel): [string, T][] => {
      if (panel.fieldConfig === undefined) return [];
      const { defaults, overrides } = panel.fieldConfig as unknown as Config;
      const key = `${name}: ${isTyped ? `${panel.type} ` : ''}${panel.title}`;
      const own = (defaults as unknown as Record<string, T>)[id];
      const columns = overrides.flatMap(({ matcher, properties }): [string, T][] =>
        properties
          .filter((each) => each.id === id)
          .map(({ value }) => [`${key}: ${matcher.options}`, value as T]),
      );
      return own === undefined ? columns : [[key, own], ...columns];
    }),
  );
}

test('numbers change color at their threshold', () => {
  const found = settings<Steps>('thresholds', true)
    .filter(([, { steps }]) => steps.length > 1)
    .map(([key, { steps }]) => [
      key,
      steps.map(({ value, color }) => `${value ?? ''} ${color}`.trim()).join(', '),
    ]);
  assert.deepEqual(Object.fromEntries(found), LIMITS);
});

test('states have the right texts and colors', () => {
  const found = settings<Mappings>('mappings', false)
    .filter(([, mappings]) => mappings.length > 0)
    .map(([key, mappings]) => {
      const words = mappings.flatMap(({ options }) => Object.entries(options));
      const texts = words.map(
        ([value, { text, color }]) => `${value} ${text} ${color.replace(/^(semi-)?dark-/, '')}`,
      );
      return [key, texts.join(', ')];
    });
  assert.deepEqual(Object.fromEntries(found), WORDS);
});

test('links pass host and VM', () => {
  const links = settings<readonly { readonly url: string }[]>('links', false);
  assert.ok(links.length > 20);
  for (const [key, all] of links) {
    for (const { url } of all) {
      const taken = [
        ...url.matchAll(/var-(\w+)=\$\{__(?:data\.fields\["(\w+)"\]|field\.labels\.(\w+))\}/g),
      ].map(([, variable, field, label]) => [variable, field ?? label]);
      const isColumn = url.includes('__data.fields');
      const host = ['instance', isColumn ? 'Host' : 'instance'];
      const vm = ['vm', isColumn ? 'VM' : 'vm'];
      assert.deepEqual(taken, url.startsWith('/d/kvm-vm?') ? [host, vm] : [host], `${key}: ${url}`);
      assert.match(
        url,
        /^\/d\/kvm-(vm|host)\?\$\{datasource:queryparam\}&\$\{cluster:queryparam\}&\$\{job:queryparam\}&.*\$\{__url_time_range\}$/,
      );
    }
  }
});
