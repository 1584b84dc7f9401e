import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQemuConfig } from '../../probes/qemu-config.ts';
import { parseQemuDevices } from '../../probes/qemu-devices.ts';
import { parseQemuOptions, type QemuOption } from '../../probes/qemu-options.ts';
import { withSettings } from '../../probes/qemu-settings.ts';
import { cpuMs } from '../../testing/patience.ts';

const DISK = ['-drive', 'file=/x,if=none,id=d', '-device', 'virtio-blk-pci,drive=d,id=v'];

function options(...argv: string[]): QemuOption[] {
  return parseQemuOptions(['qemu', ...argv]).options;
}

function disk(all: readonly QemuOption[]): unknown {
  const [first] = parseQemuDevices(withSettings(all))?.storage ?? [];
  return [first?.queues, first?.iothread];
}

test('-set changes a property of a device before it', () => {
  const set = (...argv: string[]): unknown => disk(options(...DISK, ...argv));
  assert.deepEqual(set('-set', 'device.v.num-queues=8'), [8, undefined]);
  assert.deepEqual(set('-set', 'device.v.iothread=io,a=b.c'), [undefined, 'io,a=b.c'], 'the value is whole');
  assert.deepEqual(set('-set', 'device.other.num-queues=8', '-set', 'v.num-queues'), [undefined, undefined]);
  assert.deepEqual(disk(options('-set', 'device.v.num-queues=8', ...DISK)), [undefined, undefined]);
});

test('-global is the default of the devices of a driver, wherever it stands', () => {
  const global = (...argv: string[]): unknown => disk([...options(...argv), ...options(...DISK)]);
  assert.deepEqual(global('-global', 'virtio-blk-pci.num-queues=4'), [4, undefined]);
  assert.deepEqual(global('-global', 'driver=virtio-blk-pci,property=iothread,value=io0'), [
    undefined,
    'io0',
  ]);
  assert.deepEqual(global('-global', 'virtio-scsi-pci.num_queues=4', '-global', 'x'), [undefined, undefined]);
  const own = options('-global', 'virtio-blk-pci.num-queues=4', '-device', 'virtio-blk-pci,num-queues=2');
  assert.deepEqual(disk(own), [2, undefined], 'the device decides');
  const file = '[global]\ndriver = "virtio-blk-pci"\nproperty = "num-queues"\nvalue = "6"\n';
  assert.deepEqual(disk([...options(...DISK), ...parseQemuConfig(file)]), [6, undefined]);
});

test('the given options do not change, and thousands of settings cost little', async () => {
  const given = options(...DISK, '-set', 'device.v.num-queues=8');
  withSettings(given);
  assert.equal(parseQemuDevices(given)?.storage[0]?.queues, undefined);
  const many = Array.from({ length: 4000 }, (_, i) => [
    ...['-device', `d,id=a${i}`, '-set', `device.a${i}.x=1`, '-global', `d.p${i % 3}=1`],
  ]);
  assert.ok((await cpuMs(() => withSettings(options(...many.flat())))) < 2000);
  const hostile = Array.from({ length: 8000 }, (_, i) => ['-global', `d.p${i}=1`, '-device', 'd']);
  const defaults = withSettings(options(...hostile.flat())).map(({ options: values }) => values.size);
  // 8,000 devices with 8,000 properties each would fill the memory.
  assert.ok(defaults.reduce((sum, size) => sum + size, 0) < 300_000);
});
