import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseDomstatus } from '../../probes/libvirt-domstatus.ts';
import { DOMSTATUS } from './domstatus-sample.ts';
import { testRobustness } from './robustness.ts';

/** libvirt 9.0, after vcpupin 1, emulatorpin and iothreadpin 2 were changed with `--live`. */
const REAL = readFileSync(
  fileURLToPath(new URL('../../../test/fixtures/libvirt/domstatus-9.0-pins.xml', import.meta.url)),
  'latin1',
);

/** libvirt 9.0, after `virsh change-media`. The list of QEMU's capabilities is cut out. */
const FIRMWARE = readFileSync(
  fileURLToPath(new URL('../../../test/fixtures/libvirt/domstatus-9.0-firmware.xml', import.meta.url)),
  'latin1',
);

function edited(text: string, ...edits: readonly (readonly [string | RegExp, string])[]) {
  let result = text;
  for (const [from, to] of edits) {
    const before = result;
    result = before.replace(from, () => to);
    assert.notEqual(result, before, String(from));
  }
  return parseDomstatus(result);
}

test('firmware, its variables, CD-ROMs and floppies are no disks', () => {
  const disks = ['/var/lib/libvirt/images/d.img'];
  assert.deepEqual(parseDomstatus(FIRMWARE).files, {
    disks,
    others: [
      '/usr/share/OVMF/OVMF_CODE.fd',
      '/var/lib/libvirt/qemu/nvram/firmware_VARS.fd',
      '/var/lib/libvirt/images/b.iso',
      '/var/lib/libvirt/images/fl.img',
    ],
  });
  // libvirt 8.5 and newer, and a CD-ROM with a block device.
  const [loader, nvram, iso] = [/<loader.*>/, /<nvram.*<.nvram>/, /<source file='\S*b.iso'/];
  const { others } = edited(
    FIRMWARE,
    [loader, '<loader>/fw/bios.bin</loader>'],
    [nvram, "<nvram type='block' format='raw'><source dev='/dev/vg/vars'/></nvram>"],
    [iso, "<source dev='/dev/sr0'"],
  ).files;
  assert.deepEqual(others.slice(0, 3), ['/fw/bios.bin', '/dev/vg/vars', '/dev/sr0']);
  // A drive without a medium, and firmware on the network.
  const empty = edited(
    FIRMWARE,
    [loader, "<loader readonly='yes'/>"],
    [nvram, "<nvram type='network'><source protocol='nbd' name='/vars'/></nvram>"],
    [/<source file='\S*b.iso'[\s\S]*?<\/source>/, ''],
  );
  assert.deepEqual(empty.files, { disks, others: ['/var/lib/libvirt/images/fl.img'] });
});

test('the pins of a real domain match its threads; <vcpu cpuset=> applies to the others', () => {
  const { pins } = parseDomstatus(REAL);
  assert.deepEqual(
    [...pins.vcpus],
    [
      [0, [0]],
      [1, [0, 1]],
    ],
  );
  // IOThread 3 has no pin of its own: in the kernel, too, its mask was that of <vcpu cpuset='1'>.
  assert.deepEqual(
    [...pins.iothreads],
    [
      [1, [0]],
      [2, [0]],
      [3, [1]],
    ],
  );
  assert.deepEqual(pins.emulator, [0]);
  assert.deepEqual(edited(REAL, [/<emulatorpin.*\/>/, '']).pins.emulator, [1]);
});

test('without <vcpu cpuset=> a thread without a pin has none', () => {
  const { pins } = edited(REAL, [" cpuset='1'>2</vcpu>", '>2</vcpu>'], [/<emulatorpin.*\/>/, '']);
  assert.deepEqual([...pins.iothreads.keys()], [1, 2]);
  assert.equal(pins.emulator, undefined);
});

test("numad's placement is nobody's wish, but pins beside it are", () => {
  const { pins } = edited(
    REAL,
    ["placement='static'", "placement='auto'"],
    [/<vcpupin vcpu='1'.*\/>/, ''],
    [/<emulatorpin.*\/>/, ''],
  );
  assert.deepEqual([...pins.vcpus], [[0, [0]]]);
  assert.deepEqual([...pins.iothreads.keys()], [1, 2]);
  assert.equal(pins.emulator, undefined);
});

test('without <cputune> there are no pins', () => {
  const { pins } = edited(DOMSTATUS, [/<cputune>[\s\S]*<\/cputune>/, '']);
  assert.deepEqual(pins, { vcpus: new Map(), iothreads: new Map(), emulator: undefined });
});

