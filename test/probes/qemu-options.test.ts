import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flag, keyval, PLAIN, parseQemuOptions } from '../../probes/qemu-options.ts';

function parsed(...argv: string[]): [string, Record<string, string>][] {
  return parseQemuOptions(['qemu', ...argv]).options.map(({ name, options }) => [
    name,
    Object.fromEntries(options),
  ]);
}

test('each option that is parsed has its own key for a first value', () => {
  const keys = {
    accel: 'accel',
    blockdev: 'driver',
    chardev: 'backend',
    cpu: 'model',
    device: 'driver',
    drive: 'file',
    fsdev: 'fsdriver',
    machine: 'type',
    mon: 'chardev',
    name: 'guest',
    netdev: 'type',
    nic: 'type',
    object: 'qom-type',
    smbios: 'file',
    virtfs: 'fsdriver',
  };
  for (const [name, key] of Object.entries(keys))
    assert.deepEqual(parsed(`-${name}`, 'x,y=z'), [[name, { [key]: 'x', y: 'z' }]], name);
  assert.deepEqual(parsed('-M', 'q35'), [['machine', { type: 'q35' }]]);
  assert.deepEqual(parsed('--device', 'x'), [['device', { driver: 'x' }]]);
});

test('an option with a plain value keeps it whole', () => {
  for (const name of [
    ...['append', 'avd', 'bios', 'dtb', 'global', 'initrd', 'kernel', 'mem-path', 'monitor'],
    ...['pidfile', 'qmp', 'qmp-pretty', 'readconfig', 'set', 'uuid', 'xen-domid'],
  ])
    assert.deepEqual(parsed(`-${name}`, 'a,b=c'), [[name, { [PLAIN]: 'a,b=c' }]], name);
  assert.deepEqual(parsed('-uuid'), [['uuid', { [PLAIN]: '' }]], 'cut');
});

test('a short form of -drive has a file name with literal commas', () => {
  const drive = (option: string, more: Record<string, string>): void =>
    assert.deepEqual(parsed(option, '/a,b=c'), [['drive', { file: '/a,b=c', ...more }]], option);
  drive('-hda', { index: '0', media: 'disk' });
  drive('-hdd', { index: '3', media: 'disk' });
  drive('-cdrom', { index: '2', media: 'cdrom' });
  drive('-fdb', { if: 'floppy', index: '1' });
  drive('-pflash', { if: 'pflash' });
  drive('-sd', { if: 'sd' });
});

test("the guest's kernel command line is no option of QEMU", () => {
  assert.deepEqual(
    parsed('-append', '-version', '-name', 'a').map(([name]) => name),
    ['append', 'name'],
  );
});

test('a name that begins with a brace is no JSON', () => {
  assert.deepEqual(parsed('-name', '{prod} web,debug-threads=on'), [
    ['name', { guest: '{prod} web', 'debug-threads': 'on' }],
  ]);
  assert.deepEqual(parsed('-name', '{"a":1}'), [['name', { guest: '{"a":1}' }]]);
});

test('a flag takes no value, and other options are passed over', () => {
  for (const name of ['audio-help', 'daemonize', 'enable-kvm', 'h', 'help', 'version'])
    assert.deepEqual(parsed(`-${name}`, '-name', 'a'), [[name, {}], ['name', { guest: 'a' }]], name); // biome-ignore format: pairs
  assert.deepEqual(parsed('-m', '64', 'disk.img', '-', '-constructor', '-name', 'a'), [
    ['name', { guest: 'a' }],
  ]);
  assert.deepEqual(
    parsed('-name', '-daemonize'),
    [['name', { guest: '-daemonize' }]],
    'a value may have a dash',
  );
});

test('key=value: a doubled comma is a comma, a key without a value is on', () => {
  assert.deepEqual(Object.fromEntries(keyval('a,,b,c=d,,e=f,g', 'first')), {
    first: 'a,b',
    c: 'd,e=f',
    g: 'on',
  });
  assert.deepEqual(Object.fromEntries(keyval('', 'first')), { first: '' });
  assert.deepEqual(Object.fromEntries(keyval('x=1,x=2', 'first')), { x: '2' }, 'the last one counts');
});

test('JSON has dotted keys; what is no JSON has none', () => {
  const json = {
    driver: 'd',
    cache: { direct: true, 'no-flush': false },
    vqs: [0, { iothread: 'a' }],
    none: null,
  };
  assert.deepEqual(parsed('-blockdev', JSON.stringify(json)), [
    [
      'blockdev',
      {
        driver: 'd',
        'cache.direct': 'on',
        'cache.no-flush': 'off',
        'vqs.0': '0',
        'vqs.1.iothread': 'a',
      },
    ],
  ]);
  assert.deepEqual(parsed('-device', '{"driver":"x"'), [['device', {}]]);
});

test('JSON is bounded in depth and in keys', () => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
  assert.deepEqual(Object.keys(parsed('-device', JSON.stringify(nested(8)))[0]?.[1] ?? {}), [
    'a.a.a.a.a.a.a.a',
  ]);
  assert.deepEqual(parsed('-device', JSON.stringify(nested(9))), [['device', {}]]);
  const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i]));
  assert.equal(Object.keys(parsed('-device', JSON.stringify(wide))[0]?.[1] ?? {}).length, 4096);
});

test('options beyond the limit are counted', () => {
  const argv = ['qemu', ...Array.from({ length: 16_386 }, () => '-daemonize')];
  const { options, dropped } = parseQemuOptions(argv);
  assert.deepEqual([options.length, dropped], [16_384, 2]);
});

test("a boolean has QEMU's words", () => {
  const of = (value: string): boolean | undefined => flag(new Map([['x', value]]), 'x');
  for (const word of ['on', 'yes', 'true', 'y']) assert.equal(of(word), true, word);
  for (const word of ['off', 'no', 'false', 'n']) assert.equal(of(word), false, word);
  for (const word of ['', 'ON', '1', 'auto']) assert.equal(of(word), undefined, word);
  assert.equal(flag(new Map(), 'x'), undefined);
});
