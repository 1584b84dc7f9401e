import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfidentialType, confidentialType } from '../../probes/qemu-confidential.ts';
import { parseQemuOptions } from '../../probes/qemu-options.ts';

function typeOf(...options: string[]): ConfidentialType | undefined {
  return confidentialType(parseQemuOptions(['qemu-system-x86_64', ...options]).options);
}

test('each type by its object, whatever its syntax', () => {
  assert.equal(typeOf('-machine', 'q35,accel=kvm'), undefined);
  assert.equal(typeOf('-object', 'tdx-guest,id=tdx0', '-M', 'q35,confidential-guest-support=tdx0'), 'tdx');
  assert.equal(typeOf('-object', '{"qom-type":"tdx-guest","id":"lsec0","attributes":268435456}'), 'tdx');
  assert.equal(typeOf('-object', 'sev-snp-guest,id=sev0,cbitpos=51,reduced-phys-bits=1'), 'sev_snp');
  assert.equal(typeOf('-object', 'pef-guest,id=pef0'), 'confidential');
});

test('SEV encrypts the state of the CPU if its policy says so', () => {
  assert.equal(typeOf('-object', 'sev-guest,id=sev0,cbitpos=47,reduced-phys-bits=1'), 'sev');
  assert.equal(typeOf('-object', 'sev-guest,id=sev0,policy=0x3'), 'sev');
  assert.equal(typeOf('-object', 'sev-guest,id=sev0,policy=0x5'), 'sev_es');
  assert.equal(typeOf('-object', '{"qom-type":"sev-guest","id":"lsec0","policy":7}'), 'sev_es');
  assert.equal(typeOf('-object', 'sev-guest,id=sev0,policy=never'), 'sev_es');
});

test('without its object the type is unknown', () => {
  assert.equal(typeOf('-M', 'q35,memory-encryption=sev0'), 'confidential');
  assert.equal(typeOf('-M', 'q35,confidential-guest-support=cgs0'), 'confidential');
});
