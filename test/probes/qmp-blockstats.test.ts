import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBlock } from '../../probes/qmp-block.ts';
import { parseBlockstats } from '../../probes/qmp-blockstats.ts';
import { parseCpus } from '../../probes/qmp-cpus.ts';
import { parseIothreads } from '../../probes/qmp-iothreads.ts';
import { unexpected } from '../../probes/qmp-unexpected.ts';

/** Every counter of every operation is another number. */
function stats(): Record<string, unknown> {
  const names = (kind: string): string[] =>
    [
      [`${kind}_operations`, `${kind}_bytes`, `${kind}_total_time_ns`, `${kind}_merged`],
      [`failed_${kind}_operations`, `invalid_${kind}_operations`],
    ].flat();
  return Object.fromEntries(['rd', 'wr', 'flush', 'unmap'].flatMap(names).map((name, i) => [name, i + 1]));
}

function diskWith(more: Record<string, unknown>) {
  const [disk] = parseBlockstats([
    { device: 'd', 'node-name': 'n', qdev: '/q', stats: { ...stats(), ...more } },
  ]);
  assert.ok(disk);
  return disk;
}

test('each counter of a disk is that of its operation', () => {
  const operation = (first: number) => ({
    operations: first,
    bytes: first + 1,
    timeNs: first + 2,
    merged: first + 3,
    failed: first + 4,
    invalid: first + 5,
    latency: undefined,
  });
  assert.deepEqual(diskWith({}), {
    device: 'd',
    nodeName: 'n',
    qdev: '/q',
    read: operation(1),
    write: operation(7),
    flush: operation(13),
    discard: operation(19),
  });
});

test('a counter that is missing or impossible is 0, and costs nothing else', () => {
  for (const value of [undefined, null, -1, '7', Number.NaN, 2 ** 65]) {
    const { read } = diskWith({ rd_operations: value });
    assert.deepEqual([read.operations, read.bytes], [0, 2], String(value));
  }
  assert.equal(diskWith({ rd_operations: 2 ** 64 }).read.operations, 2 ** 64);
  const [disk] = parseBlockstats([{ stats: {} }]);
  assert.deepEqual([disk?.device, disk?.nodeName, disk?.qdev, disk?.read.operations], ['', '', '', 0]);
});

test('what QEMU before 4.2 does not count is unknown', () => {
  const [disk] = parseBlockstats([
    { device: 'drive-virtio-disk0', stats: { rd_operations: 5, wr_operations: 2, flush_operations: 1 } },
  ]);
  assert.equal(disk?.discard, undefined);
  assert.deepEqual([disk?.read.merged, disk?.read.failed], [undefined, undefined]);
});

test('a VM may have more than a thousand disks', () => {
  const disks = Array.from({ length: 2000 }, (_, i) => ({ device: `d${i}`, stats: {} }));
  assert.equal(parseBlockstats(disks).length, 2000);
});

test('a latency histogram has ascending bounds and one bin more', () => {
  const latency = (boundaries: unknown, bins: unknown): unknown =>
    diskWith({ wr_latency_histogram: { boundaries, bins } }).write.latency;
  assert.deepEqual(latency([10, 20], [1, 2, 3]), { boundaries: [10, 20], bins: [1, 2, 3] });
  assert.deepEqual(latency([], [5]), { boundaries: [], bins: [5] });
  assert.deepEqual(latency([0], [1, 2]), { boundaries: [0], bins: [1, 2] });
  const bad: readonly (readonly [unknown, unknown])[] = [
    [
      [10, 20],
      [1, 2],
    ],
    [
      [10, 20],
      [1, 2, 3, 4],
    ],
    [
      [10, 10],
      [1, 2, 3],
    ],
    [
      [20, 10],
      [1, 2, 3],
    ],
    [[1.5], [1, 2]],
    [[-1], [1, 2]],
    [[1e15 + 1], [1, 2]],
    [[10], [1, -2]],
    [[10], 'bins'],
    [undefined, [1]],
  ];
  for (const [boundaries, bins] of bad)
    assert.equal(latency(boundaries, bins), undefined, JSON.stringify([boundaries, bins]));
  assert.notEqual(latency([1e15], [1, 2]), undefined);
  const many = (count: number): unknown =>
    latency(
      Array.from({ length: count }, (_, i) => i),
      Array(count + 1).fill(0),
    );
  assert.notEqual(many(256), undefined);
  assert.equal(many(257), undefined);
});

