import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bareDebian } from '../../testing/bare-debian.ts';
import { ROOT } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { has, hasTool } from '../../testing/tools.ts';

const PLAYBOOK = `
- hosts: localhost
  connection: local
  roles:
    - role: kvm_telemetry
      vars:
        kvm_telemetry_deb: /packages/DEB
        kvm_telemetry_config:
          log: { format: logfmt }
`;

test('the Ansible role installs the package in a bare Debian 12, and changes nothing the second time', {
  timeout: 600_000,
}, (context) => {
  if (!hasTool(context, 'debootstrap', 'debootstrap')) return;
  if (!has(context, process.getuid?.() === 0, 'chroot needs root')) return;
  const packages = temporaryFolder(context);
  const args = [`${ROOT}scripts/package.mjs`, '--fast', '--out', packages];
  const built = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  const [deb = ''] = readdirSync(packages);

  const debian = bareDebian(context);
  cpSync(packages, join(debian.folder, 'packages'), { recursive: true });
  cpSync(`${ROOT}deploy/ansible`, join(debian.folder, 'ansible'), { recursive: true });
  writeFileSync(join(debian.folder, 'ansible/test.yml'), PLAYBOOK.replace('DEB', deb));
  const run = (command: string): string => {
    const { code, out } = debian.run(command);
    assert.equal(code, 0, `${command}: ${out}`);
    return out;
  };
  run('apt-get install -q -y --no-install-recommends ansible-core python3-apt');
  run('cd /ansible && LC_ALL=C.UTF-8 ansible-playbook -i "kvm_hosts," --syntax-check playbook.yml');
  const first = run('cd /ansible && LC_ALL=C.UTF-8 ansible-playbook -i localhost, test.yml');
  assert.match(first, /ok +inventory/, 'what doctor reports');
  const config = readFileSync(join(debian.folder, 'etc/kvm-telemetry/kvm-telemetry.yaml'), 'utf8');
  assert.match(config, /^log:\n {2}format: logfmt$/m);
  assert.match(run('kvm-telemetry --version'), /build date/);
  const second = run('cd /ansible && LC_ALL=C.UTF-8 ansible-playbook -i localhost, test.yml');
  assert.match(second, /changed=0 +unreachable=0 +failed=0/);
});
