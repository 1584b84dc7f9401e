import { type Command, Option } from 'commander';

/** Adds the flags of `compare`. */
export function withComparison(command: Command): Command {
  for (const [heading, flags] of Object.entries(FLAGS)) {
    for (const [name, help, more] of flags) {
      const option = new Option(name, help).helpGroup(heading);
      if (more?.repeatable) option.argParser(appended);
      if (more?.value !== undefined) option.default(more.value);
      command.addOption(option);
    }
  }
  return command;
}

type Flag = readonly [
  name: string,
  help: string,
  more?: { readonly repeatable?: true; readonly value?: string },
];

const TIMES = 'a time with a zone (2026-11-27T04:00Z), a local time, or seconds of the epoch';

const FLAGS: Readonly<Record<string, readonly Flag[]>> = {
  'Samples:': [
    [
      '--prometheus <url>',
      'Prometheus, Thanos, Mimir or VictoriaMetrics that scrapes the exporter, with the path before /api/v1.',
    ],
    [
      '--recording <file>',
      'Instead of a server: a recording of the daemon (record.file), or saved outputs of /metrics from the beginning and the end of each configuration. Give the flag several times for several files.',
      { repeatable: true },
    ],
    [
      '--http.config.file <file>',
      "Login and certificates: a file with the keys of Prometheus' http_config, such as basic_auth, authorization, tls_config and http_headers.",
    ],
  ],
  'What to compare:': [
    [
      '--vm <pattern>',
      'Name of the VM, or a pattern with * and ?. With several VMs, numbers are means per VM.',
    ],
    [
      '--host <pattern>',
      'Label instance of the VMs. Necessary if several hosts have VMs with the same name.',
    ],
    [
      '--by <stage|phase|label=name>',
      "Compare the detected stages, or the phases of 'kvm-telemetry phase set'. With label=kernel, cpu, qemu_version, exporter_version, cluster or another label: the hosts of a fleet, by recorded series.",
    ],
    ['--last <duration>', 'Time before now in which to find stages or phases. (default: 7d)'],
    ['--from <time>', `Begin of the time in which to find stages or phases: ${TIMES}.`],
    ['--to <time>', 'End of that time. (default: now)'],
    ['--before <from/to>', 'Time before the change, with --after instead of --by.'],
    ['--after <from/to>', 'Time after the change.'],
    ['--warm-up <duration>', 'Time after each change that counts for nothing. (default: 60s)'],
    [
      '--metric <name>',
      'Compare only this metric. Give the flag several times for several. (default: all)',
      { repeatable: true },
    ],
  ],
  'Report:': [
    ['--format <table|markdown|json|html>', 'Format of the report.', { value: 'table' }],
    ['--out <file>', 'Write the report to this file, not to standard output.'],
    ['--confidence <number>', 'Level of the intervals.', { value: '0.95' }],
    [
      '--fail-if <threshold>',
      "Exit with 1 if a metric changed by more than this, such as 'exits_per_io>+10%', and with 3 if that cannot be said. Give the flag several times for several.",
      { repeatable: true },
    ],
  ],
};

function appended(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
