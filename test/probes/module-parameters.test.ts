import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { moduleParameterNumber, readModuleParameters } from '../../probes/module-parameters.ts';
import { capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';

function valuesOf(parameters: ReturnType<typeof readModuleParameters>): Map<string, string> {
  return new Map(parameters.map(({ module, parameter, value }) => [`${module}.${parameter}`, value]));
}

test('the parameters of a captured host are read', () => {
  const values = valuesOf(readModuleParameters(capturedHost()));
  assert.equal(values.get('kvm.halt_poll_ns'), '200000');
  assert.equal(values.get('kvm.lapic_timer_advance_ns'), '-1');
  assert.equal(values.get('kvm.tdp_mmu'), 'Y');
  assert.equal(values.get('kvm_amd.avic'), 'N');
  assert.equal(values.get('nvme.poll_queues'), '0');
  assert.equal(values.get('nvme_core.iopolicy'), 'numa');
  assert.equal(values.get('vhost.max_mem_regions'), '64');
  assert.equal(values.size, 64);
});

test('a missing module has no parameters; only requested parameters are read', (context) => {
  assert.deepEqual(readModuleParameters(hostTree(context).host), []);
  assert.equal(readModuleParameters(capturedHost(), ['vhost', 'no_such_module']).length, 2);
});

test('numbers and booleans become numbers; words are ignored', () => {
  const numbers = ['0', '200000', '-1', 'Y', 'N', '18446744073709551615'].map(moduleParameterNumber);
  assert.deepEqual(numbers, [0, 200000, -1, 1, 0, 2 ** 64]);
  for (const word of ['', 'numa', '-', '1.5', 'y', '0x10', 'Y,N', '1,2', '(null)', 'NaN', '9'.repeat(400)]) {
    assert.equal(moduleParameterNumber(word), undefined, word);
  }
});

test('the running kernel is read', (context) => {
  if (!existsSync('/sys/module/kvm')) return context.skip('KVM is not loaded');
  const haltPoll = valuesOf(readModuleParameters(liveHost())).get('kvm.halt_poll_ns');
  assert.ok(moduleParameterNumber(haltPoll ?? '') !== undefined);
});
