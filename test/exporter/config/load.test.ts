import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseListenAddress } from '../../../exporter/config/addresses.ts';
import {
  ConfigError,
  environmentVariableOf,
  flagOf,
  parseConfigFile,
  readConfigFile,
  resolveConfig,
} from '../../../exporter/config/load.ts';
import { type ConfigKey, options } from '../../../exporter/config/options.ts';
import { rootsOf } from '../../../exporter/config/roots.ts';
import { cpuMs } from '../../../testing/patience.ts';

/** The message of the error, which must be one line. */
function mistake(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.doesNotMatch(error.message, /\n/);
    return error.message;
  }
  return assert.fail('no error');
}

const file = (text: string): string => mistake(() => resolveConfig({}, {}, parseConfigFile(text, 'k.yaml')));

test('without flags, environment and file, every setting has its default', () => {
  const config = resolveConfig({}, {}, {});
  for (const [key, { default: value }] of Object.entries(options)) {
    assert.equal(config[key as ConfigKey], value, key);
  }
});

// One of each kind: text, whole number, switch that is off, switch that is on, level, path, cron, expression.
const KINDS: [ConfigKey, { file: unknown; environment: string; flag: unknown }, unknown[]][] = [
  [
    'web.listenAddress',
    { file: [':1', ':4'], environment: ':2, [::1]:5', flag: [':3'] },
    [[':1', ':4'], [':2', '[::1]:5'], [':3']],
  ],
  ['limits.maxSeries', { file: 1, environment: '2', flag: '3' }, [1, 2, 3]],
  ['web.enableLifecycle', { file: true, environment: 'false', flag: true }, [true, false, true]],
  ['collector.kvm_debugfs', { file: false, environment: 'true', flag: false }, [false, true, false]],
  ['log.level', { file: 'warn', environment: 'error', flag: 'debug' }, ['warn', 'error', 'debug']],
  ['path.rootfs', { file: '/f', environment: '/e', flag: '/x' }, ['/f', '/e', '/x']],
  [
    'sampler.schedule',
    { file: '*/2 * * * * *', environment: '*/3 * * * * *', flag: '*/4 * * * * *' },
    ['*/2 * * * * *', '*/3 * * * * *', '*/4 * * * * *'],
  ],
  ['block.exclude', { file: '^f', environment: '^e', flag: '^x' }, ['^f', '^e', '^x']],
];

for (const [key, given, [fromFile, fromEnvironment, fromFlag]] of KINDS) {
  test(`${key}: a flag overrides the environment, which overrides the file, which overrides the default`, () => {
    const environment = { [environmentVariableOf(key)]: given.environment };
    const inFile = { [key]: given.file };
    assert.deepEqual(resolveConfig({}, {}, inFile)[key], fromFile);
    assert.deepEqual(resolveConfig({}, environment, inFile)[key], fromEnvironment);
    assert.deepEqual(resolveConfig({ [key]: given.flag }, environment, inFile)[key], fromFlag);
  });
}

test('flags and environment variables are spelled as Prometheus users expect', () => {
  assert.equal(flagOf('web.listenAddress'), '--web.listen-address');
  assert.equal(flagOf('collector.kvm_debugfs'), '--collector.kvm-debugfs');
  assert.equal(environmentVariableOf('web.listenAddress'), 'KVM_TELEMETRY_WEB_LISTEN_ADDRESS');
  assert.equal(environmentVariableOf('collector.kvm_debugfs'), 'KVM_TELEMETRY_COLLECTOR_KVM_DEBUGFS');
  const keys = Object.keys(options);
  assert.equal(
    new Set(keys.map(environmentVariableOf)).size,
    keys.length,
    'no two settings share a variable',
  );
  assert.equal(new Set(keys.map(flagOf)).size, keys.length, 'no two settings share a flag');
});

test('ignores a variable with the prefix that is not a setting, such as those of Kubernetes', () => {
  resolveConfig({}, { KVM_TELEMETRY_PORT: 'tcp://10.0.0.1:9954', KVM_TELEMETRY_SERVICE_HOST: 'x' }, {});
});

