import { z } from 'zod';
import { COLLECTOR_NAMES, type CollectorName, OFF_BY_DEFAULT } from '../collectors/index.ts';
import { catalogue } from '../metrics/catalogue.ts';
import { PROFILES } from '../metrics/profiles.ts';
import { METADATA_LABELS } from '../metrics/vm.ts';
import { DEFAULT_TRACE_SETS, TRACE_SET_NAMES } from '../trace/sets.ts';
import { allowedHosts, isHostPattern, isWebAddress, listenAddresses, telemetryPath } from './addresses.ts';
import {
  cron,
  decimal,
  directory,
  duration,
  file,
  flag,
  type Kind,
  listed,
  listOf,
  namePattern,
  oneOf,
  pathPattern,
  paths,
  pinnings,
  regularExpression,
  text,
  whole,
} from './kinds.ts';

/**
 * One setting. Its key is `a.bC` in the file, `--a.b-c` as a flag and `KVM_TELEMETRY_A_B_C` in the
 * environment.
 */
interface Option<T> extends Kind<T> {
  readonly default: T;
  readonly help: string;
  /** The setting has neither a flag nor a variable. */
  readonly onlyInFile?: boolean;
  /** The key before it was renamed. It is still accepted. */
  readonly oldKey?: string;
}

function option<T>(kind: Kind<T>, value: T, help: string): Option<T> {
  return { ...kind, default: value, help };
}

function optional<T>(kind: Kind<T>, help: string): Option<T | undefined> {
  return { ...kind, default: undefined, help };
}

const hostNames: Kind<string> = {
  schema: z
    .string()
    .max(4096)
    .refine((value) => allowedHosts(value).every(isHostPattern)),
  allowed: 'comma-separated host names, such as kvm1.example.org or *.example.org; * allows any',
  placeholder: 'names',
};
const webAddress = text(
  'url',
  'an http or https URL without a user or a password, such as https://grafana.example.org',
  isWebAddress,
);
const libvirtUri = text('uri', 'a libvirt connection URI', (value) => /^[\w+]+:\/\/\S*$/.test(value));

const metricNames: Kind<string> = {
  ...listOf(Object.keys(catalogue)),
  schema: z
    .string()
    .max(65_536)
    .refine((value) => value === '' || listed(value).every((name) => Object.hasOwn(catalogue, name))),
  allowed: 'a comma-separated list of metrics of docs/metrics.md',
  placeholder: 'metrics',
};
const collectorOptions = Object.fromEntries(
  COLLECTOR_NAMES.map((name) => [
    `collector.${name}`,
    option(flag, !OFF_BY_DEFAULT.has(name), `Run the ${name} collector.`),
  ]),
) as unknown as Record<`collector.${CollectorName}`, Option<boolean>>;

