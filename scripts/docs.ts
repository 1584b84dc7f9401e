import { readFileSync } from 'node:fs';
import { type CatalogueEntry, catalogue } from '../exporter/metrics/catalogue.ts';
import { bashCompletion } from './cli-docs/bash.ts';
import { leaves } from './cli-docs/commands.ts';
import { fishCompletion } from './cli-docs/fish.ts';
import { manPage } from './cli-docs/man-page.ts';
import { zshCompletion } from './cli-docs/zsh.ts';
import { writeGenerated } from './generated.ts';

const ROOT = new URL('../../', import.meta.url);

const SUBJECTS: readonly { readonly title: string; readonly prefix: RegExp; readonly text: string }[] = [
  {
    title: 'Disks and IOThreads, as the VMM sees them',
    prefix: /^kvm_(vm_disk|iothread)_/,
    text: "The guest's requests, before the host's caches and merges. `disk` is the id of the device, else the name of its drive or node. Named like node_exporter's `node_disk_*`.",
  },
  {
    title: 'Affinity, features and stages',
    prefix: /^kvm_(thread_affinity_|vm_(affinity|numa_local|io_completion|feature|stage|phase|queue_))/,
    text: 'Expected and actual affinity, active features, and the resulting stage of the methodology. docs/sources.md has the kinds of drift, the features and the rules.',
  },
  {
    title: 'Trace events',
    prefix:
      /^kvm_(virtqueue_|vcpu_exits_by_reason|vm_(trace_|exits_by_reason|exit_duration|io_path|msi|block_request|lock_))/,
    text: 'Counted in the kernel since the daemon started. `trace.sets` and the backend decide which of them exist. docs/sources.md explains each tracepoint.',
  },
  {
    title: 'vCPUs',
    prefix: /^kvm_vcpu_/,
    text: "KVM's statistics of each vCPU, by BPF, else from QEMU's monitor or libvirt; debugfs does not have them. By default exits, interrupts and halts; `vcpu.statistics: all` exports the whole list.",
  },
  {
    title: 'CPU quotas and pressure',
    prefix: /^kvm_(vm_(throttled|quota|pressure)|host_pressure)_/,
    text: 'The time that CPU quotas take from a VM, and its stall time. docs/sources.md explains which cgroups count.',
  },
  {
    title: 'CPUs of VMs',
    prefix: /^kvm_vm_(cpu|cpus|scheduled|uclamp|ext|forced)_?/,
    text: 'The state of the CPUs on which vCPUs and I/O threads run, by VM and role, not by CPU. docs/sources.md explains which CPUs count.',
  },
  {
    title: 'Memory and migration',
    prefix: /^kvm_vm_(memory|migration|numa_pages)_/,
    text: "Memory of the VMM's process, and a live migration from this host while it runs.",
  },
  {
    title: 'VMs',
    prefix: /^kvm_vm_/,
    text: 'Sums over a VM. `vm` is unique on the host; join `kvm_vm_info` for other properties: `kvm_vm_exits_total * on (vm) group_left (uuid) kvm_vm_info`. KVM statistics that this version does not know are exported as `kvm_vm_<statistic>_total` (gauges without `_total`).',
  },
  {
    title: 'Threads',
    prefix: /^kvm_thread_/,
    text: '`thread` is stable over restarts (`vcpu0`, `iothread:io0`, `vhost0`, `sqpoll0`, `emulator`, `monitor`), `role` groups it. Short-lived threads (`worker`, `io_worker`, `other`) and unidentified ones (`unknown`) are summed by role; the sums keep the counts of threads that ended. The source is BPF, else /proc; both have the same values.',
  },
  { title: 'Block devices', prefix: /^kvm_(block|nvme)_/, text: "Named like node_exporter's `node_disk_*`." },
  { title: 'Host', prefix: /^kvm_(cpu|host|sched_ext|interrupts|module|lockdown)/, text: '' },
  {
    title: 'The exporter itself',
    prefix: /^kvm_telemetry_/,
    text: "Beside these, prom-client's `process_*` and `nodejs_*`.",
  },
];

const PROFILES_TEXT = `\`profile\` is the smallest \`--profile\` with the metric: \`minimal\` has the metrics of the rules, \`standard\` also those of the
dashboards and \`compare\`, \`full\` (the default) all. KVM statistics that this version does not know are in \`full\`. Every profile has
\`process_*\` and \`nodejs_*\`. docs/fleet.md has the number of series.
`;

/** Generates docs/metrics.md from the catalogue. */
export function metricsReference(metrics: Readonly<Record<string, CatalogueEntry>>): string {
  const left = new Set(Object.keys(metrics));
  const sections = SUBJECTS.map(({ title, prefix, text }) => {
    const names = [...left].filter((name) => prefix.test(name)).sort();
    for (const name of names) left.delete(name);
    const rows = names.map((name) => row(name, metrics[name] as CatalogueEntry));
    return `## ${title}\n\n${text === '' ? '' : `${text}\n\n`}| metric | type | profile | labels | meaning | source |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  if (left.size > 0) throw new Error(`no section for ${[...left].join(', ')}`);
  return `# Metrics\n\nGenerated from \`exporter/metrics/\` by \`npm run docs\`; do not edit.\n\n${PROFILES_TEXT}\n${sections.join('\n')}`;
}

function row(name: string, { type, profile, labels, help, source, derived }: CatalogueEntry): string {
  const cells = [
    `\`${name}\``,
    type,
    profile,
    labels.map((label) => `\`${label}\``).join(' '),
    derived === undefined ? help : `${help} Derived (${derived.kind}): ${derived.how}.`,
    source === 'exporter' ? '' : `\`${source}\``,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** Path in the repository and content of each generated file. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const all = leaves();
  const { version } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { version: string };
  return new Map([
    ['docs/metrics.md', metricsReference(catalogue)],
    ['deploy/man/kvm-telemetry.1', manPage(all, version)],
    ['deploy/completion/kvm-telemetry.bash', bashCompletion(all)],
    ['deploy/completion/_kvm-telemetry', zshCompletion(all)],
    ['deploy/completion/kvm-telemetry.fish', fishCompletion(all)],
  ]);
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1])
  writeGenerated(generatedFiles(), 'the code says', 'npm run docs');
