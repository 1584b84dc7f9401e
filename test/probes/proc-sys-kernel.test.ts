import assert from 'node:assert/strict';
import { hostname, release } from 'node:os';
import { test } from 'node:test';
import { createHost } from '../../probes/host.ts';
import { readKernelNames } from '../../probes/proc-sys-kernel.ts';
import { liveHost } from '../../testing/captured.ts';

test("the running kernel's names are those of uname", () => {
  assert.deepEqual(readKernelNames(liveHost()), { hostname: hostname(), release: release() });
});

test('a copy without the files has no names', () => {
  const copy = createHost({ ...liveHost().roots, procfs: '/sys' });
  assert.deepEqual(readKernelNames(copy), { hostname: undefined, release: undefined });
});
