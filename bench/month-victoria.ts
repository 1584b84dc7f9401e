import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { RECORDED } from '../exporter/compare/recording/format.ts';
import type { Family } from '../exporter/metrics/families.ts';
import { parseLabels } from '../exporter/metrics/labels.ts';
import { generateHistory } from '../lab/history/generate.ts';
import { Random } from '../lab/simhost/random.ts';
import { quiet } from '../lab/simhost/scenarios.ts';
import { startVictoria } from '../testing/victoria-metrics.ts';
import { sizeOf } from './folder-size.ts';
import { type Month, STAGES, timesIn } from './month-server.ts';
import { cpuSeconds, memory } from './process-cost.ts';

// A real VictoriaMetrics with the series that `compare` asks for: those of a VM of the simulated host, a month long.

const SIMULATED = { hours: 1 / 12, seed: 1, stepSeconds: 15 };
const VM = 'vm-0000';
const VCPUS = 8;
/** A counter grows by its rate in the simulated minutes, more or less. */
const SPREAD = 0.3;
const DIGITS = 6;

interface Template {
  readonly labels: Readonly<Record<string, string>>;
  readonly isCounter: boolean;
  readonly first: number;
  /** In an interval. */
  readonly growth: number;
}

export interface VictoriaMonth {
  readonly url: string;
  readonly series: number;
  readonly samples: number;
  /** On disk. */
  readonly bytes: number;
  readonly importSeconds: number;
  cost(): { cpu: number; peakMiB: number };
  stop(): Promise<void>;
}

/** Writes the samples of one VM once, and imports them for each VM. */
export async function monthOfVictoria(folder: string, month: Month): Promise<VictoriaMonth> {
  const templates = await templatesOf();
  const begin = performance.now();
  const native = await nativeOf(join(folder, 'one'), templates, month);
  const path = join(folder, 'all');
  const server = await startVictoria(path);
  for (let i = 0; i < month.vms; i++) {
    const vm = `vm-${String(i).padStart(2, '0')}`;
    await send(`${server.url}/api/v1/import/native?extra_label=vm=${vm}`, native);
  }
  await send(`${server.url}/internal/force_flush`);
  const series = templates.length * month.vms;
  return {
    url: server.url,
    series,
    samples: series * timesIn(month.start, month.end, month.interval).length,
    bytes: sizeOf(path),
    importSeconds: (performance.now() - begin) / 1000,
    cost: () => ({ cpu: cpuSeconds(server.pid), peakMiB: memory(server.pid).peakMiB }),
    stop: () => server.stop(),
  };
}

/** The series of a VM of the simulated host, with the default profile. */
async function templatesOf(): Promise<Template[]> {
  const seen = new Map<string, { family: Family; labels: Record<string, string>; values: number[] }>();
  await generateHistory({
    ...SIMULATED,
    start: Math.floor(Date.now() / 1000),
    scenario: (options) => quiet(options, 1, VCPUS),
    sink: {
      take(families) {
        for (const family of families) {
          if (!RECORDED.has(family.name) && ![...SUFFIXES].some((each) => RECORDED.has(family.name + each)))
            continue;
          for (const [i, block] of family.labels.entries()) {
            const name = family.name + (family.suffixes[i] ?? '');
            const labels = parseLabels<string>(block);
            if (!RECORDED.has(name) || (labels['vm'] !== undefined && labels['vm'] !== VM)) continue;
            const key = `${name}${block}`;
            const { vm: _, ...others } = labels;
            const one = seen.get(key) ?? { family, labels: { __name__: name, ...others }, values: [] };
            one.values.push(family.values[i] ?? 0);
            seen.set(key, one);
          }
        }
      },
    },
  });
  return [...seen.values()].flatMap(({ family, labels, values }) => {
    const [first = 0, last = first] = [values[0], values.at(-1)];
    const isCounter = family.type !== 'gauge';
    const growth = (last - first) / Math.max(1, values.length - 1);
    const one = { labels, isCounter, first, growth: Math.max(0, growth) };
    return labels['__name__'] === 'kvm_vm_stage_info'
      ? STAGES.map((stage) => ({ ...one, labels: { ...labels, stage } }))
      : [one];
  });
}
const SUFFIXES = ['_bucket', '_sum', '_count'] as const;

/** The samples without the label `vm`, as VictoriaMetrics exports them. */
async function nativeOf(path: string, templates: readonly Template[], month: Month): Promise<ArrayBuffer> {
  const server = await startVictoria(path);
  const timestamps = timesIn(month.start, month.end, month.interval).map((at) => at * 1000);
  const middle = (month.start + month.end) * 500;
  const random = new Random(1);
  for (const { labels, isCounter, first, growth } of templates) {
    let value = first;
    const values = timestamps.map(() => {
      if (isCounter) value += growth * random.around(SPREAD);
      return Number.isInteger(first) ? Math.round(value) : Number(value.toFixed(DIGITS));
    });
    const stage = STAGES.indexOf(labels['stage'] ?? '');
    const isIn = (at: number): boolean => stage < 0 || at < middle === (stage === 0);
    const line = {
      metric: { ...labels, job: 'kvm-telemetry', instance: 'kvm1:9954' },
      values: values.filter((_, i) => isIn(timestamps[i] ?? 0)),
      timestamps: timestamps.filter(isIn),
    };
    await send(`${server.url}/api/v1/import`, JSON.stringify(line));
  }
  await send(`${server.url}/internal/force_flush`);
  const all = new URLSearchParams({ 'match[]': '{job!=""}', start: '0' });
  const response = await fetch(`${server.url}/api/v1/export/native?${all}`);
  const native = await response.arrayBuffer();
  await server.stop();
  rmSync(path, { recursive: true, force: true });
  return native;
}

async function send(url: string, body?: string | ArrayBuffer): Promise<void> {
  const { ok, status } = await fetch(url, { method: 'POST', body: body ?? null });
  if (!ok) throw new Error(`${url}: ${status}`);
}
