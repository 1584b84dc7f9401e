/** Commands of the documentation that tests execute, as a process or as the function behind it: the test, and a part of its text that shows it. */
export const EXECUTED: readonly { readonly is: RegExp; readonly by: string; readonly has: string }[] = [
  { is: /^npm run check$/, by: '.ci/run', has: 'npm run check' },
  { is: /^npm test$/, by: '.ci/run', has: 'npm test' },
  { is: /^npm run test:lab$/, by: '.ci/run', has: 'npm run test:lab' },
  { is: /^npm run coverage$/, by: '.ci/run', has: 'coverage.mjs' },
  { is: /^npm run docs$/, by: 'scripts/check.mjs', has: 'docs' },
  { is: /^npm run demo(?!.*& until)/, by: 'test/e2e/demo.test.ts', has: "'demo'" },
  { is: /^npm run history\b/, by: 'test/scripts/history.test.ts', has: 'history' },
  { is: /^npm run alert-study$/, by: 'test/scripts/alert-study.test.ts', has: 'alert-study' },
  { is: /^npm run mutate -- /, by: 'test/scripts/mutate.test.ts', has: 'mutate' },
  { is: /^npm run package$/, by: 'test/package/package.test.ts', has: 'scripts/package.mjs' },
  { is: /^apt-get install .*\.deb$/, by: 'test/package/package.test.ts', has: 'apt-get install' },
  { is: /^curl http:.*\/metrics$/, by: 'test/package/package.test.ts', has: '/metrics' },
  { is: /^kvm-telemetry doctor$/, by: 'test/package/package.test.ts', has: "'kvm-telemetry doctor'" },
  { is: /^rpm --root .* -[iUe] /, by: 'test/package/rpm.test.ts', has: "'--force-debian'" },
  { is: /^ansible-playbook /, by: 'test/package/ansible.test.ts', has: 'ansible-playbook' },
  { is: /^kvm-telemetry serve$/, by: 'test/e2e/daemon.test.ts', has: 'startDaemon' },
  {
    is: /^kvm-telemetry serve --profile=minimal$/,
    by: 'test/exporter/metrics/profiles.test.ts',
    has: 'minimal',
  },
  { is: /^kvm-telemetry serve .*--metrics\./, by: 'test/exporter/metrics/profiles.test.ts', has: 'metrics.' },
  { is: /^kvm-telemetry serve --record/, by: 'test/e2e/compare-guest.test.ts', has: '--record.file=' },
  { is: /^kvm-telemetry once$/, by: 'test/exporter/cli/cli.test.ts', has: "'once'" },
  { is: /^kvm-telemetry demo$/, by: 'test/e2e/demo.test.ts', has: "'demo'" },
  { is: /^kvm-telemetry doctor --vm /, by: 'test/e2e/affinity.test.ts', has: "'--vm'" },
  { is: /^kvm-telemetry accept /, by: 'test/e2e/affinity.test.ts', has: "'accept'" },
  { is: /^kvm-telemetry phase (?:set|clear) /, by: 'test/e2e/affinity.test.ts', has: "'phase'" },
  { is: /^kvm-telemetry compare --prometheus /, by: 'test/e2e/compare.test.ts', has: '--prometheus' },
  {
    is: /^kvm-telemetry compare --recording /,
    by: 'test/e2e/compare-guest.test.ts',
    has: "compare('--recording'",
  },
  {
    is: /^kvm-telemetry compare --vm .* --recording /,
    by: 'test/e2e/compare-guest.test.ts',
    has: 'from saved outputs',
  },
  { is: /^kvm-telemetry compare \.\.\. --fail-if /, by: 'test/e2e/compare.test.ts', has: 'fail-if' },
  { is: /^kvm-telemetry fleet targets --list /, by: 'test/docs/commands.test.ts', has: 'fleet targets' },
  { is: /^(?:victoria-metrics|vmalert|vmagent) /, by: 'test/alerts/fleet.test.ts', has: 'vmagent' },
  { is: /^curl -s '.*\/api\/v1\/causes/, by: 'test/e2e/causes.test.ts', has: '/api/v1/causes' },
];

/** Commands that no test executes, with the reason. */
export const NOT_EXECUTED: readonly { readonly is: RegExp; readonly why: string }[] = [
  { is: /^npm run bench\b/, why: 'a measurement of minutes; the test checks its name and options' },
  { is: /^time \(npm run demo /, why: 'a measurement' },
  { is: /^npm run alert-study -- --seeds/, why: 'hours; the test runs a short one' },
  { is: /^npm test -- /, why: 'a selection of the tests' },
  { is: /^npm run attacks$/, why: 'a selection of the tests' },
  {
    is: /^npm run test:(?:package|container)$/,
    why: 'ten minutes, debootstrap and the archive of Debian; run by hand',
  },
  { is: /^npm run test:repeat -- /, why: 'repeats tests; run by hand' },
  { is: /^npm run format$/, why: 'changes the sources' },
  {
    is: /^scripts\/unpack\.sh \/var\/tmp\/kernel |^LAB_KERNEL=/,
    why: 'downloads a kernel that Debian replaces every few weeks; run by hand',
  },
  { is: /^npm run lab$/, why: 'waits for Ctrl-C; test:lab boots the same host' },
  { is: /^apt install /, why: 'the same as apt-get install, with a terminal' },
  { is: /^dnf install /, why: 'no machine with dnf; rpm --root installs the same package' },
  { is: /^systemctl /, why: 'no systemd runs where the tests run' },
  {
    is: /^npm install --no-save && /,
    why: 'removes the tools of the tests; the package is made in the same way',
  },
  { is: /^(?:cp|chmod|ln) .*\/opt\/kvm-telemetry/, why: 'installs on the host that runs the tests' },
  { is: /^cp deploy\/systemd\//, why: 'installs on the host that runs the tests' },
  { is: /^docker /, why: 'no Docker engine; test/container builds the Dockerfile with buildah' },
  {
    is: /^(?:helm|kubectl) /,
    why: 'no helm and no cluster; test/kubernetes renders and validates what they apply',
  },
  {
    is: /^(?:vmstorage|vminsert|vmselect) /,
    why: 'Debian has no package of the cluster; docs/fleet.md says when it was run by hand',
  },
  { is: /^ansible-inventory /, why: 'no ansible in CI; fleet-targets.test.ts reads its output' },
  {
    is: /^kvm-telemetry fleet targets --libvirt /,
    why: 'needs remote hosts; fleet-targets.test.ts reads such URIs',
  },
  { is: /^fio /, why: 'runs in a guest with a disk of its own' },
  { is: /^curl -fo /, why: 'compare-guest.test.ts saves the same outputs without curl' },
  {
    is: /^prometheus --config.file=\/dev\/null /,
    why: 'history.test.ts starts Prometheus on the same blocks',
  },
];

/** First lines of code that is no command: configuration, output, figures. */
export const NO_COMMANDS: readonly RegExp[] = [
  /^scrape_configs:$/,
  /^rule_files: /,
  /^vms:$/,
  /^kernel file ── /,
  /^causes +Its I\/O fell/,
  /^basic_auth: /,
  /^report: \{/,
  /^kvm1\.example\.org$/,
  /^-qmp unix:/,
];

/** Programs whose commands count as such within sentences, beside npm, node and kvm-telemetry. */
export const PROGRAMS: readonly string[] = [
  ...[
    'apt',
    'apt-get',
    'buildah',
    'chrt',
    'cosign',
    'curl',
    'debootstrap',
    'dnf',
    'docker',
    'git',
    'gpg',
    'helm',
  ],
  ...['kubectl', 'lintian', 'man', 'modprobe', 'mount', 'perf', 'prlimit', 'prometheus', 'promtool', 'rpm'],
  ...[
    'rpmsign',
    'runuser',
    'sha256sum',
    'systemctl',
    'systemd-analyze',
    'thanos',
    'virsh',
    'vmagent',
    'vmalert',
    'wget',
  ],
];

/** Commands of these programs within sentences, which may lack arguments. */
export const INLINE: readonly ({ readonly is: RegExp } & (
  | { readonly by: string; readonly has: string }
  | { readonly why: string }
))[] = [
  { is: /^promtool check rules$/, by: 'test/dashboards/queries.test.ts', has: "['check', 'rules'" },
  { is: /^promtool check config$/, by: 'test/alerts/fleet.test.ts', has: "'check', 'config'" },
  { is: /^promtool test rules$/, by: 'test/alerts/boundaries.test.ts', has: "['test', 'rules'" },
  { is: /^promtool tsdb create-blocks-from rules$/, why: 'the text says why it is of no use' },
  { is: /^(?:vmagent|vmalert) -dryRun$/, by: 'test/alerts/fleet.test.ts', has: '-dryRun' },
  { is: /^thanos /, why: 'Debian has no package of it; docs/fleet.md says that it was not run' },
  { is: /^curl 127\.0\.0\.1:9954\/metrics$/, by: 'test/package/package.test.ts', has: '/metrics' },
  { is: /^virsh (?:-r )?domstats$/, by: 'test/exporter/sources/libvirt/libvirt.test.ts', has: 'domstats' },
  { is: /^virsh (?:-r )?domjobinfo$/, by: 'test/exporter/sources/libvirt/jobs.test.ts', has: 'domjobinfo' },
  { is: /^perf (?:kvm )?stat$/, why: 'the name of a program to compare with' },
  { is: /^chrt -f 1$/, why: 'a condition of a measurement' },
  { is: /^prlimit --nofile=20 /, why: 'the cause of a failure that was seen' },
  { is: /^mount -t debugfs /, why: 'changes the host that runs the tests; .ci/run mounts it' },
  { is: /^apt purge$/, by: 'test/package/package.test.ts', has: 'dpkg --purge' },
  { is: /^apt-get install (?:rpm|libbpf1)$/, why: 'installs on the host that runs the tests' },
  { is: /^debootstrap --variant=minbase$/, by: 'testing/bare-debian.ts', has: '--variant=minbase' },
  { is: /^rpm --root$/, by: 'test/package/rpm.test.ts', has: '--root' },
  { is: /^rpm -V$/, by: 'test/package/rpm.test.ts', has: "'-V'" },
  { is: /^man kvm-telemetry$/, why: 'a pager; the test of the package checks that the page is there' },
  { is: /^buildah run --isolation chroot$/, by: 'test/container/container.test.ts', has: 'chroot' },
  { is: /^systemctl edit /, why: 'no systemd runs where the tests run' },
  { is: /^helm install$/, why: 'no helm; test/kubernetes renders and validates the chart' },
  { is: /^systemd-analyze security /, by: 'test/exporter/daemon/systemd.test.ts', has: "'security'" },
  { is: /^runuser -u kvm-telemetry /, why: 'needs the user of the hardened unit' },
  { is: /^(?:git tag|rpmsign|sha256sum|gpg|cosign|docker build) /, why: 'a step of a release, with keys' },
];
