import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SourceError } from '../../probes/errors.ts';
import { filesOfBlocks, parseBlock, signsOfBlocks } from '../../probes/qmp-block.ts';
import { parseBlockstats } from '../../probes/qmp-blockstats.ts';
import { parseCpus } from '../../probes/qmp-cpus.ts';
import { parseIothreads } from '../../probes/qmp-iothreads.ts';
import { parsePci } from '../../probes/qmp-pci.ts';
import { parseStatsSchemas, parseVcpuStats, parseVmStats } from '../../probes/qmp-stats.ts';
import { parseStatus } from '../../probes/qmp-status.ts';
import { parseUuid } from '../../probes/qmp-uuid.ts';
import { parseVersion } from '../../probes/qmp-version.ts';
import { type CapturedHost, captured, type Moment } from '../../testing/captured.ts';
import { assertSound, mutated } from './robustness.ts';

const PARSERS: readonly [string, (reply: unknown) => unknown][] = [
  ['block', parseBlock],
  ['blockstats', parseBlockstats],
  ['cpus-fast', parseCpus],
  ['iothreads', parseIothreads],
  ['pci', parsePci],
  ['stats-schemas', parseStatsSchemas],
  ['stats.vcpu', parseVcpuStats],
  ['stats.vm', parseVmStats],
  ['status', parseStatus],
  ['uuid', parseUuid],
  ['version', parseVersion],
];
const CAPTURES: readonly [CapturedHost, Moment, string][] = [
  ['linux-nvme-vhost', 't0', 'vm-a'],
  ['linux-nvme-vhost', 't1', 'vm-a'],
  ['toy-pio-hlt', 't0', 'vm1'],
  ['toy-pio-hlt', 't1', 'vm1'],
];

function texts(query: string): string[] {
  return CAPTURES.map(([host, moment, vm]) => captured(`qmp/${vm}/query-${query}.json`, host, moment));
}

function replyOf(text: string): unknown {
  return (JSON.parse(text) as { return: unknown }).return;
}

/** Sound numbers, or a SourceError whose text does not grow with the reply. */
function check(parse: (reply: unknown) => unknown, reply: unknown): void {
  try {
    assertSound(parse(reply));
  } catch (error) {
    assert.ok(error instanceof SourceError, `${error}`);
    assert.equal(error.kind, 'malformed');
    assert.ok(error.message.length < 500);
  }
}

function nested(depth: number): unknown {
  let value: unknown = [];
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

/** Replaces one value somewhere within by another. */
function damaged(reply: unknown, path: readonly number[], by: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined || typeof reply !== 'object' || reply === null) return by;
  const copy = structuredClone(reply) as Record<string, unknown>;
  const keys = Object.keys(copy);
  const key = keys[first % keys.length];
  if (key !== undefined) copy[key] = damaged(copy[key], rest, by);
  return copy;
}

for (const [query, parse] of PARSERS) {
  test(`query-${query}: captured replies are understood`, () => {
    for (const text of texts(query)) assertSound(parse(replyOf(text)));
  });

  test(`query-${query}: anything but QEMU's answer is refused with a SourceError, or harmless`, () => {
    const odd = [
      undefined,
      null,
      0,
      -1,
      '',
      'x'.repeat(1e6),
      true,
      {},
      [],
      [null],
      [[]],
      [{}],
      [7],
      { a: {} },
    ];
    const huge = [Array(2e6).fill({}), Array(1e5).fill(null), nested(1e5), { a: nested(1e5) }, [nested(1e5)]];
    for (const reply of [...odd, ...huge]) check(parse, reply);
    fc.assert(
      fc.property(fc.jsonValue(), (reply) => check(parse, reply)),
      { numRuns: 200 },
    );
  });

  test(`query-${query}: a captured reply with one value of another kind is refused, or harmless`, () => {
    const replies = texts(query).map(replyOf);
    const bad = fc.oneof(
      fc.constantFrom<unknown>(null, -1, 1.5, 1e308, Number.POSITIVE_INFINITY, '', [], {}, true, -0.1, '1'),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(fc.constantFrom(...replies), fc.array(fc.nat(), { maxLength: 6 }), bad, (reply, path, by) =>
        check(parse, damaged(reply, path, by)),
      ),
      { numRuns: 300 },
    );
  });

  test(`query-${query}: damaged text that is still JSON is refused, or harmless`, () => {
    fc.assert(
      fc.property(mutated(texts(query)), (text) => {
        let reply: unknown;
        try {
          reply = replyOf(text);
        } catch {
          return;
        }
        check(parse, reply);
      }),
      { numRuns: 200 },
    );
  });
}

test('query-cpus-fast gives index, path and thread of each vCPU', () => {
  assert.deepEqual(parseCpus(replyOf(texts('cpus-fast')[0] ?? '')), [
    { index: 0, qomPath: '/machine/unattached/device[0]', threadId: 252 },
    { index: 1, qomPath: '/machine/unattached/device[2]', threadId: 254 },
  ]);
});

test('query-iothreads gives the polling parameters; older versions of QEMU lack some', () => {
  const thread = { id: 'io0', 'thread-id': 246, 'poll-max-ns': 32768, 'poll-grow': 2, 'poll-shrink': 3 };
  assert.deepEqual(parseIothreads([thread]), [
    {
      id: 'io0',
      threadId: 246,
      pollMaxNs: 32768,
      pollGrow: 2,
      pollShrink: 3,
      pollWeight: undefined,
      aioMaxBatch: 0,
    },
  ]);
  assert.equal(parseIothreads([{ ...thread, 'poll-weight': 5 }])[0]?.pollWeight, 5);
  assert.deepEqual(parseIothreads([]), []);
  // QEMU 2.8.
  assert.deepEqual(parseIothreads([{ id: 'io0', 'thread-id': 7 }]), [
    {
      id: 'io0',
      threadId: 7,
      pollMaxNs: 0,
      pollGrow: 0,
      pollShrink: 0,
      pollWeight: undefined,
      aioMaxBatch: 0,
    },
  ]);
});