test('a wrong value is refused with the flag, variable or key, the value and the allowed values', () => {
  assert.equal(
    mistake(() => resolveConfig({ 'log.level': 'loud' }, {}, {})),
    '--log.level: "loud" is not allowed: give trace, debug, info, warn, error or fatal',
  );
  assert.equal(
    mistake(() => resolveConfig({}, { KVM_TELEMETRY_LIMITS_MAX_SERIES: '0' }, {})),
    'KVM_TELEMETRY_LIMITS_MAX_SERIES: "0" is not allowed: give a whole number from 1 to 10000000',
  );
  assert.equal(
    file('web:\n  enableLifecycle: 1\n'),
    'web.enableLifecycle: 1 is not allowed: give true or false',
  );
});

test('each setting refuses invalid values and names the allowed ones', () => {
  const wrong: Record<string, unknown[]> = {
    'web.listenAddress': ['9954', ':99999', '::1:9954', '[::1]', '[nonsense]:1', 'a b:1', '', 9954, ':-1'],
    'web.config.file': ['relative.yml', '', null, ['/a']],
    'web.telemetryPath': [
      '',
      '/',
      'metrics',
      '/m/',
      '//m',
      '/a?b',
      '/:a',
      '/a/../b',
      '/-/ready',
      '/API/x',
      '/assets',
      1,
    ],
    'web.enableLifecycle': ['yes', '', 1, null],
    'log.level': ['INFO', 'silent', 3],
    'path.rootfs': ['host', '/a\0b', {}],
    'inventory.schedule': ['* * * * *', '60 * * * * *', '@daily', 'often', '0 0 0 31 2 *', 10],
    'limits.maxSeries': ['1e3', '0x10', '-1', '1.5', 1.5, 0, 10_000_001, Number.NaN, true],
    'limits.residencyCpus': [0, 8193, 'all'],
    'block.exclude': ['(', '', 'x'.repeat(501)],
    'collector.vms': ['off', 0],
  };
  for (const [key, values] of Object.entries(wrong)) {
    for (const value of values) {
      const message = mistake(() => resolveConfig({ [key]: value }, {}, {}));
      assert.ok(message.startsWith(`${flagOf(key)}: `), message);
      assert.ok(message.endsWith(`give ${options[key as ConfigKey].allowed}`), message);
    }
  }
});

test('a setting that was renamed is accepted under both names, and the new one wins', () => {
  const key = 'web.config.file';
  assert.equal(resolveConfig({ 'web.config': '/old' }, {}, {})[key], '/old');
  assert.equal(resolveConfig({ 'web.config': '/old', [key]: '/new' }, {}, {})[key], '/new');
  assert.equal(resolveConfig({}, { KVM_TELEMETRY_WEB_CONFIG: '/old' }, {})[key], '/old');
  assert.equal(resolveConfig({}, { KVM_TELEMETRY_WEB_CONFIG_FILE: '/new' }, {})[key], '/new');
  for (const text of ['web: { config: /x }', 'web: { config: { file: /x } }', 'web.config.file: /x'])
    assert.equal(resolveConfig({}, {}, parseConfigFile(text, 'k.yaml'))[key], '/x', text);
  assert.equal(
    file('web: { config: { fil: /x } }'),
    'k.yaml: unknown key "web.config.fil": did you mean "web.config.file"?',
  );
  assert.equal(file('web: { config: x }'), 'web.config: "x" is not allowed: give an absolute path');
});