export const options = {
  'web.listenAddress': option(
    listenAddresses,
    ['127.0.0.1:9954'],
    'Address to listen on. Give the flag several times to listen on several.',
  ),
  'web.systemdSocket': option(
    flag,
    false,
    'Listen on the sockets of the systemd unit kvm-telemetry.socket, not on web.listen-address.',
  ),
  'web.telemetryPath': option(telemetryPath, '/metrics', 'Path of the metrics.'),
  'web.config.file': {
    ...optional(
      file,
      "Web configuration file with TLS and basic authentication, in the format of Prometheus' exporter-toolkit.",
    ),
    oldKey: 'web.config',
  },
  'web.enableLifecycle': option(flag, false, 'Allow POST /-/reload.'),
  'web.allowedHosts': option(
    hostNames,
    '',
    "Host names that requests may use besides the exporter's address, such as the name of a reverse proxy.",
  ),
  'web.grafanaUrl': optional(
    webAddress,
    'URL of the Grafana that has the dashboards. The live page links to them.',
  ),
  'web.prometheusUrl': optional(
    webAddress,
    'URL of the Prometheus that has the alert rules. The live page shows their firing alerts.',
  ),
  'log.level': option(
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal'),
    'info',
    'Minimum severity of the messages to log.',
  ),
  'log.format': option(oneOf('json', 'logfmt'), 'json', 'Format of the log lines.'),
  'path.rootfs': option(
    directory,
    '/',
    "Mount point of the host's root file system. Prefix for the other path flags; a path flag that you set yourself is used as it is.",
  ),
  'path.procfs': optional(directory, 'procfs of the host (default: <rootfs>/proc).'),
  'path.sysfs': optional(directory, 'sysfs of the host (default: <rootfs>/sys).'),
  'path.debugfs': optional(directory, 'debugfs of the host (default: <rootfs>/sys/kernel/debug).'),
  'path.tracefs': optional(directory, 'tracefs of the host (default: <rootfs>/sys/kernel/tracing).'),
  'path.libvirt': optional(
    directory,
    "State directory of libvirt's QEMU driver (default: <rootfs>/run/libvirt/qemu).",
  ),
  'path.libvirtConfig': optional(
    directory,
    "Directory of libvirt's persistent domain definitions (default: <rootfs>/etc/libvirt/qemu).",
  ),
  'path.pve': optional(directory, 'Configuration of Proxmox VE (default: <rootfs>/etc/pve).'),
  'path.pveRun': optional(
    directory,
    "State directory of Proxmox VE's VMs (default: <rootfs>/run/qemu-server).",
  ),
  'path.bpf': optional(
    directory,
    'Directory with the rows of the BPF iterators, for a copy of a host (default: <rootfs>/bpf for a copy, the kernel itself for this host).',
  ),
  bpf: option(oneOf('auto', 'off'), 'auto', "Read KVM's statistics with BPF where the kernel allows it."),
  'inventory.schedule': option(
    cron,
    '*/10 * * * * *',
    'Schedule of the scan for VMs, disks and CPUs. Each scrape also finds new VMs.',
  ),
  'sampler.schedule': option(
    cron,
    '* * * * * *',
    'Schedule on which to sample the CPU of each vCPU and I/O thread.',
  ),
  'qmp.sockets': option(
    pathPattern,
    '/run/kvm-telemetry/qmp/*.sock',
    "Pattern of the VMs' QMP sockets, under path.rootfs. Only root may own and write to the directory.",
  ),
  'qmp.directories': option(
    paths,
    '/run/kvm-telemetry/qmp',
    "Directories from which the exporter uses QMP sockets that a VM's command line names.",
  ),
  'qmp.timeoutSeconds': option(
    decimal(0.05, 30),
    1,
    'Timeout in seconds for the QMP responses of one VM in a scrape.',
  ),
  'libvirt.uri': option(libvirtUri, 'qemu:///system', 'libvirt connection URI.'),
  'libvirt.timeoutSeconds': option(decimal(0.05, 30), 2, 'Timeout in seconds for libvirt in a scrape.'),
  'trace.backend': option(
    oneOf('auto', 'bpf', 'tracefs', 'perf', 'off'),
    'auto',
    'Backend that counts trace events: BPF programs, tracefs hist triggers, or perf. auto takes the first of them that counts all sets of trace.sets.',
  ),
  'trace.sets': option(
    listOf(TRACE_SET_NAMES),
    DEFAULT_TRACE_SETS.join(','),
    'Tracepoint sets to count. docs/sources.md lists the metrics and the cost of each set.',
  ),
  'trace.budget': option(
    decimal(0.001, 1),
    0.01,
    "Share of a CPU's time that tracing may take. Where that does not suffice for every event, BPF counts a random sample, and hist triggers count in windows of one second.",
  ),
  'trace.vcpuReasons': option(flag, false, 'Also export exits by reason for each vCPU.'),
  'affinity.baseline': option(
    oneOf('learn', 'off'),
    'learn',
    'With learn, the affinity mask that a thread has when its VM is first seen is its expected affinity, unless vms or libvirt sets one.',
  ),
  'affinity.maxMigrationsPerSecond': option(
    decimal(0.01, 1000),
    0.5,
    'Rate of sampled CPU migrations above which a pinned thread counts as migrating.',
  ),
  'state.dir': option(
    directory,
    '/var/lib/kvm-telemetry',
    'Directory for learned and accepted baselines and declared phases. If it is not writable, the exporter keeps them in memory.',
  ),
  'record.file': optional(
    file,
    'File in which to record what kvm-telemetry compare needs, for a host without a Prometheus. A full file is moved to <file>.old.',
  ),
  'record.schedule': option(cron, '*/15 * * * * *', 'Schedule on which to record.'),
  'record.maxBytes': option(
    whole(1024 * 1024, 1024 ** 4),
    256 * 1024 * 1024,
    'Maximum size of the recording and its .old file together. A VM needs about 1.5 kB for each scrape.',
  ),
  'report.schedule': optional(
    cron,
    'Schedule on which to write a report of kvm-telemetry compare to report.dir. (default: never)',
  ),
  'report.dir': option(directory, '/var/lib/kvm-telemetry/reports', 'Directory of the reports.'),
  'report.keep': option(whole(1, 10_000), 30, 'Number of reports to keep. The oldest are removed.'),
  'report.vm': option(namePattern, '*', 'Name of the VM of the reports, or a pattern with * and ?.'),
  'report.host': optional(
    namePattern,
    'Label instance of the VMs, if several hosts have VMs with the same name.',
  ),
  'report.by': option(oneOf('stage', 'phase'), 'stage', 'What the reports compare.'),
  'report.last': option(duration, '7d', 'Time before each report in which to find stages or phases.'),
  'report.prometheusUrl': optional(
    webAddress,
    'URL of the Prometheus that has the samples of the reports. (default: the recording of record.file)',
  ),
  'report.httpConfigFile': optional(
    file,
    "Login for report.prometheus-url: a file with the keys of Prometheus' http_config.",
  ),
  profile: option(
    oneOf(...PROFILES),
    'full',
    'Metrics to export: those that the rules need, those that the dashboards and compare need too, or all. docs/metrics.md has the profile of each.',
  ),
  'metrics.allow': option(
    metricNames,
    '',
    'Metrics to export besides those of the profile, by the names of docs/metrics.md.',
  ),
  'metrics.deny': option(metricNames, '', 'Metrics not to export, by the names of docs/metrics.md.'),
  vms: { ...option(pinnings, [], 'Expected CPUs of the threads of VMs.'), onlyInFile: true },
  'vcpu.statistics': option(
    oneOf('essential', 'all'),
    'essential',
    'KVM statistics to export for each vCPU. The sums over a VM always include all statistics.',
  ),
  'metadata.labels': optional(
    listOf(METADATA_LABELS),
    "Labels of kvm_vm_metadata_info, from the metadata in libvirt's XML (Nova, KubeVirt), and tags from Proxmox VE. Without them there is no such series.",
  ),
  'limits.maxSeries': option(
    whole(1, 10_000_000),
    500_000,
    'Maximum number of exported series in a scrape. The exporter drops and counts the excess.',
  ),
  'limits.residencyCpus': option(
    whole(1, 8192),
    16,
    'Number of CPUs per thread with a residency series of their own. Further CPUs share one series.',
  ),
  'block.exclude': option(regularExpression, '^(ram|zram|fd|sr)\\d+$', 'Block devices to exclude.'),
  ...collectorOptions,
} as const;

export type ConfigKey = keyof typeof options;
/** All settings, validated, by key. */
export type Config = { readonly [K in ConfigKey]: (typeof options)[K] extends Option<infer T> ? T : never };
