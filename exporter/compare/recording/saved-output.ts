import { basename } from 'node:path';
import { ConfigError } from '../../config/load.ts';
import { parseLabels } from '../../metrics/labels.ts';
import { RECORDED } from './format.ts';
import { linesOf, timeOfFile } from './lines.ts';

/** One saved response of /metrics, or the zeros before a VM's start. */
export interface Output {
  readonly name: string;
  /** Seconds of the epoch. */
  readonly at: number;
  /** By series: `kvm_vm_vcpus{vm="web"}`. */
  readonly values: ReadonlyMap<string, number>;
}

const MAX_LINE = 1024 * 1024;
const MAX_SERIES = 1_000_000;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? ([+-]?(?:Inf|NaN|[\d.]+(?:e[+-]?\d+)?))(?: \d+)?$/is;
const VM_START = 'kvm_vm_start_time_seconds';
const EXPORTER_START = 'process_start_time_seconds';
/** Resolution of the start time of a process, and of /proc/stat's btime. */
const SLACK = 2;

/** @throws ConfigError if the file is no output of /metrics, or not a whole one */
export async function readOutput(path: string): Promise<Output> {
  const at = await timeOfFile(path);
  const values = new Map<string, number>();
  for await (const { text, number, isWhole } of linesOf(path, MAX_LINE)) {
    if (text === '' || text.startsWith('#')) continue;
    const [, metric, block = '', value] = SAMPLE.exec(text) ?? [];
    if (metric === undefined || !isWhole || values.size > MAX_SERIES)
      throw new ConfigError(
        `--recording: ${path} is neither a recording nor a whole output of /metrics (line ${number}): save it again, with curl -f -o FILE URL`,
      );
    const isNeeded = RECORDED.has(metric) || metric === VM_START || metric === EXPORTER_START;
    if (isNeeded && Number.isFinite(Number(value))) values.set(`${metric}${block}`, Number(value));
  }
  if (values.size === 0)
    throw new ConfigError(
      `--recording: ${path} has no metrics of kvm-telemetry: save /metrics of the exporter`,
    );
  return { name: basename(path), at, values };
}

/** Start time of a VM; undefined if the output lacks it. */
export function startOf({ values }: Output, vm: string): number | undefined {
  const key = [...values.keys()].find((each) => each.startsWith(`${VM_START}{`) && vmOf(each) === vm);
  return key === undefined ? undefined : values.get(key);
}

/**
 * A VM when it started: its counters were 0.
 *
 * @throws ConfigError if the exporter started later, so that some of its counters did not begin with the VM
 */
export function beginOf(output: Output, vm: string): Output {
  const at = startOf(output, vm);
  const exporter = output.values.get(EXPORTER_START);
  if (at === undefined || exporter === undefined)
    throw new ConfigError(
      `--recording: ${output.name} lacks ${at === undefined ? VM_START : EXPORTER_START}: save the whole output of /metrics`,
    );
  if (exporter > at + SLACK)
    throw new ConfigError(
      `--recording: the exporter started after ${vm}, so its counters in ${output.name} do not begin with the VM: save an output at the beginning and one at the end of each configuration, and give all of them`,
    );
  const counters = [...output.values].filter(([series]) => vmOf(series) === vm);
  const values = counters.flatMap(([series, value]): [string, number][] => {
    if (series.startsWith('kvm_vm_vcpus{')) return [[series, value]];
    return /^\w+_(total|bucket)\{/.test(series) ? [[series, 0]] : [];
  });
  return { name: output.name, at, values: new Map(values) };
}

/** Names of the VMs in an output. */
export function vmsOf({ values }: Output): string[] {
  return [...values.keys()].filter((each) => each.startsWith('kvm_vm_vcpus{')).map(vmOf);
}

function vmOf(series: string): string {
  return parseLabels<string>(series.slice(series.indexOf('{') + 1, -1))['vm'] ?? '';
}
