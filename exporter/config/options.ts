import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { parseLibvirtCpuset } from '../../probes/libvirt-cpuset.ts';
import { COLLECTOR_NAMES, type CollectorName } from '../collectors/index.ts';
import { cronProblem } from '../schedule/schedule.ts';
import { DEFAULT_TRACE_SETS, TRACE_SET_NAMES } from '../trace/sets.ts';

/**
 * One setting. Its key is `a.bC` in the file, `--a.b-c` as a flag and `KVM_TELEMETRY_A_B_C` in the
 * environment.
 */
interface Option<T> {
  readonly schema: z.ZodType<T>;
  readonly default: T;
  readonly help: string;
  /** Allowed values, for error messages, and the placeholder of the value in `--help`. */
  readonly allowed: string;
  /** The words that a comma-separated value may contain. */
  readonly words?: readonly string[];
  /** The setting has neither a flag nor a variable. */
  readonly onlyInFile?: boolean;
}

const text = z.string().min(1).max(4096);
const path = text.refine((value) => value.startsWith('/') && !value.includes('\0'));
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')]);
const cron = text.refine(
  (value) => cronProblem(value) === undefined && value.trim().split(/\s+/).length === 6,
);
const whole = (min: number, max: number): z.ZodType<number> =>
  z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]).pipe(z.number().int().min(min).max(max));
const decimal = (min: number, max: number): z.ZodType<number> =>
  z
    .union([
      z.number(),
      z
        .string()
        .regex(/^\d+(\.\d+)?$/)
        .transform(Number),
    ])
    .pipe(z.number().min(min).max(max));
const listenAddress = text.refine((value) => parseListenAddress(value) !== undefined);
const regularExpression = text.max(500).refine((value) => {
  try {
    new RegExp(value, 'u');
    return true;
  } catch {
    return false;
  }
});

const cpuset = text.refine((value) => {
  try {
    parseLibvirtCpuset(value);
    return true;
  } catch {
    return false;
  }
});

function option<T>(value: Option<T>): Option<T> {
  return value;
}

const collectorOptions = Object.fromEntries(
  COLLECTOR_NAMES.map((name) => [
    `collector.${name}`,
    option({ schema: flag, default: true, help: `Run the ${name} collector.`, allowed: 'true or false' }),
  ]),
) as unknown as Record<`collector.${CollectorName}`, Option<boolean>>;