test('of several addresses, the wrong one is named', () => {
  const { allowed } = options['web.listenAddress'];
  assert.equal(
    mistake(() => resolveConfig({ 'web.listenAddress': [':1', '9954'] }, {}, {})),
    `--web.listen-address: "9954" is not allowed: give ${allowed}`,
  );
  const many = Array.from({ length: 17 }, (_, i) => `:${i}`);
  assert.match(
    mistake(() => resolveConfig({ 'web.listenAddress': many }, {}, {})),
    /^--web\.listen-address: \[":0",/,
  );
});

test('a long wrong value is cut in the message', () => {
  assert.ok(mistake(() => resolveConfig({ 'path.rootfs': 'x'.repeat(9000) }, {}, {})).length < 400);
});

test('a file takes nested keys and keys with dots', () => {
  assert.deepEqual(parseConfigFile('web: { listenAddress: ":1" }\nlog.level: warn\n', 'k.yaml'), {
    'web.listenAddress': ':1',
    'log.level': 'warn',
  });
});

test('an empty file, or one of comments only, changes nothing', () => {
  assert.deepEqual(parseConfigFile('', 'k.yaml'), {});
  assert.deepEqual(parseConfigFile('# nothing yet\n---\n', 'k.yaml'), {});
});

test('an unknown key is refused with the known keys', () => {
  assert.match(
    file('web: { listenAdress: ":1" }'),
    /^k\.yaml: unknown key "web\.listenAdress": did you mean "web\.listenAddress"\?$/,
  );
  assert.equal(file('wbe: {}'), 'k.yaml: unknown key "wbe": did you mean "web"?');
  assert.equal(
    file('web: { confg: { file: x } }'),
    'k.yaml: unknown key "web.confg": did you mean "web.config"?',
  );
  assert.match(
    file('constructor: 1'),
    /^k\.yaml: unknown key "constructor": known keys are web\.listenAddress, /,
  );
  assert.match(file('__proto__: { log: 1 }'), /^k\.yaml: unknown key "__proto__": /);
});

test('a list or a value in place of keys is refused', () => {
  assert.equal(file('- web'), 'k.yaml: the document is ["web"]: give keys and values');
  assert.equal(file('web: [1]'), 'k.yaml: web is [1]: give keys and values');
  assert.equal(file('web:'), 'k.yaml: web is null: give keys and values');
  assert.equal(file('just text'), 'k.yaml: the document is "just text": give keys and values');
});

test('a map or a list in place of a value is refused', () => {
  assert.match(file('log: { level: { a: 1 } }'), /^log\.level: \{"a":1\} is not allowed: give trace/);
  assert.match(file('limits: { maxSeries: [1] }'), /^limits\.maxSeries: \[1\] is not allowed: give a whole/);
});

test('text that is not YAML, a key given twice and a second document are refused in one line', () => {
  assert.match(file('web: { listenAddress: '), /^k\.yaml: not YAML: .* at line 1, column 23$/);
  assert.match(file('log: {level: info}\nlog: {level: warn}\n'), /^k\.yaml: not YAML: .*unique/);
  assert.match(file('log: {level: info}\n---\nlog: {level: warn}\n'), /^k\.yaml: not YAML: /);
  assert.match(file('\0\x01\x02'), /^k\.yaml: /);
});

test('aliases, and with them a bomb of them, are refused at once', async () => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]'];
  for (let i = 0; i < 9; i++) {
    const [from, to] = ['abcdefghij'[i], 'abcdefghij'[i + 1]];
    bomb.push(`${to}: &${to} [${`*${from}, `.repeat(9)}]`);
  }
  const ms = await cpuMs(() => assert.match(file(bomb.join('\n')), /^k\.yaml: not YAML: .*alias/i));
  assert.ok(ms < 5000, `${ms} ms`);
});

