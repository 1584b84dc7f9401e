import assert from 'node:assert/strict';
import { cpus } from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import { createHost } from '../../probes/host.ts';
import { parseCpuModel, readCpuModel } from '../../probes/proc-cpuinfo.ts';
import { liveHost } from '../../testing/captured.ts';

test('the model of this machine is the one that Node.js reads', () => {
  assert.equal(readCpuModel(liveHost()), cpus()[0]?.model.trim());
});

test('arm64 has no name: implementer and part identify the model', () => {
  const text =
    'processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\n' +
    'CPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n';
  assert.equal(parseCpuModel(text), '0x41/0xd0c');
});

test('POWER, RISC-V and LoongArch have keys of their own', () => {
  const model = (line: string) => parseCpuModel(`processor\t: 0\n${line}\nclock\t: 3000MHz\n`);
  assert.equal(model('cpu\t\t: POWER9, altivec supported'), 'POWER9, altivec supported');
  assert.equal(model('uarch\t\t: sifive,u74-mc'), 'sifive,u74-mc');
  assert.equal(model('Model Name\t\t: Loongson-3A5000'), 'Loongson-3A5000');
});

test('a copy without the file, and a file without a model, have none', () => {
  assert.equal(readCpuModel(createHost({ ...liveHost().roots, procfs: '/sys' })), undefined);
  assert.equal(parseCpuModel('vendor_id       : IBM/S390\n# processors    : 2\n'), undefined);
});

test('any model of x86 is read as it is, without the space around it', () => {
  const name = fc.string({ minLength: 1 }).filter((text) => /^\S(.*\S)?$/.test(text));
  fc.assert(
    fc.property(name, (model) => {
      assert.equal(
        parseCpuModel(`processor\t: 0\nmodel\t\t: 1\nmodel name\t:  ${model} \nflags\t: x\n`),
        model,
      );
    }),
  );
});
