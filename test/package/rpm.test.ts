import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { listeningPort } from '../../exporter/cli/listening-port.ts';
import { bareDebian } from '../../testing/bare-debian.ts';
import { ROOT } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { has, hasTool } from '../../testing/tools.ts';

const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string };
const CONFIG = 'etc/kvm-telemetry/kvm-telemetry.yaml';

/** @returns the path of the package */
function build(out: string, release: string, config: string): string {
  const args = [
    'scripts/package.mjs',
    '--rpm',
    '--fast',
    '--out',
    out,
    '--release',
    release,
    '--config',
    config,
  ];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return join(out, `kvm-telemetry-${version}-${release}.x86_64.rpm`);
}

const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

describe('the rpm', { timeout: 600_000 }, () => {
  test('installs with rpm --root, runs, upgrades, downgrades and is erased', async (context) => {
    if (!hasTool(context, 'rpmbuild', 'rpm') || !hasTool(context, 'debootstrap', 'debootstrap')) return;
    if (!has(context, process.getuid?.() === 0, 'chroot needs root')) return;
    const folder = temporaryFolder(context);
    const standard = `${ROOT}deploy/debian/kvm-telemetry.yaml`;
    const changed = join(folder, 'changed.yaml');
    copyFileSync(standard, changed);
    appendFileSync(changed, '\n# New in this version.\n');
    const first = build(folder, '1', standard);
    const sum = digest(first);
    build(folder, '1', standard);
    assert.equal(digest(first), sum, 'the same bytes for the same commit');
    const second = build(folder, '2', changed);

    const debian = bareDebian(context);
    const at = (path: string): string => join(debian.folder, path);
    /** The package's scripts run in the root. With --nodeps, as its libraries are no rpm there. */
    const rpm = (...args: string[]): string => {
      const where = ['--root', debian.folder, '--dbpath', '/var/lib/rpm', '--force-debian'];
      const { status, stdout, stderr } = spawnSync('rpm', [...where, ...args], { encoding: 'utf8' });
      assert.equal(status, 0, `rpm ${args[0]}: ${stderr}`);
      return stdout + stderr;
    };
    const run = (command: string): string => {
      const { code, out } = debian.run(command);
      assert.equal(code, 0, `${command}: ${out}`);
      return out;
    };

    assert.match(rpm('-i', '--nodeps', first), /run "kvm-telemetry doctor"/);
    assert.equal(rpm('-V', '--nodeps', 'kvm-telemetry'), '', 'all files as packed');
    assert.match(rpm('-qc', 'kvm-telemetry'), /^\/etc\/kvm-telemetry\/kvm-telemetry\.yaml$/m);
    run('apt-get install -q -y --no-install-recommends libstdc++6');
    assert.match(run('kvm-telemetry --version'), /build date/);
    // doctor ends with 1 on a host without every source.
    assert.match(debian.run('kvm-telemetry doctor').out, /^ok +inventory/m);
    const unit = readFileSync(at('usr/lib/systemd/system/kvm-telemetry.service'), 'utf8');
    assert.match(unit, /^EnvironmentFile=-\/etc\/sysconfig\/kvm-telemetry$/m);
    assert.match(unit, /^ExecStart=\/usr\/bin\/kvm-telemetry serve$/m);

    writeFileSync(at(CONFIG), 'web: { listenAddress: "127.0.0.1:0" }\n');
    const daemon = spawn('chroot', [debian.folder, 'kvm-telemetry', 'serve'], { stdio: 'ignore' });
    context.after(() => daemon.kill('SIGKILL'));
    const port = await listeningPort(daemon);
    assert.match(run(`wget -qO- http://127.0.0.1:${port}/metrics`), /^kvm_telemetry_build_info\{/m);
    daemon.kill('SIGTERM');

    assert.match(rpm('-U', '--nodeps', second), /\.rpmnew/);
    assert.match(readFileSync(at(CONFIG), 'utf8'), /127\.0\.0\.1:0/, 'the change is kept');
    assert.match(readFileSync(at(`${CONFIG}.rpmnew`), 'utf8'), /New in this version/);
    rpm('-U', '--nodeps', '--oldpackage', first);
    assert.match(rpm('-q', 'kvm-telemetry'), /-1\.x86_64/);
    assert.match(readFileSync(at(CONFIG), 'utf8'), /127\.0\.0\.1:0/, 'the change is kept');

    writeFileSync(at('var/lib/kvm-telemetry/phases.json'), '{}');
    rpm('-e', 'kvm-telemetry');
    assert.ok(existsSync(at('var/lib/kvm-telemetry/phases.json')), 'the state is kept');
    assert.match(readFileSync(at(`${CONFIG}.rpmsave`), 'utf8'), /127\.0\.0\.1:0/);
    for (const path of [CONFIG, 'usr/lib/kvm-telemetry', 'usr/bin/kvm-telemetry', 'usr/share/kvm-telemetry'])
      assert.ok(!existsSync(at(path)), path);
  });
});
