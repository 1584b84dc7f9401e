import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formOf } from '../testing/http-server.ts';

/** What the imitated server holds. */
export interface Month {
  readonly vms: number;
  /** Seconds of the epoch. */
  readonly start: number;
  readonly end: number;
  /** Seconds between two scrapes. */
  readonly interval: number;
}

interface Found {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
}

export interface MonthServer {
  readonly url: string;
  readonly requests: number;
  /** Of the responses, without compression. */
  readonly bytes: number;
  stop(): void;
}

/** Values of the labels by which compare sums. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  role: ['vcpu', 'iothread', 'vhost', 'emulator', 'worker'],
  mode: ['user', 'system', 'guest'],
  step: ['kick', 'inject', 'eoi'],
  technique: ['affinity', 'exitless_polling', 'parallel_batching', 'pinned_queues'],
  state: ['off', 'in_force'],
  set: ['notifications', 'interrupts'],
  le: ['0.0001', '0.0002', '0.0005', '0.001', '0.002', '0.005', '0.01', '0.1', '+Inf'],
};
/** Half of the time in each. */
export const STAGES = ['original', 'affinity'];

/** A server that imitates Prometheus: each query is answered by a formula, at once. */
export async function monthServer(month: Month): Promise<MonthServer> {
  let requests = 0;
  let bytes = 0;
  const server = createServer(async (request, response) => {
    const form = await formOf(request);
    const data = dataOf(String(request.url), form, month);
    const text = JSON.stringify({ status: 'success', data });
    requests++;
    bytes += text.length;
    response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return requests;
    },
    get bytes() {
      return bytes;
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function dataOf(path: string, form: URLSearchParams, month: Month): unknown {
  if (path.endsWith('/series')) {
    const isScrapes = form.get('match[]')?.startsWith('kvm_vm_vcpus') === true;
    return isScrapes ? labelSets(month) : [];
  }
  const query = form.get('query') ?? '';
  if (path.endsWith('/query_range')) {
    const [start = 0, end = 0, step = 1] = ['start', 'end', 'step'].map((key) => Number(form.get(key)));
    const result = query.includes('kvm_vm_stage_info')
      ? stages(month, start, end, step)
      : windows(query, month, start, end, step);
    return { resultType: 'matrix', result };
  }
  if (!query.startsWith('kvm_')) return { resultType: 'vector', result: [] };
  const end = Number(form.get('time'));
  const seconds = Number(/\[(\d+)ms\]/.exec(query)?.[1]) / 1000;
  const vms = labelSets(month).filter(({ vm }) => query.includes(vm));
  const times = timesIn(end - seconds, end, month.interval);
  return {
    resultType: 'matrix',
    result: vms.map((metric) => ({ metric, values: times.map((at) => [at, '4']) })),
  };
}

function labelSets({ vms }: Month): { vm: string; job: string; instance: string }[] {
  return Array.from({ length: vms }, (_, i) => ({
    vm: `vm-${String(i).padStart(2, '0')}`,
    job: 'kvm-telemetry',
    instance: 'kvm1:9954',
  }));
}

/** Half of the time in each. */
function stages(month: Month, start: number, end: number, step: number): Found[] {
  const middle = (month.start + month.end) / 2;
  return labelSets(month).flatMap((labels) =>
    STAGES.map((stage, i) => ({
      metric: { ...labels, stage },
      values: timesIn(start, end, step)
        .filter((at) => at < middle === (i === 0))
        .map((at) => [at, '4'] as const),
    })),
  );
}

function windows(query: string, month: Month, start: number, end: number, step: number): Found[] {
  const by = (/\bby ?\(([^)]*)\)/.exec(query)?.[1] ?? '').split(',').map((label) => label.trim());
  const labels = by.filter((label) => VALUES[label] !== undefined);
  const isCount = query.includes('count_over_time');
  const isMean = query.includes('avg_over_time');
  const sets = labels.reduce<Readonly<Record<string, string>>[]>(
    (before, label) =>
      before.flatMap((each) => (VALUES[label] ?? []).map((value) => ({ ...each, [label]: value }))),
    [{}],
  );
  const vms = query.includes('sampled_ratio') ? labelSets({ ...month, vms: 1 }) : labelSets(month);
  const valueAt = (at: number): number => {
    if (isCount) return step / month.interval;
    return isMean ? 1 : step * 1000 * (1 + 0.05 * Math.sin(at * 12.9898));
  };
  return vms.flatMap((vm) =>
    sets.map((own) => ({
      metric: { ...vm, ...own },
      values: timesIn(start, end, step).map((at) => [at, String(valueAt(at))] as const),
    })),
  );
}

export function timesIn(start: number, end: number, step: number): number[] {
  const first = Math.ceil(start);
  return Array.from(
    { length: Math.max(0, Math.floor((end - first) / step) + 1) },
    (_, i) => first + i * step,
  );
}
