import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ROOT } from '../../testing/daemon.ts';

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

const ALLOWED = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD']);

function shippedPackages(): [string, Locked][] {
  const lock = JSON.parse(readFileSync(`${ROOT}package-lock.json`, 'utf8')) as {
    packages: Record<string, Locked>;
  };
  return Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
}

test('the bill of materials has all that is shipped, with versions and licences', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${ROOT}scripts/sbom.mjs`], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  const { bomFormat, metadata, components } = JSON.parse(stdout) as {
    bomFormat: string;
    metadata: { component: { name: string } };
    components: { name: string; group?: string; version: string; licenses?: unknown[] }[];
  };
  assert.equal(bomFormat, 'CycloneDX');
  assert.equal(metadata.component.name, 'kvm-telemetry', 'not the folder of the checkout');
  const named = (name: string, version = ''): string => `${name}@${version}`;
  const listed = new Set(components.map(({ name, version }) => named(name, version)));
  const forLinux = shippedPackages().filter(
    ([, { os = ['linux'], cpu = ['x64'] }]) =>
      os.includes('linux') && cpu.some((each) => each === 'x64' || each === 'arm64'),
  );
  for (const [path, { version }] of forLinux)
    assert.ok(listed.has(named(path.replace(/^.*node_modules\//, ''), version)), `${path}@${version}`);
  assert.equal(components.length, listed.size);
  assert.equal(
    listed.size,
    new Set(forLinux.map(([path, { version }]) => named(path.replace(/^.*node_modules\//, ''), version)))
      .size,
  );
  assert.deepEqual(
    components.filter(({ licenses = [] }) => licenses.length === 0).map(({ name }) => name),
    [],
  );
});

test('all that is shipped has a permissive licence', () => {
  const shipped = shippedPackages();
  assert.ok(shipped.length > 50, `${shipped.length} packages`);
  const others = shipped.filter(([, { license }]) => license === undefined || !ALLOWED.has(license));
  assert.deepEqual(
    others.map(([path, { version, license }]) => `${path} ${version}: ${license}`),
    [],
  );
});
