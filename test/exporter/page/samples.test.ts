import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Families } from '../../../exporter/metrics/families.ts';
import { labelBlock, parseLabels } from '../../../exporter/metrics/labels.ts';
import { indexOf, samplesOf, samplesOfVm } from '../../../exporter/page/samples.ts';

test("labels are read back unchanged, whatever the VM's name", () => {
  const value = fc.string({
    unit: fc.constantFrom('a', '"', '\\', ',', '=', '{', 'ü', '\u{1f600}', 'n'),
    maxLength: 12,
  });
  fc.assert(
    fc.property(fc.tuple(value, value, value), (values) => {
      const [vm, thread, role] = values;
      assert.deepEqual(parseLabels(labelBlock({ vm, thread, role })), { vm, thread, role });
    }),
    { numRuns: 500 },
  );
  assert.deepEqual(parseLabels(''), {});
});

test('the samples of a VM are its own, also if another name has the same prefix', () => {
  const families = new Families(100);
  for (const [i, vm] of ['web', 'web-1', 'web",reason="x', 'we\\b'].entries()) {
    families.add('kvm_vm_exits_by_reason_total', { vm, reason: 'HLT' }, i);
    families.add('kvm_vm_vcpus', { vm }, i);
  }
  const index = indexOf(families.sorted());
  for (const [i, vm] of ['web', 'web-1', 'web",reason="x', 'we\\b'].entries()) {
    const found = [...samplesOfVm(index, 'kvm_vm_exits_by_reason_total', vm)];
    assert.deepEqual(found, [{ labels: { vm, reason: 'HLT' }, value: i }]);
  }
  assert.equal([...samplesOf(index, 'kvm_vm_vcpus')].length, 4);
  assert.deepEqual([...samplesOf(index, 'kvm_cpu_info')], []);
});
