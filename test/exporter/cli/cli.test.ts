import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { ROOT } from '../../../testing/daemon.ts';
import { temporaryFolder } from '../../../testing/folder.ts';

const MAIN = `${ROOT}dist/exporter/main.js`;
const CAPTURED = `${ROOT}test/fixtures/hosts/linux-nvme-vhost/t0`;
const HOST = `--path.rootfs=${CAPTURED}`;

const folder = temporaryFolder({ after });
mkdirSync(join(folder, 'proc'));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

function run(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = {
      env: { PATH: process.env['PATH'], ...environment },
      timeout: 60_000,
      maxBuffer: 1 << 26,
    };
    execFile(process.execPath, [MAIN, ...args], options, (error, out, errors) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, errors }),
    );
  });
}

function config(text: string): string {
  const path = join(folder, `${Math.random()}.yaml`);
  writeFileSync(path, text);
  return path;
}

describe('a mistake in the configuration ends every command with code 2 and one line', {
  concurrency: 2,
}, () => {
  const mistakes: [string, string[], NodeJS.ProcessEnv, RegExp][] = [
    [
      'a wrong flag',
      ['serve', '--limits.max-series=0'],
      {},
      /^--limits\.max-series: "0" is not allowed: give a whole number from 1 to 10000000$/,
    ],
    [
      'a wrong variable',
      ['once'],
      { KVM_TELEMETRY_LOG_LEVEL: 'loud' },
      /^KVM_TELEMETRY_LOG_LEVEL: "loud" is not allowed: give trace, /,
    ],
    [
      'an unknown key',
      ['doctor', '--config', config('webb: 1\n')],
      {},
      /unknown key "webb": did you mean "web"\?$/,
    ],
    [
      'an unknown key without a similar one',
      ['doctor', '--config', config('abracadabra: 1\n')],
      {},
      /unknown key "abracadabra": known keys are /,
    ],
    [
      'a list instead of a map',
      ['serve', '--config', config('- 1\n')],
      {},
      /the document is \[1\]: give keys and values$/,
    ],
    ['no YAML', ['serve', '--config', config('{')], {}, /not YAML: /],
    [
      'a missing file',
      ['serve', '--config', '/none.yaml'],
      {},
      /^--config: cannot read \/none\.yaml: ENOENT$/,
    ],
    [
      'a missing file, by variable',
      ['serve'],
      { KVM_TELEMETRY_CONFIG: '/none.yaml' },
      /\/none\.yaml: ENOENT$/,
    ],
    [
      'a root file system that is not mounted',
      ['doctor', '--path.rootfs=/none'],
      {},
      /^--path\.rootfs: "\/none\/proc" cannot be read \(ENOENT\): give /,
    ],
    [
      'a missing web configuration',
      ['serve', '--web.config=/none.yml', '--web.listen-address=127.0.0.1:0'],
      {},
      /^--web\.config\.file: cannot use \/none\.yml: ENOENT/,
    ],
  ];
  for (const [name, args, environment, message] of mistakes) {
    test(name, async () => {
      const { code, out, errors } = await run(args, environment);
      assert.deepEqual([code, out], [2, ''], errors);
      assert.match(errors, /^kvm-telemetry: [^\n]+\n$/);
      assert.match(errors.slice('kvm-telemetry: '.length, -1), message);
    });
  }

  const usage: [string, string[], string][] = [
    [
      'a mistyped flag',
      ['serve', '--web.listen-adress', ':1'],
      'unknown option "--web.listen-adress": did you mean "--web.listen-address"?',
    ],
    [
      'a key in place of a flag',
      ['once', '--web.listenAddress=:1'],
      'unknown option "--web.listenAddress": did you mean "--web.listen-address"?',
    ],
    [
      'a label in place of a flag',
      ['serve', '--no-collector.kvm_debugfs'],
      'unknown option "--no-collector.kvm_debugfs": did you mean "--no-collector.kvm-debugfs"?',
    ],
    [
      'a flag of other commands',
      ['serve', '--json'],
      'unknown option "--json": it is an option of kvm-telemetry doctor and kvm-telemetry phase list',
    ],
    [
      'a flag like no other',
      ['doctor', '--x\u001b[2J'],
      'unknown option "--x\\u{1b}[2J": see kvm-telemetry doctor --help',
    ],
    [
      'a flag without its value',
      ['once', '--config'],
      "option '--config <file>' argument missing: see kvm-telemetry once --help",
    ],
    ['a mistyped command', ['server'], 'unknown command "server": did you mean "serve"?'],
    [
      'too many words',
      ['once', 'more'],
      "too many arguments for 'once'. Expected 0 arguments but got 1: see kvm-telemetry once --help",
    ],
  ];
  for (const [name, args, message] of usage) {
    test(name, async () => {
      assert.deepEqual(await run(args), { code: 2, out: '', errors: `kvm-telemetry: ${message}\n` });
    });
  }
});