test('query-block describes disks; a drive without media is ignored', () => {
  const [disk] = parseBlock(replyOf(texts('block')[0] ?? ''));
  assert.deepEqual(disk, {
    qdev: '/machine/peripheral/vda/virtio-backend',
    device: '',
    nodeName: 'd0',
    file: '/dev/nvme0n1',
    driver: 'host_device',
    removable: false,
    direct: true,
  });
  assert.deepEqual(parseBlock([{ device: 'cd0', locked: false, removable: true, type: 'unknown' }]), []);
});

test('query-block: firmware, CD-ROMs and floppies are no disks', () => {
  // QEMU 7.2 as libvirt starts it, after blockdev-change-medium; without what is not read.
  const blocks = parseBlock(
    replyOf(`{"return": [
{"device": "", "removable": false, "inserted": {"ro": true, "node-name": "libvirt-pflash0-format", "drv": "raw", "file": "/fw/code.fd"}, "qdev": "/machine/system.flash0"},
{"device": "", "removable": false, "inserted": {"ro": false, "node-name": "libvirt-pflash1-format", "drv": "raw", "file": "/fw/vars.fd"}, "qdev": "/machine/system.flash1"},
{"device": "", "removable": true, "inserted": {"ro": true, "node-name": "libvirt-4-format", "drv": "raw", "file": "/b.iso"}, "qdev": "sata0-0-0", "tray_open": false},
{"device": "", "removable": true, "inserted": {"ro": false, "node-name": "libvirt-2-format", "drv": "raw", "file": "/fl.img"}, "qdev": "fdc0-0-0"},
{"device": "", "removable": false, "inserted": {"ro": false, "node-name": "libvirt-1-format", "drv": "raw", "file": "/d.img"}, "qdev": "/machine/peripheral/virtio-disk0/virtio-backend"}]}`),
  );
  const others = ['/fw/code.fd', '/fw/vars.fd', '/b.iso', '/fl.img'];
  assert.deepEqual(filesOfBlocks(blocks), { disks: ['/d.img'], others });
  // The board `virt` of Arm and RISC-V has another name for it; a guest's disk may have any id.
  const at = (qdev: string) => filesOfBlocks(blocks.slice(4).map((block) => ({ ...block, qdev })));
  assert.deepEqual(at('/machine/virt.flash1').others, ['/d.img']);
  assert.deepEqual(at('/machine/peripheral/system.flash0/virtio-backend').disks, ['/d.img']);
});

test('query-block: a disk that was plugged in later may bypass the block layer; its CD-ROM hides nothing', () => {
  const block = (file: string, removable = false) => ({
    removable,
    qdev: 'vda',
    inserted: { 'node-name': 'n', drv: 'raw', file },
  });
  const signs = (...blocks: object[]) => [...new Set(signsOfBlocks(parseBlock(blocks)))];
  // QEMU 7.2: a node over nbd, and a filter over it.
  const throttle = {
    'throttle-group': 't',
    driver: 'throttle',
    file: { 'server.path': '/run/nbd.sock', driver: 'nbd', export: 'e', 'server.type': 'unix' },
  };
  for (const file of [
    'nbd+unix:///e?socket=/run/nbd.sock',
    `json:${JSON.stringify(throttle)}`,
    'rbd:volumes/volume-1:id=cinder',
  ])
    assert.deepEqual(signs(block(file)), ['user_space_driver'], file);
  assert.deepEqual(signs(block('/dev/vg/nbd'), block('https://host/x.iso', true)), []);
});

test('query-block: before QEMU 4.0 only the name of the drive shows firmware', () => {
  const block = (device: string, qdev: string, file: string) => ({ device, qdev, inserted: { file } });
  const blocks = parseBlock([
    block('pflash0', '/machine/unattached/device[5]', '/fw/code.fd'),
    block('drive-pflash1', '/machine/unattached/device[6]', '/fw/vars.fd'),
    // QEMU's own device: only the command line shows whether it is a disk.
    block('vars', '/machine/unattached/device[7]', '/fw/other.fd'),
    block('pflash9', '/machine/peripheral/virtio-disk0/virtio-backend', '/d.img'),
  ]);
  assert.deepEqual(filesOfBlocks(blocks), { disks: ['/d.img'], others: ['/fw/code.fd', '/fw/vars.fd'] });
});

test('the short replies are read', () => {
  assert.equal(parseStatus(replyOf(texts('status')[0] ?? '')), 'running');
  assert.equal(parseVersion(replyOf(texts('version')[0] ?? '')), '7.2.22');
  assert.equal(
    parseUuid({ UUID: '22222222-2222-3333-4444-55555555554A' }),
    '22222222-2222-3333-4444-55555555554a',
  );
  assert.equal(
    parseUuid({ UUID: '00000000-0000-0000-0000-000000000000' }),
    '00000000-0000-0000-0000-000000000000',
  );
  assert.throws(() => parseStatus({ status: 'run\nning' }), { kind: 'malformed' });
});

test('an error quotes the beginning of the reply', () => {
  assert.throws(() => parseUuid({ UUID: 7 }), { reason: 'unexpected content "{\\"UUID\\":7}"' });
  assert.throws(() => parseUuid([1, 2, 3, 4]), { reason: 'unexpected content "[1,2,3,...]"' });
});
