import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { listeningPort } from '../../exporter/cli/listening-port.ts';
import { type BareDebian, bareDebian } from '../../testing/bare-debian.ts';
import { ROOT } from '../../testing/daemon.ts';
import { has, hasTool } from '../../testing/tools.ts';

const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string };
const NAME = `kvm-telemetry_${version}_amd64.deb`;
const CONFIG = 'etc/kvm-telemetry/kvm-telemetry.yaml';

const folder = mkdtempSync(join(tmpdir(), 'kt-package-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function build(out: string): string {
  const { status, stderr } = spawnSync(
    process.execPath,
    [`${ROOT}scripts/package.mjs`, '--fast', '--out', out],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  return join(out, NAME);
}

/** The same package with a higher version and another default configuration. */
function nextVersion(file: string, out: string): string {
  const tree = join(out, 'tree');
  execute('dpkg-deb', '--raw-extract', file, tree);
  const control = readFileSync(`${tree}/DEBIAN/control`, 'utf8');
  writeFileSync(`${tree}/DEBIAN/control`, control.replace(/^Version: .*$/m, '$&+1'));
  appendFileSync(`${tree}/${CONFIG}`, '\n# New in this version.\n');
  const next = join(out, 'next.deb');
  execute('dpkg-deb', '--root-owner-group', '-Zgzip', '-z1', '--build', tree, next);
  rmSync(tree, { recursive: true });
  return next;
}

function execute(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** Runs a command that must succeed. */
function must(debian: BareDebian, command: string): string {
  const { code, out } = debian.run(command);
  assert.equal(code, 0, `${command}: ${out}`);
  return out;
}

describe('the Debian package', { timeout: 600_000 }, () => {
  test('is the same for the same commit, and lintian finds no errors', (context) => {
    if (!hasTool(context, 'dpkg-deb', 'dpkg')) return;
    const [first, second] = ['a', 'b'].map((name) => readFileSync(build(join(folder, name))));
    const digest = (content: Buffer | undefined): string =>
      createHash('sha256')
        .update(content ?? '')
        .digest('hex');
    assert.equal(digest(first), digest(second));
    if (!hasTool(context, 'lintian', 'lintian')) return;
    const { stdout } = spawnSync('lintian', ['--no-cfg', '--fail-on=none', join(folder, 'a', NAME)], {
      encoding: 'utf8',
    });
    assert.doesNotMatch(stdout, /^E:/m);
  });

  test('installs, runs, upgrades and purges in a bare Debian 12', async (context) => {
    if (!hasTool(context, 'debootstrap', 'debootstrap')) return;
    if (!has(context, process.getuid?.() === 0, 'chroot needs root')) return;
    const file = join(folder, 'a', NAME);
    if (!existsSync(file)) build(join(folder, 'a'));
    const debian = bareDebian(context);
    copyFileSync(file, join(debian.folder, NAME));
    must(debian, `apt-get install -q -y ./${NAME}`);

    // doctor ends with 1 on a host without every source.
    const doctor = debian.run('kvm-telemetry doctor');
    assert.match(doctor.out, /^(?:\d+ VMs?|no VM)/);
    assert.match(doctor.out, /^ok +inventory/m);
    assert.doesNotMatch(doctor.out, /koffi/, 'the package has koffi');
    assert.doesNotMatch(doctor.out, /libbpf\.so/, 'libbpf1 is recommended');
    assert.match(
      must(debian, 'kvm-telemetry --version'),
      /\(revision: [\da-f]{40}\)\n {2}build date: +\d{4}-/,
    );
    must(
      debian,
      'test -s /usr/share/man/man1/kvm-telemetry.1.gz && test -s /lib/systemd/system/kvm-telemetry.service',
    );

    writeFileSync(join(debian.folder, CONFIG), 'web: { listenAddress: "127.0.0.1:0" }\n');
    const daemon = spawn('chroot', [debian.folder, 'kvm-telemetry', 'serve'], { stdio: 'ignore' });
    context.after(() => daemon.kill('SIGKILL'));
    const port = await listeningPort(daemon);
    assert.match(must(debian, `wget -qO- http://127.0.0.1:${port}/metrics`), /^kvm_telemetry_build_info\{/m);
    daemon.kill('SIGTERM');

    copyFileSync(nextVersion(file, folder), join(debian.folder, 'next.deb'));
    must(debian, 'dpkg --force-confold -i /next.deb');
    assert.match(readFileSync(join(debian.folder, CONFIG), 'utf8'), /127\.0\.0\.1:0/, 'the change is kept');
    assert.match(readFileSync(join(debian.folder, `${CONFIG}.dpkg-dist`), 'utf8'), /New in this version/);
    must(debian, `dpkg --force-confold --force-downgrade -i /${NAME}`);

    writeFileSync(join(debian.folder, 'var/lib/kvm-telemetry/phases.json'), '{}');
    // What the scripts ask of systemd, which does not run here.
    mkdirSync(join(debian.folder, 'run/systemd/system'), { recursive: true });
    writeFileSync(join(debian.folder, 'usr/bin/systemctl'), '#!/bin/sh\necho "$@" >> /systemctl.log\n', {
      mode: 0o755,
    });
    const wants = 'etc/systemd/system/sockets.target.wants/kvm-telemetry.socket';
    mkdirSync(join(debian.folder, wants, '..'), { recursive: true });
    symlinkSync('/lib/systemd/system/kvm-telemetry.socket', join(debian.folder, wants));
    must(debian, 'dpkg --remove kvm-telemetry');
    // The socket first: else a request would start the service again.
    assert.match(
      readFileSync(join(debian.folder, 'systemctl.log'), 'utf8'),
      /stop kvm-telemetry\.socket kvm-telemetry\.service/,
    );
    assert.ok(existsSync(join(debian.folder, 'var/lib/kvm-telemetry/phases.json')), 'remove keeps the state');
    must(debian, 'dpkg --purge kvm-telemetry');
    for (const path of ['var/lib/kvm-telemetry', CONFIG, 'usr/lib/kvm-telemetry', 'usr/bin/kvm-telemetry'])
      assert.ok(!existsSync(join(debian.folder, path)), path);
    assert.equal(lstatSync(join(debian.folder, wants), { throwIfNoEntry: false }), undefined, wants);
  });
});