export const options = {
  'web.listenAddress': option({
    schema: listenAddress,
    default: '127.0.0.1:9954',
    help: 'Address to listen on.',
    allowed: 'HOST:PORT, [IPv6]:PORT or :PORT with a port from 0 to 65535',
  }),
  'web.config': option<string | undefined>({
    schema: path,
    default: undefined,
    help: "Web configuration file with TLS and basic authentication, in the format of Prometheus' exporter-toolkit.",
    allowed: 'an absolute path',
  }),
  'web.enableLifecycle': option({
    schema: flag,
    default: false,
    help: 'Allow POST /-/reload.',
    allowed: 'true or false',
  }),
  'web.allowedHosts': option({
    schema: z.union([z.literal(''), text.refine((value) => allowedHosts(value).every(isHostPattern))]),
    default: '',
    help: "Host names that requests may use besides the exporter's address, such as the name of a reverse proxy.",
    allowed: 'comma-separated host names, such as kvm1.example.org or *.example.org; * allows any',
  }),
  'web.grafanaUrl': option<string | undefined>({
    schema: text.refine(isWebAddress),
    default: undefined,
    help: 'URL of the Grafana that has the dashboards. The live page links to them.',
    allowed: 'an http or https URL without a user or a password, such as https://grafana.example.org',
  }),
  'log.level': option<'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'>({
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']),
    default: 'info',
    help: 'Minimum severity of the messages to log.',
    allowed: 'trace, debug, info, warn, error or fatal',
  }),
  'path.rootfs': option({
    schema: path,
    default: '/',
    help: "Mount point of the host's root file system. Prefix for the other path flags; a path flag that you set yourself is used as it is.",
    allowed: 'an absolute path',
  }),
  'path.procfs': option<string | undefined>({
    schema: path,
    default: undefined,
    help: 'procfs of the host (default: <rootfs>/proc).',
    allowed: 'an absolute path',
  }),
  'path.sysfs': option<string | undefined>({
    schema: path,
    default: undefined,
    help: 'sysfs of the host (default: <rootfs>/sys).',
    allowed: 'an absolute path',
  }),
  'path.debugfs': option<string | undefined>({
    schema: path,
    default: undefined,
    help: 'debugfs of the host (default: <rootfs>/sys/kernel/debug).',
    allowed: 'an absolute path',
  }),
  'path.tracefs': option<string | undefined>({
    schema: path,
    default: undefined,
    help: 'tracefs of the host (default: <rootfs>/sys/kernel/tracing).',
    allowed: 'an absolute path',
  }),
  'path.libvirt': option<string | undefined>({
    schema: path,
    default: undefined,
    help: "State directory of libvirt's QEMU driver (default: <rootfs>/run/libvirt/qemu).",
    allowed: 'an absolute path',
  }),
  'path.libvirtConfig': option<string | undefined>({
    schema: path,
    default: undefined,
    help: "Directory of libvirt's persistent domain definitions (default: <rootfs>/etc/libvirt/qemu).",
    allowed: 'an absolute path',
  }),
  'path.bpf': option<string | undefined>({
    schema: path,
    default: undefined,
    help: 'Directory with the rows of the BPF iterators, for a copy of a host (default: <rootfs>/bpf for a copy, the kernel itself for this host).',
    allowed: 'an absolute path',
  }),
  bpf: option<'auto' | 'off'>({
    schema: z.enum(['auto', 'off']),
    default: 'auto',
    help: "Read KVM's statistics with BPF where the kernel allows it.",
    allowed: 'auto or off',
  }),
  'inventory.schedule': option({
    schema: cron,
    default: '*/10 * * * * *',
    help: 'Schedule of the scan for VMs, disks and CPUs. Each scrape also finds new VMs.',
    allowed: 'a cron expression with seconds (six fields)',
  }),
  'sampler.schedule': option({
    schema: cron,
    default: '* * * * * *',
    help: 'Schedule on which to sample the CPU of each vCPU and I/O thread.',
    allowed: 'a cron expression with seconds (six fields)',
  }),
  'qmp.sockets': option({
    schema: path.refine((value) => !value.slice(0, value.lastIndexOf('/')).includes('*')),
    default: '/run/kvm-telemetry/qmp/*.sock',
    help: "Pattern of the VMs' QMP sockets, under path.rootfs. Only root may own and write to the directory.",
    allowed: 'an absolute path with * in the file name',
  }),
  'qmp.directories': option({
    schema: text.refine((value) => value.split(',').every((part) => part.startsWith('/'))),
    default: '/run/kvm-telemetry/qmp',
    help: "Directories from which the exporter uses QMP sockets that a VM's command line names.",
    allowed: 'comma-separated absolute paths',
  }),
  'qmp.timeoutSeconds': option({
    schema: decimal(0.05, 30),
    default: 1,
    help: 'Timeout in seconds for the QMP responses of one VM in a scrape.',
    allowed: 'a number from 0.05 to 30',
  }),
  'libvirt.uri': option({
    schema: text.refine((value) => /^[\w+]+:\/\/\S*$/.test(value)),
    default: 'qemu:///system',
    help: 'libvirt connection URI.',
    allowed: 'a libvirt connection URI',
  }),
  'libvirt.timeoutSeconds': option({
    schema: decimal(0.05, 30),
    default: 2,
    help: 'Timeout in seconds for libvirt in a scrape.',
    allowed: 'a number from 0.05 to 30',
  }),
  'trace.backend': option<'auto' | 'tracefs' | 'perf' | 'off'>({
    schema: z.enum(['auto', 'tracefs', 'perf', 'off']),
    default: 'auto',
    help: 'Backend that counts trace events: tracefs hist triggers, or perf if the kernel has no hist triggers.',
    allowed: 'auto, tracefs, perf or off',
  }),
  'trace.sets': option({
    schema: text.refine((value) =>
      traceSets(value).every((set) => TRACE_SET_NAMES.some((name) => name === set)),
    ),
    default: DEFAULT_TRACE_SETS.join(','),
    help: 'Tracepoint sets to count. docs/sources.md lists the metrics and the cost of each set.',
    allowed: `a comma-separated list of ${TRACE_SET_NAMES.join(', ')}`,
    words: TRACE_SET_NAMES,
  }),
  'trace.dutyCycle': option({
    schema: decimal(0.001, 1),
    default: 0.1,
    help: 'Share of the time in which the expensive tracepoint sets count, in windows of one second.',
    allowed: 'a number from 0.001 to 1',
  }),
  'trace.vcpuReasons': option({
    schema: flag,
    default: false,
    help: 'Also export exits by reason for each vCPU.',
    allowed: 'true or false',
  }),
  'affinity.baseline': option<'learn' | 'off'>({
    schema: z.enum(['learn', 'off']),
    default: 'learn',
    help: 'With learn, the affinity mask that a thread has when its VM is first seen is its expected affinity, unless vms or libvirt sets one.',
    allowed: 'learn or off',
  }),
  'affinity.maxMigrationsPerSecond': option({
    schema: decimal(0.01, 1000),
    default: 0.5,
    help: 'Rate of sampled CPU migrations above which a pinned thread counts as migrating.',
    allowed: 'a number from 0.01 to 1000',
  }),
  'state.dir': option({
    schema: path,
    default: '/var/lib/kvm-telemetry',
    help: 'Directory for learned baselines and declared phases. If it is not writable, the exporter keeps them in memory.',
    allowed: 'an absolute path',
  }),
  vms: option<readonly { readonly name: string; readonly pinning: Readonly<Record<string, string>> }[]>({
    schema: z.array(z.strictObject({ name: text, pinning: z.record(text, cpuset) })).max(10_000),
    default: [],
    help: 'Expected CPUs of the threads of VMs.',
    allowed:
      'a list of { name: NAME, pinning: { THREAD: CPUS } }, with * and ? in names and CPUs as in 1-4,^2',
    onlyInFile: true,
  }),
  'vcpu.statistics': option<'essential' | 'all'>({
    schema: z.enum(['essential', 'all']),
    default: 'essential',
    help: 'KVM statistics to export for each vCPU. The sums over a VM always include all statistics.',
    allowed: 'essential or all',
  }),
  'limits.maxSeries': option({
    schema: whole(1, 10_000_000),
    default: 500_000,
    help: 'Maximum number of series in a scrape. The exporter drops and counts the excess.',
    allowed: 'a whole number from 1 to 10000000',
  }),
  'limits.residencyCpus': option({
    schema: whole(1, 8192),
    default: 16,
    help: 'Number of CPUs per thread with a residency series of their own. Further CPUs share one series.',
    allowed: 'a whole number from 1 to 8192',
  }),
  'block.exclude': option({
    schema: regularExpression,
    default: '^(ram|zram|fd|sr)\\d+$',
    help: 'Block devices to exclude.',
    allowed: 'a regular expression',
  }),
  ...collectorOptions,
} as const;

