import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePci } from '../../probes/qmp-pci.ts';
import { captured } from '../../testing/captured.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };

function reply(): unknown {
  return (JSON.parse(captured('qmp/vm-a/query-pci.json', 'linux-nvme-vhost', 't1')) as { return: unknown })
    .return;
}

const device = (more: object = {}): object => ({
  bus: 0,
  slot: 1,
  function: 0,
  qdev_id: 'vda',
  regions: [],
  ...more,
});
const bus = (...devices: unknown[]): unknown => [{ bus: 0, devices }];

test('in the captured VM, the disk has its id and other devices their address', () => {
  const devices = parsePci(reply());
  assert.deepEqual(
    devices.map(({ name }) => name),
    ['00:00.0', 'vda', '00:02.0', '00:1f.0', '00:1f.2', '00:1f.3'],
  );
  assert.deepEqual(devices[1]?.regions, [
    { isPort: true, address: 0xc000, size: 128 },
    { isPort: false, address: 0xfebc_0000, size: 4096 },
    { isPort: false, address: 0xfebf_8000, size: 16384 },
  ]);
  const holds = (address: number): string[] =>
    devices
      .filter(({ regions }) =>
        regions.some((each) => !each.isPort && each.address <= address && address < each.address + each.size),
      )
      .map(({ name }) => name);
  assert.deepEqual(holds(0xfebf_b000), ['vda']);
});

test('a window that the guest has not placed, -1 in the reply, is left out', () => {
  // The network card's ROM.
  assert.equal(parsePci(reply())[2]?.regions.length, 3);
  const regions = [
    { bar: 6, size: 262_144, address: -1, type: 'memory' },
    { bar: 0, size: 128, address: 0, type: 'io' },
    { bar: 4, size: 16_384, address: 0x38_0000_0000, type: 'memory', prefetch: true, mem_type_64: true },
  ];
  assert.deepEqual(parsePci(bus(device({ regions })))[0]?.regions, [
    { isPort: true, address: 0, size: 128 },
    { isPort: false, address: 0x38_0000_0000, size: 16_384 },
  ]);
  assert.throws(() => parsePci(bus(device({ regions: [{ ...regions[0], address: -2 }] }))), malformed);
});

test('devices behind bridges are found, before and after the firmware configures them (QEMU 7.2)', () => {
  const range = { base: 4_293_918_720, limit: 1_048_575 };
  const info = { number: 0, secondary: 1, subordinate: 1, io_range: range, memory_range: range };
  const disk = device({
    bus: 1,
    slot: 0,
    qdev_id: 'vdx',
    irq: 10,
    regions: [
      { bar: 1, size: 4096, address: 4_267_704_320, type: 'memory', prefetch: false, mem_type_64: false },
    ],
  });
  const port = (bridge: object): object => device({ qdev_id: 'rp1', pci_bridge: { bus: info, ...bridge } });
  assert.deepEqual(parsePci(bus(port({}))).length, 1);
  assert.deepEqual(parsePci(bus(port({ devices: [disk] }))), [
    { name: 'rp1', isVirtioStorage: false, regions: [] },
    { name: 'vdx', isVirtioStorage: false, regions: [{ isPort: false, address: 4_267_704_320, size: 4096 }] },
  ]);
  const [, nameless] = parsePci(bus(port({ devices: [{ ...disk, qdev_id: '', bus: 0x1a, slot: 31 }] })));
  assert.equal(nameless?.name, '1a:1f.0');
});

test('endless nesting of buses and devices terminates', () => {
  const nested = (depth: number): unknown => {
    let inner: object = device();
    for (let i = 0; i < depth; i++) inner = device({ pci_bridge: { devices: [inner] } });
    return bus(inner);
  };
  assert.equal(parsePci(nested(8)).length, 9);
  assert.throws(() => parsePci(nested(9)), malformed);
  assert.throws(() => parsePci(nested(100_000)), malformed);
  assert.equal(parsePci(bus(...Array(1024).fill(device()))).length, 1024);
  assert.throws(() => parsePci(bus(...Array(1025).fill(device()))), malformed);
  const wide = Array(600).fill(device());
  assert.throws(() => parsePci([...(bus(...wide) as object[]), ...(bus(...wide) as object[])]), malformed);
});

test("what is not QEMU's is malformed", () => {
  for (const odd of [
    undefined,
    {},
    [{}],
    bus({}),
    bus(device({ regions: undefined })),
    bus(device({ qdev_id: 'x'.repeat(257) })),
    bus(device({ slot: -1 })),
    bus(device({ bus: 0.5 })),
    bus(device({ pci_bridge: [] })),
    bus(device({ regions: [{ type: 'memory', address: 0, size: -1 }] })),
  ])
    assert.throws(() => parsePci(odd), malformed, JSON.stringify(odd));
  assert.deepEqual(parsePci([]), []);
});