test('an invalid set drops only its own pin and does not become the shared set', () => {
  for (const nonsense of ['', 'x', '3-1', '^1', '0-99999999', '1,^1']) {
    const { pins } = edited(
      REAL,
      ["<vcpupin vcpu='0' cpuset='0'/>", `<vcpupin vcpu='0' cpuset='${nonsense}'/>`],
      ["<emulatorpin cpuset='0'/>", `<emulatorpin cpuset='${nonsense}'/>`],
    );
    assert.deepEqual([...pins.vcpus], [[1, [0, 1]]], nonsense);
    assert.equal(pins.emulator, undefined, nonsense);
    assert.equal(pins.iothreads.size, 3, nonsense);
  }
  assert.equal(edited(REAL, ["cpuset='1'>2", "cpuset='?'>2"]).pins.iothreads.has(3), false);
  assert.deepEqual(edited(REAL, ["vcpupin vcpu='0'", "vcpupin vcpu='x'"]).pins.vcpus.get(0), [1]);
});

test('a mask of 512 CPUs on 200 vCPUs is one list', () => {
  const entries = Array.from({ length: 200 }, (_, i) => `<vcpupin vcpu='${i}' cpuset='0-511,^7'/>`);
  const { pins } = edited(DOMSTATUS, [/<cputune>/, `<cputune>${entries.join('')}`]);
  assert.equal(pins.vcpus.get(199)?.length, 511);
  assert.equal(pins.vcpus.get(199), pins.vcpus.get(198));
});

test('pins cost as much as the host has CPUs, whatever ranges the file has', () => {
  const range = (i: number) => `${i % 8}-${16_000 + i}`;
  const pins = Array.from({ length: 500 }, (_, i) => `<vcpupin vcpu='${i}' cpuset='${range(i)}'/>`).join('');
  const text = DOMSTATUS.replace('<cputune>', () => `<cputune>${pins}`);
  const { vcpus } = parseDomstatus(text, 64).pins;
  const sizes = [...vcpus].filter(([id]) => id > 4).map(([, cpus]) => cpus.length);
  assert.equal(sizes.length, 495);
  assert.ok(Math.max(...sizes) === 64, `${Math.max(...sizes)}`);
  assert.deepEqual(vcpus.get(7)?.slice(0, 2), [7, 8]);
  assert.equal(parseDomstatus(text).pins.vcpus.get(8)?.length, 16_009, 'the CPUs of the host are unknown');
});

test('a pin to CPUs that the host does not have is none', () => {
  const text = DOMSTATUS.replace(
    /<vcpupin vcpu='0' cpuset='[^']*'/,
    () => "<vcpupin vcpu='0' cpuset='64-127'",
  );
  assert.notEqual(text, DOMSTATUS);
  assert.equal(parseDomstatus(text, 64).pins.vcpus.get(0), undefined);
});

test('disks of a real domain have queues, cache, I/O engine and IOThread', () => {
  const none = { iothread: undefined, iothreads: [], queues: undefined, cache: undefined, io: undefined };
  const image = (name: string) => ({ type: 'file', source: `/var/lib/libvirt/images/${name}.img` });
  assert.deepEqual(parseDomstatus(REAL).disks, [
    { ...none, target: 'hda', ...image('boot') },
    { ...none, target: 'vda', iothread: 1, queues: 2, cache: 'none', io: 'native', ...image('a') },
    { ...none, target: 'vdb', iothread: 2, queues: 4, cache: 'none', io: 'io_uring', ...image('b') },
    { ...none, target: 'sda', cache: 'writeback', io: 'threads', ...image('c') },
  ]);
});

test("libvirt 10's IOThreads of the queues are read", () => {
  const driver = (inner: string) =>
    edited(DOMSTATUS, [
      /<driver name='qemu' type='raw' cache.*\/>/,
      `<driver name='qemu' queues='4'><iothreads>${inner}</iothreads></driver>`,
    ]).disks[0]?.iothreads;
  assert.deepEqual(
    driver(
      "<iothread id='2'><queue id='1'/><queue id='3'/></iothread><iothread id='3'><queue id='0'/></iothread>",
    ),
    [
      { id: 2, queues: [1, 3] },
      { id: 3, queues: [0] },
    ],
  );
  assert.deepEqual(driver("<iothread id='2'/>"), [{ id: 2, queues: [] }]);
  assert.deepEqual(driver("<iothread/><iothread id='x'><queue id='0'/></iothread>"), []);
});

test('a network disk has its name as source, an empty drive has none', () => {
  const source = (element: string) =>
    edited(DOMSTATUS, [/<source dev[\s\S]*?<\/source>/, element]).disks[0]?.source;
  assert.equal(source("<source protocol='rbd' name='pool/image'/>"), 'pool/image');
  assert.equal(source(''), undefined);
});

test("a tenant's metadata cannot pose as pins or disks", () => {
  const { pins, disks } = edited(DOMSTATUS, [
    '<app:owner>',
    "<cputune><vcpupin vcpu='9' cpuset='9'/></cputune><devices><disk/></devices><app:owner>",
  ]);
  assert.deepEqual([pins.vcpus.has(9), disks.length], [false, 1]);
});

testRobustness(
  'parseDomstatus, of a domain with pins,',
  parseDomstatus,
  [REAL],
  ['<', "<vcpupin vcpu='1' cpuset='0-65535'/>"],
);
