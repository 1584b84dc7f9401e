import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { readIrqEffectiveAffinity } from '../../probes/proc-irq.ts';
import { capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';

test('the CPUs that the interrupts of NVMe queues are delivered to are read', () => {
  const host = capturedHost();
  assert.deepEqual(
    ['28', '29', '30'].map((irq) => readIrqEffectiveAffinity(host, irq)),
    [[0], [0], [1]],
  );
});

test('a missing interrupt is absent; one without a CPU has none; invalid text is malformed', (context) => {
  const { host, write } = hostTree(context);
  assert.throws(() => readIrqEffectiveAffinity(host, '5'), { kind: 'absent' });
  write('proc/irq/5/effective_affinity_list', '\n');
  assert.deepEqual(readIrqEffectiveAffinity(host, '5'), []);
  write('proc/irq/5/effective_affinity_list', 'ffffffff,0000\n');
  assert.throws(() => readIrqEffectiveAffinity(host, '5'), { kind: 'malformed' });
});

test('the running kernel is read', (context) => {
  const irq = existsSync('/proc/irq')
    ? readdirSync('/proc/irq').find((name) => /^\d+$/.test(name))
    : undefined;
  if (irq === undefined) return context.skip('this machine shows no interrupts');
  assert.ok(Array.isArray(readIrqEffectiveAffinity(liveHost(), irq)));
});