export type ConfigKey = keyof typeof options;
/** All settings, validated, by key. */
export type Config = { readonly [K in ConfigKey]: (typeof options)[K] extends Option<infer T> ? T : never };

/**
 * Links may lead only to http or https addresses, because others could run scripts. They must contain no
 * secret.
 */
function isWebAddress(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password, search, hash } = new URL(value);
  return /^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === '');
}

/** Accepts `exits,block` and `exits, block`. */
export function traceSets(value: string): string[] {
  return [...new Set(value.split(',').map((name) => name.trim()))];
}

/** Names of `web.allowedHosts`, in lower case. */
export function allowedHosts(value: string): string[] {
  return value === '' ? [] : value.split(',').map((name) => name.trim().toLowerCase());
}

function isHostPattern(name: string): boolean {
  return /^(\*|(\*\.)?[a-z\d_-]+(\.[a-z\d_-]+)*|\[[\da-f:.]+\])$/.test(name);
}

export interface ListenAddress {
  /** undefined for all addresses. */
  readonly host: string | undefined;
  readonly port: number;
}

/** Parses `127.0.0.1:9954`, `[::1]:9954`, `localhost:9954` or `:9954`; undefined for anything else. */
export function parseListenAddress(value: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([\w.-]*)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || (match[1] !== undefined && !isIPv6(match[1]))) return undefined;
  const host = match[1] ?? match[2];
  return { host: host === '' ? undefined : host, port };
}
