import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Collection } from '../../../exporter/collectors/collector.ts';
import { pressure } from '../../../exporter/collectors/pressure.ts';
import type { CgroupsOfVms } from '../../../exporter/collectors/vm-cgroups.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { SourceError } from '../../../probes/errors.ts';

/** The problems if the kernel refuses each read of PSI with this code. */
async function reportedAt(code: string): Promise<string[]> {
  const attribute = (path: string): never => {
    throw new SourceError('failed', path, code, code as `E${string}`);
  };
  const collection = {
    host: { roots: { procfs: '/proc' }, attribute },
    families: new Families(100),
    vms: [],
  };
  const reported: string[] = [];
  const cgroups = { of: () => new Map() } as unknown as CgroupsOfVms;
  await pressure(cgroups).collect(collection as unknown as Collection, ({ path, code: found }) => {
    reported.push(`${path} ${found}`);
  });
  return reported;
}

test('with psi=0 the files exist and cannot be read, which is no failure', async () => {
  assert.deepEqual(await reportedAt('EOPNOTSUPP'), []);
});

test('any other failure to read pressure is reported, for each resource', async () => {
  assert.deepEqual(
    await reportedAt('EIO'),
    ['cpu', 'io', 'memory', 'irq'].map((resource) => `/proc/pressure/${resource} EIO`),
  );
});