test('lists of more than any VM has are refused', () => {
  const disk = { device: '', stats: {} };
  assert.equal(parseBlockstats(Array(4096).fill(disk)).length, 4096);
  assert.throws(() => parseBlockstats(Array(4097).fill(disk)), { kind: 'malformed' });
  const block = { qdev: '', device: '', inserted: {} };
  assert.equal(parseBlock(Array(4096).fill(block)).length, 4096);
  assert.throws(() => parseBlock(Array(4097).fill(block)), { kind: 'malformed' });
  const cpu = { 'cpu-index': 0, 'qom-path': '/a', 'thread-id': 1 };
  assert.equal(parseCpus(Array(4096).fill(cpu)).length, 4096);
  assert.throws(() => parseCpus(Array(4097).fill(cpu)), { kind: 'malformed' });
  const thread = { id: 'a', 'thread-id': 1, 'poll-max-ns': 0, 'poll-grow': 0, 'poll-shrink': 0 };
  assert.equal(parseIothreads(Array(4096).fill(thread)).length, 4096);
  assert.throws(() => parseIothreads(Array(4097).fill(thread)), { kind: 'malformed' });
});

test('thread ids are positive, vCPU indexes are those of Linux', () => {
  const cpu = (more: object) => parseCpus([{ 'cpu-index': 7, 'qom-path': '/a', 'thread-id': 1, ...more }])[0];
  assert.deepEqual(cpu({}), { index: 7, qomPath: '/a', threadId: 1 });
  assert.equal(cpu({ 'cpu-index': 65_535 })?.index, 65_535);
  for (const bad of [
    { 'cpu-index': -1 },
    { 'cpu-index': 65_536 },
    { 'thread-id': 0 },
    { 'qom-path': 'x'.repeat(513) },
  ])
    assert.throws(() => cpu(bad), { kind: 'malformed' }, JSON.stringify(bad));
  const thread = {
    id: 'io',
    'thread-id': 3,
    'poll-max-ns': 1,
    'poll-grow': 2,
    'poll-shrink': 4,
    'aio-max-batch': 5,
  };
  assert.deepEqual(parseIothreads([thread]), [
    {
      id: 'io',
      threadId: 3,
      pollMaxNs: 1,
      pollGrow: 2,
      pollShrink: 4,
      pollWeight: undefined,
      aioMaxBatch: 5,
    },
  ]);
  for (const bad of [
    { 'thread-id': 0 },
    { 'poll-max-ns': -1 },
    { 'poll-grow': 2 ** 65 },
    { id: 'x'.repeat(257) },
  ])
    assert.throws(() => parseIothreads([{ ...thread, ...bad }]), { kind: 'malformed' }, JSON.stringify(bad));
});

test('a drive has its medium, and O_DIRECT only if QEMU says so', () => {
  const block = (inserted: unknown, more: object = {}) =>
    parseBlock([{ device: 'd', qdev: '/q', inserted, ...more }])[0];
  const medium = { 'node-name': 'n', file: '/f', drv: 'raw' };
  const plain = { qdev: '/q', device: 'd', nodeName: 'n', file: '/f', driver: 'raw', removable: false };
  assert.deepEqual(block(medium), { ...plain, direct: undefined });
  assert.deepEqual(block({ ...medium, cache: { direct: false } }), { ...plain, direct: false });
  assert.deepEqual(block({ ...medium, cache: { direct: true } }, { removable: true }), {
    ...plain,
    removable: true,
    direct: true,
  });
  assert.deepEqual(block({ ...medium, cache: 'none' }), { ...plain, direct: undefined });
  assert.equal(block('medium'), undefined);
  assert.equal(block({ ...medium, file: 'x'.repeat(4097) })?.file, '');
  assert.equal(block({ ...medium, file: 'x'.repeat(4096) })?.file.length, 4096);
});

test('the excerpt of an unexpected reply is bounded in width, depth and text', () => {
  const excerpt = (reply: unknown): string =>
    JSON.parse(unexpected('query-x', reply).reason.replace('unexpected content ', '')) as string;
  assert.equal(unexpected('query-x', 1).path, 'QMP query-x');
  for (const [reply, text] of [
    [null, 'null'],
    [undefined, 'undefined'],
    [true, 'true'],
    [1.5, '1.5'],
    ['a', '"a"'],
    [[], '[]'],
    [[1, 2, 3], '[1,2,3]'],
    [[1, 2, 3, 4], '[1,2,3,...]'],
    [{}, '{}'],
    [{ a: 1, b: 2, c: 3 }, '{"a":1,"b":2,"c":3}'],
    [{ a: 1, b: 2, c: 3, d: 4 }, '{"a":1,"b":2,"c":3,...}'],
    [[[[1]]], '[[[1]]]'],
    [[[[[1]]]], '[[[[...]]]]'],
    [{ a: { b: { c: 1 } } }, '{"a":{"b":{"c":1}}}'],
    [{ a: { b: { c: { d: 1 } } } }, '{"a":{"b":{"c":{...}}}}'],
  ] as const)
    assert.equal(excerpt(reply), text.slice(0, 60));
  assert.equal(excerpt('x'.repeat(100)).length, 60);
});
