import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  hostOfLibvirtUri,
  hostsOfAnsible,
  hostsOfList,
  labelsOf,
  targetsOf,
} from '../../../exporter/cli/fleet-hosts.ts';
import { ConfigError } from '../../../exporter/config/load.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { temporaryFolder } from '../../../testing/folder.ts';
import { hasTool } from '../../../testing/tools.ts';

const MAIN = `${ROOT}dist/exporter/main.js`;
const run = (...args: readonly string[]) =>
  spawnSync(process.execPath, [MAIN, 'fleet', 'targets', ...args], { encoding: 'utf8' });

const LIST = `# the east
kvm1.example.org
10.0.0.7:9955  instance=kvm7 rack=r2
[2001:db8::1]:9954
2001:db8::2 # without a port
`;
/** As ansible-inventory --list of ansible-core 2.14 prints it. */
const ANSIBLE = JSON.stringify({
  _meta: { hostvars: { kvm1: { ansible_host: '10.1.0.1', ansible_user: 'root' }, kvm2: {} } },
  all: { children: ['ungrouped', 'kvm'] },
  kvm: { children: ['kvm_east', 'kvm'] },
  kvm_east: { hosts: ['kvm1', 'kvm2'] },
  ungrouped: { hosts: ['other'] },
});

test('a list, an inventory and URIs become one entry for each host, by name', () => {
  const hosts = [
    ...hostsOfList(LIST, 'hosts', 9954),
    ...hostsOfAnsible(ANSIBLE, 'inventory', 'kvm', 9954),
    hostOfLibvirtUri('qemu+ssh://root@kvm3.example.org:2222/system?keyfile=/k', 9954),
  ];
  const entries = targetsOf(hosts, { cluster: 'east' });
  assert.deepEqual(
    entries.map(({ targets, labels }) => [targets[0], labels]),
    [
      ['[2001:db8::1]:9954', { cluster: 'east', instance: '[2001:db8::1]:9954' }],
      ['[2001:db8::2]:9954', { cluster: 'east', instance: '[2001:db8::2]:9954' }],
      ['kvm1.example.org:9954', { cluster: 'east', instance: 'kvm1.example.org:9954' }],
      ['10.1.0.1:9954', { cluster: 'east', instance: 'kvm1:9954' }],
      ['kvm2:9954', { cluster: 'east', instance: 'kvm2:9954' }],
      ['kvm3.example.org:9954', { cluster: 'east', instance: 'kvm3.example.org:9954' }],
      ['10.0.0.7:9955', { cluster: 'east', rack: 'r2', instance: 'kvm7:9955' }],
    ],
  );
});

test('one name with two addresses, reserved labels, and text that is no host are refused in one line', () => {
  const refused: [() => unknown, RegExp][] = [
    [
      () => targetsOf(hostsOfList('a instance=x\nb instance=x', 'f', 1), {}),
      /^"x:1" is a:1 and b:1: give each/,
    ],
    [() => hostsOfList('ok\nkvm1 rack', 'f', 1), /^f:2: "rack" is no label/],
    [() => labelsOf(['job=a'], '--label'), /^--label: "job=a" is no label/],
    [() => labelsOf(['__address__=a'], '--label'), /is no label/],
    [() => hostsOfList('a/b', 'f', 1), /^f:1: "a\/b" is no host/],
    [() => hostsOfList('a:99999', 'f', 1), /is no host/],
    [() => hostOfLibvirtUri('kvm1', 1), /^--libvirt: "kvm1" is no URI/],
    [() => hostsOfAnsible(ANSIBLE, 'f', 'kvm_est', 1), /did you mean "kvm_east"\?$/],
    [() => hostsOfAnsible('[kvm]\nkvm1', 'f', 'kvm', 1), /^f: not the JSON of ansible-inventory --list$/],
  ];
  for (const [work, message] of refused)
    assert.throws(
      work,
      (error) => error instanceof ConfigError && message.test(error.message) && !/\n/.test(error.message),
    );
});

test('any text gives hosts that Prometheus accepts, or an error in one line', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      try {
        for (const { targets, labels } of targetsOf(hostsOfList(text, 'f', 9954), {})) {
          assert.match(targets[0], /^(?:[\w.-]+|\[[\da-f:.]+\]):\d+$/i);
          for (const name of Object.keys(labels)) assert.match(name, /^[a-zA-Z_]\w*$/);
        }
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
        assert.doesNotMatch(error.message, /[\n\p{Cc}]/u);
      }
    }),
  );
});

test('the command replaces the file as a whole, and an empty inventory leaves it', (context) => {
  const folder = temporaryFolder(context);
  const [list, out] = [join(folder, 'hosts'), join(folder, 'east.json')];
  writeFileSync(list, LIST);
  const first = run('--list', list, '--label', 'cluster=east', '--out', out);
  assert.equal(first.status, 0, first.stderr);
  const written = readFileSync(out, 'utf8');
  assert.equal((JSON.parse(written) as unknown[]).length, 4);
  writeFileSync(list, '# nothing\n');
  const empty = run('--list', list, '--out', out);
  assert.equal(empty.status, 2);
  assert.match(empty.stderr, /no host: give --list/);
  assert.equal(readFileSync(out, 'utf8'), written);
  assert.deepEqual(readdirSync(folder).sort(), ['east.json', 'hosts']);
  if (!hasTool(context, 'promtool', 'prometheus')) return;
  const config = join(folder, 'prometheus.yml');
  writeFileSync(
    config,
    `scrape_configs: [{ job_name: kvm-telemetry, file_sd_configs: [{ files: ['${out}'] }] }]\n`,
  );
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', config], { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test('an invalid port and an endless input are refused', () => {
  for (const port of ['0', '0x10'])
    assert.match(
      run('--list', '/dev/null', '--port', port).stderr,
      /--port: ".*" is not allowed: give a whole number/,
    );
  const input = '#'.repeat(65 * 1024 * 1024);
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'fleet', 'targets', '--list', '-'], {
    encoding: 'utf8',
    input,
  });
  assert.equal(status, 2);
  assert.match(stderr, /--list: cannot read -: more than 67108864 bytes/);
});
