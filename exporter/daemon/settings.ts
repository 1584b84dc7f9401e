import { posix } from 'node:path';
import { MSEC_PER_SEC } from '../../kernel/units.ts';
import { parseLibvirtCpuset } from '../../probes/libvirt-cpuset.ts';
import type { AffinitySettings } from '../assessment/affinity/watch.ts';
import type { SamplerSettings } from '../assessment/sampler.ts';
import { COLLECTOR_NAMES } from '../collectors/index.ts';
import type { RecorderSettings } from '../compare/recording/recorder.ts';
import type { ReportSettings } from '../compare/scheduled/reports.ts';
import { listed } from '../config/kinds.ts';
import type { Config } from '../config/options.ts';
import { exportsOf } from '../metrics/profiles.ts';
import type { PinningRule } from '../model/expectation.ts';
import { truncatePattern } from '../model/vm-names.ts';
import { intervalOf } from '../schedule/schedule.ts';
import { type ByTask, TASKS } from '../schedule/task-runs.ts';
import type { ScrapeSettings } from '../scrape/scrape.ts';
import type { RemoteSettings } from '../sources/remotes.ts';
import type { TraceSettings } from '../trace/backend-choice.ts';
import type { TraceSetName } from '../trace/sets.ts';

/** Trace windows last one second, and one VM's memory is read per second. */
const EACH_SECOND = '* * * * * *';

/**
 * Interval at which perf reports its counts; a scrape shows counts up to this old. Each reading of the
 * counters interrupts the vCPUs' CPUs, and each interrupt costs a VM exit.
 */
export const PERF_INTERVAL_MS = 5000;

/** The configuration in the form that each part needs. Computed once per reload. */
export interface Settings {
  readonly sampler: SamplerSettings;
  readonly remotes: RemoteSettings;
  readonly trace: TraceSettings;
  readonly affinity: AffinitySettings;
  readonly scrape: ScrapeSettings;
  /** Whether affinity and stages are assessed. */
  readonly assesses: boolean;
  /** Cron expression of each task. */
  readonly schedules: ByTask<string>;
  /** Longest time between two runs of each task, in milliseconds. Searching it in the calendar is expensive. */
  readonly intervals: ByTask<number>;
  /** undefined if nothing is recorded. */
  readonly record: RecorderSettings | undefined;
  /** undefined if no report is configured. */
  readonly report: ReportSettings | undefined;
}

export function settingsOf(config: Config): Settings {
  const schedules: ByTask<string> = {
    inventory: config['inventory.schedule'],
    memory: EACH_SECOND,
    sampler: config['sampler.schedule'],
    trace: EACH_SECOND,
    stages: config['inventory.schedule'],
    ...(config['record.file'] !== undefined && { record: config['record.schedule'] }),
    ...(config['report.schedule'] !== undefined && { report: config['report.schedule'] }),
  };
  const intervals = Object.fromEntries(
    TASKS.flatMap((task) => (schedules[task] === undefined ? [] : [[task, intervalOf(schedules[task])]])),
  );
  const sampleMs = intervalOf(config['sampler.schedule']);
  return {
    sampler: { maxCpus: config['limits.residencyCpus'], intervalMs: sampleMs },
    remotes: remotesOf(config),
    trace: {
      backend: config['collector.trace'] ? config['trace.backend'] : 'off',
      sets: listed(config['trace.sets']) as TraceSetName[],
      budget: config['trace.budget'],
      bpf: config.bpf,
    },
    affinity: {
      rules: pinningRules(config.vms),
      learn: config['affinity.baseline'] === 'learn',
      maxMigrationsPerSecond: config['affinity.maxMigrationsPerSecond'],
      sampleInterval: sampleMs / MSEC_PER_SEC,
    },
    scrape: {
      disabled: new Set(COLLECTOR_NAMES.filter((name) => !config[`collector.${name}`])),
      maxSeries: config['limits.maxSeries'],
      exports: exportsOf(config.profile, namesIn(config['metrics.allow']), namesIn(config['metrics.deny'])),
      collectors: {
        allVcpuStatistics: config['vcpu.statistics'] === 'all',
        vcpuReasons: config['trace.vcpuReasons'],
        metadataLabels: new Set(listed(config['metadata.labels'] ?? '')),
        blockExclude: new RegExp(config['block.exclude'], 'u'),
      },
    },
    assesses: config['collector.affinity'],
    schedules,
    intervals: intervals as Settings['intervals'],
    record:
      config['record.file'] === undefined
        ? undefined
        : { file: config['record.file'], maxBytes: config['record.maxBytes'] },
    report: reportOf(config),
  };
}

/** From the configured Prometheus, else from the recording. */
function reportOf(config: Config): ReportSettings | undefined {
  const url = config['report.prometheusUrl'];
  const file = config['record.file'];
  if (url === undefined && file === undefined) return undefined;
  return {
    source:
      url === undefined
        ? { recordings: [file ?? ''] }
        : { url, httpConfigFile: config['report.httpConfigFile'] },
    vm: config['report.vm'],
    host: config['report.host'],
    by: config['report.by'],
    last: config['report.last'],
    directory: config['report.dir'],
    keep: config['report.keep'],
  };
}

function remotesOf(config: Config): RemoteSettings {
  return {
    kernel: { mode: config.bpf },
    qmp: {
      enabled: config['collector.qmp'],
      rules: {
        pattern: config['qmp.sockets'],
        directories: config['qmp.directories'].split(',').map(normalize),
        rootfs: config['path.rootfs'],
      },
      timeoutMs: config['qmp.timeoutSeconds'] * MSEC_PER_SEC,
    },
    libvirt: {
      enabled: config['collector.libvirt'],
      uri: config['libvirt.uri'],
      timeoutMs: config['libvirt.timeoutSeconds'] * MSEC_PER_SEC,
    },
  };
}

function namesIn(list: string): string[] {
  return list === '' ? [] : listed(list);
}

/** Turns `/run/qmp/` into `/run/qmp`. */
function normalize(directory: string): string {
  return posix.normalize(directory).replace(/(.)\/$/, '$1');
}

function pinningRules(vms: Config['vms']): PinningRule[] {
  return vms.flatMap(({ name, pinning }) =>
    Object.entries(pinning).map(([thread, cpus]) => ({
      vm: truncatePattern(name),
      thread,
      cpus: parseLibvirtCpuset(cpus),
    })),
  );
}
