import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doubtsAbout, doubtsAboutVms } from '../../../exporter/config/doubts.ts';
import { resolveConfig } from '../../../exporter/config/load.ts';
import { truncateName } from '../../../exporter/model/vm-names.ts';

test('unknown variables and thread patterns are reported with the nearest valid one', () => {
  const environment = {
    KVM_TELEMETRY_LOG_LEVL: 'info',
    KVM_TELEMETRY_CONFIG: '/x',
    KVM_TELEMETRY_WEB_CONFIG: '/x',
    KVM_TELEMETRY_VMS: '[]',
    PATH: '/bin',
  };
  const pinning = { 'vcpu*': '1', 'iothread:io0': '2', '*': '3', emulatr: '4', vcpu0: '5', 'cpu 0/kvm': '6' };
  const config = resolveConfig({}, {}, { vms: [{ name: 'web', pinning }] });
  assert.deepEqual(doubtsAbout(config, environment), [
    'KVM_TELEMETRY_LOG_LEVL is not a setting and has no effect: did you mean "KVM_TELEMETRY_LOG_LEVEL"?',
    'KVM_TELEMETRY_VMS has no effect: set vms in the file of --config',
    'vms: pinning of "web": no thread is called "emulatr": did you mean "emulator"?',
    'vms: pinning of "web": no thread is called "cpu 0/kvm"',
  ]);
  assert.deepEqual(doubtsAbout(resolveConfig({}, {}, {}), {}), []);
});

test('entries of vms that match no running VM are reported, with the nearest name', () => {
  const long = `${'n'.repeat(120)}1`;
  const vms = ['db-*', 'wbe', long].map((name) => ({ name, pinning: {} }));
  const config = resolveConfig({}, {}, { vms });
  assert.deepEqual(doubtsAboutVms(config, ['db-1', 'web', truncateName(long)]), [
    'vms: no running VM matches "wbe": did you mean "web"?',
  ]);
  assert.deepEqual(doubtsAboutVms({ vms: [] }, ['web']), []);
  assert.equal(doubtsAboutVms(config, []).length, 3);
});

test('a mistyped tracepoint set names the nearest right one', () => {
  assert.throws(
    () => resolveConfig({ 'trace.sets': 'exits,halt_pol' }, {}, {}),
    /--trace\.sets: "exits,halt_pol" is not allowed: .*: did you mean "halt_poll"\?$/,
  );
});