describe('once', { concurrency: 2 }, () => {
  test('prints the exposition and nothing else', async () => {
    const { code, out, errors } = await run(['once', HOST]);
    assert.deepEqual([code, errors], [0, '']);
    assert.match(out, /^# HELP kvm_/);
    assert.match(out, /^kvm_telemetry_collector_success\{collector="kvm_debugfs"\} 1$/m);
  });

  test('--no-collector.NAME leaves a collector out, and --collector.NAME overrides the file', async () => {
    const has = (out: string): boolean => out.includes('kvm_vm_exits_total{');
    const file = config('collector: { kvm_debugfs: false }\n');
    assert.ok(!has((await run(['once', HOST, '--no-collector.kvm-debugfs'])).out));
    assert.ok(!has((await run(['once', HOST, '--config', file])).out));
    assert.ok(has((await run(['once', HOST, '--config', file, '--collector.kvm-debugfs'])).out));
    assert.ok(
      has((await run(['once', HOST, '--config', file], { KVM_TELEMETRY_COLLECTOR_KVM_DEBUGFS: 'true' })).out),
    );
  });

  test('a reader that closes the pipe early, such as head, is no error', async () => {
    const child = spawn(process.execPath, [MAIN, 'once', HOST], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let errors = '';
    child.stderr.on('data', (chunk) => {
      errors += String(chunk);
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    assert.deepEqual([code, errors], [0, '']);
  });

  test('a full disk is an error in one line', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [MAIN, 'once', HOST], { stdio: ['ignore', full, 'pipe'] });
    let errors = '';
    child.stderr?.on('data', (chunk) => {
      errors += String(chunk);
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    closeSync(full);
    assert.deepEqual([code, errors], [1, 'kvm-telemetry: cannot write to standard output: ENOSPC\n']);
  });
});

describe('doctor', { concurrency: 2 }, () => {
  test('--json: code 0 if every source is usable', async () => {
    const { code, out, errors } = await run(['doctor', '--json', HOST]);
    assert.deepEqual([code, errors], [0, '']);
    const report = JSON.parse(out) as { vms: number; sources: { source: string; usable: boolean }[] };
    assert.equal(report.vms, 1);
    assert.ok(report.sources.length >= 10);
    assert.ok(report.sources.every(({ usable }) => usable));
  });

  test('code 1 if one is not, with the reason, and nothing on standard error', async () => {
    const { code, out, errors } = await run(['doctor', '--json', `--path.rootfs=${folder}`]);
    assert.deepEqual([code, errors], [1, '']);
    const { sources } = JSON.parse(out) as { sources: { usable: boolean; findings: { why: string }[] }[] };
    // A usable source may also report something.
    for (const { usable, findings } of sources) assert.ok(usable || findings.length > 0);
    assert.match((await run(['doctor', `--path.rootfs=${folder}`])).out, /^FAIL {2}\w+/m);
  });
});

describe('phase', { concurrency: 2 }, () => {
  const state = (): string => mkdtempSync(join(folder, 'state-'));
  const phase = (directory: string, ...args: string[]): Promise<Outcome> =>
    run(['phase', ...args, `--state.dir=${directory}`], { KVM_TELEMETRY_PATH_ROOTFS: CAPTURED });

  test('a phase is listed from set to clear', async () => {
    const directory = state();
    assert.deepEqual(await phase(directory, 'list', '--json'), { code: 0, out: '[]\n', errors: '' });
    assert.deepEqual(await phase(directory, 'set', 'web', 'exitless-polling v2'), {
      code: 0,
      out: 'phase of web set to "exitless-polling v2"\n',
      errors: 'kvm-telemetry: warning: no VM "web" is running; the phase applies when it starts\n',
    });
    assert.match((await phase(directory, 'list')).out, /^[\d-]+T[\d:.]+Z {2}web {2}exitless-polling v2\n$/);
    const [listed] = JSON.parse((await phase(directory, 'list', '--json')).out) as Record<string, string>[];
    assert.deepEqual([listed?.['vm'], listed?.['phase']], ['web', 'exitless-polling v2']);
    assert.equal((await phase(directory, 'clear', 'web')).code, 0);
    const again = await phase(directory, 'clear', 'web');
    assert.deepEqual([again.code, again.out], [2, '']);
    assert.equal(again.errors, 'kvm-telemetry: phase clear: "web" has no phase: VMs with a phase: none\n');
  });

  test('the directory may come from the file', async () => {
    const directory = state();
    const file = config(`state: { dir: ${directory} }\n`);
    assert.equal((await run(['phase', 'set', 'web', 'x', '--config', file])).code, 0);
    assert.match(readFileSync(join(directory, 'phases.json'), 'utf8'), /"web"/);
  });

  test('a directory that cannot be written is code 1 and a clear error', async () => {
    const { code, out, errors } = await phase(config(''), 'set', 'web', 'x');
    assert.deepEqual([code, out], [1, '']);
    assert.match(errors, /\nkvm-telemetry: cannot write .*\/phases\.json: the phase is unchanged\n$/);
    const full = await phase('/proc/self', 'set', 'web', 'x');
    assert.equal(full.code, 1);
  });

  test('invalid names are code 2', async () => {
    const directory = state();
    const mistakes: [string[], RegExp][] = [
      [['set', '', 'x'], /phase set: "" is not a valid VM: give 1 to 4096 printable characters/],
      [['set', ' ', 'x'], / is not a valid VM: /],
      [['set', 'web', ''], /phase set: "" is not a valid PHASE: /],
      [['set', 'web', 'a\nb'], /phase set: "a\\nb" is not a valid PHASE: /],
      [['set', 'web\u001b[2J', 'x'], /"web\\u001b\[2J" is not a valid VM: /],
      [['set', 'web', 'x'.repeat(201)], / is not a valid PHASE: /],
      [['set', '__proto__', 'x'], /phase set: "__proto__" is not a valid VM: /],
      [['clear', '__proto__'], /phase clear: "__proto__" has no phase: /],
      [['set', 'web'], /missing required argument 'phase'/],
      [['set', 'web', 'a', 'b'], /too many arguments/],
      [['sett', 'web', 'a'], /unknown command "sett": did you mean "set"\?/],
    ];
    for (const [args, message] of mistakes) {
      const { code, out, errors } = await phase(directory, ...args);
      assert.deepEqual([code, out], [2, ''], args.join());
      assert.match(errors, message);
    }
    assert.equal((await phase(directory, 'list', '--json')).out, '[]\n');
  });
});

describe('doctor --vm', { concurrency: 2 }, () => {
  const STATE = `--state.dir=${join(folder, 'none')}`;

  test('a VM by its name, as text and as JSON, with code 0 where nothing has drifted', async () => {
    const text = await run(['doctor', '--vm', 'vm-a', HOST, STATE]);
    assert.equal(text.errors, '');
    assert.match(text.out, /^vm-a \(pid 244\)\n\nthread +tid +allowed/);
    assert.match(text.out, /\nvcpu0 +252 +/);
    assert.match(text.out, /\ndevice +nvme0n1/);
    const { code, out, errors } = await run(['doctor', '--vm', 'vm-a', '--json', HOST, STATE]);
    const report = JSON.parse(out) as {
      vm: string;
      drifts: unknown[];
      next: { steps: { fixes: string[] }[] };
    };
    assert.deepEqual([code, errors, report.vm], [report.drifts.length === 0 ? 0 : 1, '', 'vm-a']);
    assert.equal(text.code, code);
    for (const { fixes } of report.next.steps) assert.ok(fixes.every((fix) => fix.trim() !== ''));
  });

  test('an unknown VM is code 2 and one line', async () => {
    const { code, out, errors } = await run(['doctor', '--vm', 'none\u001b', HOST, STATE]);
    assert.deepEqual([code, out], [2, '']);
    assert.equal(errors, 'kvm-telemetry: --vm: no VM "none\\u001b" is running: give one of "vm-a"\n');
    const near = await run(['doctor', '--vm', 'vm-aa', HOST, STATE]);
    assert.equal(near.errors, 'kvm-telemetry: --vm: no VM "vm-aa" is running: did you mean "vm-a"?\n');
  });

  test('doctor --vm writes no state', () => {
    assert.throws(() => readFileSync(join(folder, 'none', 'baselines.json')), { code: 'ENOENT' });
  });
});

describe('accept', { concurrency: 2 }, () => {
  const accept = (...args: string[]): Promise<Outcome> =>
    run(['accept', ...args, HOST, `--state.dir=${join(folder, 'accepted')}`]);

  test('the present placement, or the given CPUs, is confirmed and stored', async () => {
    const all = await accept('vm-a');
    assert.deepEqual([all.code, all.errors], [0, '']);
    assert.match(all.out, /^expected affinity of vm-a: .*vcpu0 /);
    const one = await accept('244', 'vcpu0=1', 'vcpu1=any');
    assert.deepEqual(one, {
      code: 0,
      out: 'expected affinity of vm-a: vcpu0 1, vcpu1 not pinned\n',
      errors: '',
    });
    const { vms } = JSON.parse(readFileSync(join(folder, 'accepted', 'accepted.json'), 'utf8')) as {
      vms: Record<string, Record<string, { cpus: string }>>;
    };
    const [threads] = Object.values(vms);
    assert.deepEqual([threads?.['vcpu0']?.cpus, threads?.['vcpu1']?.cpus], ['1', 'any']);
    assert.ok(threads?.['emulator'] !== undefined, 'accepted before');
  });

  test('an unknown name is code 2 and the nearest name', async () => {
    const mistakes: [string[], RegExp][] = [
      [['vm-aa'], /accept: no VM "vm-aa" is running: did you mean "vm-a"\?/],
      [['vm-a', 'vcpu00=1'], /accept: vm-a has no thread "vcpu00": did you mean "vcpu0"\?/],
      [['vm-a', 'vcpu0=x'], /accept: "x" is not a list of CPUs: give for example/],
      [[], /missing required argument 'vm'/],
    ];
    for (const [args, message] of mistakes) {
      const { code, out, errors } = await accept(...args);
      assert.deepEqual([code, out], [2, ''], args.join());
      assert.match(errors, message);
    }
  });
});

test('vms is for the file only', async () => {
  const flag = await run(['once', HOST, '--vms', '[]']);
  assert.equal(flag.code, 2);
  assert.match(flag.errors, /unknown option "--vms": set vms in the file of --config\n$/);
  assert.doesNotMatch((await run(['serve', '--help'])).out, /--vms/);
  const file = config('vms: [{ name: web, pinning: { vcpu0: "3-1" } }]\n');
  const { code, errors } = await run(['once', HOST, '--config', file]);
  assert.equal(code, 2);
  assert.match(
    errors,
    /^kvm-telemetry: vms: \[\{"name":"web","pinning":\{"vcpu0":"3-1"\}\}\] is not allowed: give a list of /,
  );
});

test('--help names every setting, in groups, and no old name', async () => {
  const { code, out } = await run(['serve', '--help']);
  assert.equal(code, 0);
  assert.match(
    out,
    /\nHTTP:\n {2}--web\.listen-address <host:port> [\s\S]*\nCollectors:\n[\s\S]*--no-collector\.kvm-debugfs/,
  );
  assert.match(out, /--log\.level <trace\|debug\|info\|warn\|error\|fatal>/);
  assert.doesNotMatch(out, /--web\.config </);
});

test("--version prints the same lines as Prometheus' exporters", async () => {
  const { code, out } = await run(['--version'], { KVM_TELEMETRY_REVISION: '0123abc' });
  assert.equal(code, 0);
  assert.match(
    out,
    /^kvm-telemetry, version \d+\.\d+\.\d+ \(revision: 0123abc\)\n {2}build date: +unknown\n {2}node version: +v[\d.]+\n {2}platform: +linux\/\w+\n$/,
  );
});

test('--config.file, the name in other exporters, is --config', async () => {
  const { code, errors } = await run(['once', HOST, '--config.file', '/none.yaml']);
  assert.deepEqual([code, errors], [2, 'kvm-telemetry: --config: cannot read /none.yaml: ENOENT\n']);
});