test('a file that is missing or a folder is refused with its path', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kt-'));
  try {
    assert.equal(
      mistake(() => readConfigFile(join(folder, 'none.yaml'))),
      `--config: cannot read ${folder}/none.yaml: ENOENT`,
    );
    assert.equal(
      mistake(() => readConfigFile(folder)),
      `--config: cannot read ${folder}: a directory: give a regular file`,
    );
    writeFileSync(join(folder, 'k.yaml'), 'log: { level: warn }\n');
    assert.deepEqual(readConfigFile(join(folder, 'k.yaml')), { 'log.level': 'warn' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('all paths are under the root file system, except those that are set', () => {
  assert.deepEqual(rootsOf(resolveConfig({}, {}, {})), {
    procfs: '/proc',
    sysfs: '/sys',
    debugfs: '/sys/kernel/debug',
    tracefs: '/sys/kernel/tracing',
    libvirt: '/run/libvirt/qemu',
    libvirtConfig: '/etc/libvirt/qemu',
    pve: '/etc/pve',
    pveRun: '/run/qemu-server',
    bpf: undefined,
  });
  assert.deepEqual(rootsOf(resolveConfig({ 'path.rootfs': '/host/', 'path.procfs': '/p' }, {}, {})), {
    procfs: '/p',
    sysfs: '/host/sys',
    debugfs: '/host/sys/kernel/debug',
    tracefs: '/host/sys/kernel/tracing',
    libvirt: '/host/run/libvirt/qemu',
    libvirtConfig: '/host/etc/libvirt/qemu',
    pve: '/host/etc/pve',
    pveRun: '/host/run/qemu-server',
    bpf: undefined,
  });
});

test('debugfs and tracefs follow a sysfs that is set', () => {
  const roots = rootsOf(resolveConfig({ 'path.sysfs': '/s', 'path.tracefs': '/t' }, {}, {}));
  assert.equal(roots.debugfs, '/s/kernel/debug');
  assert.equal(roots.tracefs, '/t');
});

test('listen addresses: IPv4, IPv6 in brackets, a name, or all', () => {
  assert.deepEqual(parseListenAddress('127.0.0.1:9954'), { host: '127.0.0.1', port: 9954 });
  assert.deepEqual(parseListenAddress('[::1]:0'), { host: '::1', port: 0 });
  assert.deepEqual(parseListenAddress('[fe80::1%eth0]:1'), { host: 'fe80::1%eth0', port: 1 });
  assert.deepEqual(parseListenAddress('localhost:65535'), { host: 'localhost', port: 65_535 });
  assert.deepEqual(parseListenAddress(':9954'), { host: undefined, port: 9954 });
  for (const wrong of [
    '',
    ':',
    '::1:9954',
    '[::1]',
    '[]:1',
    '[1.2.3.4]:1',
    'h:65536',
    'h:1 ',
    'http://h:1',
  ]) {
    assert.equal(parseListenAddress(wrong), undefined, wrong);
  }
});

test('the file has the pins of VMs', () => {
  const vms = [
    { name: 'web-*', pinning: { 'vcpu?': '1-4,^2', emulator: '0' } },
    { name: 'db', pinning: {} },
  ];
  assert.deepEqual(resolveConfig({}, {}, parseConfigFile(JSON.stringify({ vms }), 'k.yaml')).vms, vms);
  const yaml = 'vms:\n  - name: web\n    pinning:\n      vcpu0: "2"\n';
  assert.deepEqual(resolveConfig({}, {}, parseConfigFile(yaml, 'k.yaml')).vms, [
    { name: 'web', pinning: { vcpu0: '2' } },
  ]);
});

test('invalid pins are refused with key, value and the allowed values', () => {
  const { allowed } = options.vms;
  for (const cpus of ['nonsense', '3-1', '^1', '', '0-99999999', '1,^1'])
    assert.equal(
      file(JSON.stringify({ vms: [{ name: 'web', pinning: { vcpu0: cpus } }] })),
      `vms: [{"name":"web","pinning":{"vcpu0":"${cpus}"}}] is not allowed: give ${allowed}`,
    );
  for (const vms of [
    'web',
    [{ name: 'web' }],
    [{ name: '', pinning: {} }],
    [{ name: 'web', pinning: {}, cpus: '1' }],
    [{ name: 'web', pinning: { '': '1' } }],
    [{ name: 'web', pinning: { vcpu0: 1 } }],
    { web: { vcpu0: '1' } },
  ])
    assert.ok(file(JSON.stringify({ vms })).endsWith(`is not allowed: give ${allowed}`), JSON.stringify(vms));
});

test('pins have no variable and no flag', () => {
  const environment = { [environmentVariableOf('vms')]: '[]', KVM_TELEMETRY_VMS: 'nonsense' };
  assert.deepEqual(resolveConfig({ vms: 'nonsense' }, environment, {}).vms, []);
});

test('the URL of Grafana is http or https, without a password', () => {
  const grafana = (url: string): string | undefined =>
    resolveConfig({ 'web.grafanaUrl': url }, {}, {})['web.grafanaUrl'];
  assert.equal(grafana('https://grafana.example.org/base'), 'https://grafana.example.org/base');
  assert.equal(grafana('http://10.0.0.1:3000'), 'http://10.0.0.1:3000');
  for (const url of [
    'grafana',
    'javascript:alert(1)',
    'https://a:b@c',
    'ftp://c',
    'https://c/?x',
    'https://c/#x',
  ]) {
    assert.throws(() => grafana(url), ConfigError, url);
  }
});

test('a metric that is not in the catalogue is refused in one error with the nearest name', () => {
  const flags = { 'metrics.allow': 'kvm_vm_vcpus, kvm_vm_exit_total' };
  assert.equal(
    mistake(() => resolveConfig(flags, {}, {})),
    '--metrics.allow: "kvm_vm_vcpus, kvm_vm_exit_total" is not allowed: give a comma-separated list of metrics of docs/metrics.md: did you mean "kvm_vm_exits_total"?',
  );
  assert.match(file('metrics: { deny: toString }'), /^metrics\.deny: "toString" is not allowed/);
  assert.match(file('profile: standart'), /did you mean "standard"\?$/);
  assert.equal(resolveConfig({}, {}, { 'metrics.deny': 'kvm_vm_info' })['metrics.deny'], 'kvm_vm_info');
});
