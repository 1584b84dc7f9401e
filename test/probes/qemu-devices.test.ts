import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCmdline } from '../../probes/proc-pid-cmdline.ts';
import { parseQemuDevices, type QemuDevices, type QemuStorage } from '../../probes/qemu-devices.ts';
import { parseQemuOptions } from '../../probes/qemu-options.ts';
import { captured } from '../../testing/captured.ts';
import { cpuMs } from '../../testing/patience.ts';
import { testRobustness } from './robustness.ts';

const CAPTURED = captured('proc/244/cmdline');

const UNSAID = {
  id: '',
  queues: undefined,
  iothread: undefined,
  mapping: [],
  packed: undefined,
  eventIdx: undefined,
  drives: [],
};

function of(argv: readonly string[]): QemuDevices {
  const devices = parseQemuDevices(parseQemuOptions(argv).options);
  assert.ok(devices);
  return devices;
}

function parse(...options: string[]): QemuDevices {
  return of(['qemu-system-x86_64', ...options]);
}

function storage(...options: string[]): QemuStorage | undefined {
  return parse(...options).storage[0];
}

function drive(...options: string[]) {
  return storage(...options, '-device', 'virtio-blk-pci,drive=d0')?.drives[0];
}

test('a captured command line is parsed', () => {
  assert.deepEqual(of(parseCmdline(CAPTURED)), {
    storage: [
      {
        ...UNSAID,
        id: 'vda',
        kind: 'virtio-blk',
        iothread: 'io0',
        drives: [{ node: 'd0', direct: true, aio: 'native' }],
      },
    ],
    nets: [{ id: 'n0', vhost: true }],
    iothreads: [{ id: 'io0', pollMaxNs: undefined }],
  });
});

/** As libvirt 9.0 wrote it for the domain in test/fixtures/libvirt/domstatus-9.0-pins.xml. */
const LIBVIRT = [
  '-object',
  '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/x"}',
  '-object',
  '{"qom-type":"iothread","id":"iothread1"}',
  '-object',
  '{"qom-type":"iothread","id":"iothread2","poll-max-ns":50000}',
  '-device',
  '{"driver":"piix3-usb-uhci","id":"usb","bus":"pci.0","addr":"0x1.0x2"}',
  '-device',
  '{"driver":"virtio-scsi-pci","iothread":"iothread2","id":"scsi0","num_queues":3,"bus":"pci.0","addr":"0x2"}',
  '-blockdev',
  '{"driver":"file","filename":"/i/b.img","aio":"io_uring","node-name":"libvirt-2-storage","cache":{"direct":true,"no-flush":false},"auto-read-only":true,"discard":"unmap"}',
  '-blockdev',
  '{"node-name":"libvirt-2-format","read-only":false,"cache":{"direct":true,"no-flush":false},"driver":"raw","file":"libvirt-2-storage"}',
  '-device',
  '{"driver":"virtio-blk-pci","packed":true,"iothread":"iothread2","event_idx":false,"num-queues":4,"bus":"pci.0","addr":"0x4","drive":"libvirt-2-format","id":"virtio-disk1","write-cache":"on"}',
  '-blockdev',
  '{"driver":"file","filename":"/i/c.img","aio":"threads","node-name":"libvirt-1-storage","cache":{"direct":false,"no-flush":false}}',
  '-blockdev',
  '{"node-name":"libvirt-1-format","cache":{"direct":false,"no-flush":false},"driver":"raw","file":"libvirt-1-storage"}',
  '-device',
  '{"driver":"scsi-hd","bus":"scsi0.0","channel":0,"scsi-id":0,"lun":0,"drive":"libvirt-1-format","id":"scsi0-0-0-0"}',
  '-netdev',
  '{"type":"tap","fds":"36:37","vhost":true,"vhostfds":"38:39","id":"hostnet0"}',
];

test("libvirt's JSON is understood, a controller with the disks on its bus", () => {
  assert.deepEqual(parse(...LIBVIRT), {
    storage: [
      {
        ...UNSAID,
        id: 'scsi0',
        kind: 'virtio-scsi',
        queues: 3,
        iothread: 'iothread2',
        drives: [{ node: 'libvirt-1-format', direct: false, aio: 'threads' }],
      },
      {
        ...UNSAID,
        id: 'virtio-disk1',
        kind: 'virtio-blk',
        queues: 4,
        iothread: 'iothread2',
        packed: true,
        eventIdx: false,
        drives: [{ node: 'libvirt-2-format', direct: true, aio: 'io_uring' }],
      },
    ],
    nets: [{ id: 'hostnet0', vhost: true }],
    iothreads: [
      { id: 'iothread1', pollMaxNs: undefined },
      { id: 'iothread2', pollMaxNs: 50_000 },
    ],
  });
});

test('the IOThreads of the queues are read', () => {
  const device =
    '{"driver":"virtio-blk-pci","iothread-vq-mapping":[{"iothread":"a","vqs":[0,2]},{"iothread":"b","vqs":[1,3]}],"drive":"d"}';
  assert.deepEqual(storage('-device', device)?.mapping, [
    { iothread: 'a', queues: [0, 2] },
    { iothread: 'b', queues: [1, 3] },
  ]);
  const turns = '{"driver":"virtio-scsi-pci","iothread-vq-mapping":[{"iothread":"a"},{"iothread":"b"}]}';
  assert.deepEqual(
    storage('-device', turns)?.mapping.map(({ queues }) => queues),
    [[], []],
  );
});

test('key=value says the same as JSON', () => {
  const text = 'virtio-blk-device,num-queues=8,packed=on,event_idx=off,iothread=io0,id=a,,b';
  assert.deepEqual(storage('-device', text), {
    ...UNSAID,
    id: 'a,b',
    kind: 'virtio-blk',
    queues: 8,
    iothread: 'io0',
    packed: true,
    eventIdx: false,
  });
  assert.equal(parse('-object', 'iothread,id=io0,poll-max-ns=0').iothreads[0]?.pollMaxNs, 0);
});

test('each form of a virtio disk is recognized, and nothing else', () => {
  const kind = (driver: string) => storage('-device', driver)?.kind;
  for (const driver of ['virtio-blk', 'virtio-blk-ccw', 'virtio-blk-pci-non-transitional']) {
    assert.equal(kind(driver), 'virtio-blk', driver);
  }
  for (const driver of ['virtio-net-pci', 'virtio-blkx', 'vhost-user-fs-pci', 'nvme', 'ide-hd', '']) {
    assert.equal(kind(driver), undefined, driver);
  }
});

test('O_DIRECT and the engine are those of the node that opens the file', () => {
  const named = ['-blockdev', 'driver=file,filename=/x,node-name=s,aio=native,cache.direct=on'];
  assert.deepEqual(drive(...named, '-blockdev', 'driver=qcow2,node-name=d0,file=s'), {
    node: 'd0',
    direct: true,
    aio: 'native',
  });
  const above = ['-blockdev', 'driver=qcow2,node-name=d0,file=s,cache.direct=on'];
  assert.equal(drive('-blockdev', 'driver=file,filename=/x,node-name=s', ...above)?.direct, false);
  const inside =
    'driver=qcow2,node-name=d0,cache.direct=on,file.driver=file,file.filename=/x,file.aio=io_uring';
  assert.deepEqual(drive('-blockdev', inside), { node: 'd0', direct: true, aio: 'io_uring' });
  assert.equal(drive('-blockdev', `${inside},file.cache.direct=off`)?.direct, false);
});

test('the properties of a quorum are unknown: its nodes may differ', () => {
  const unknown = { node: 'd0', direct: undefined, aio: undefined };
  const direct = 'driver=quorum,node-name=d0,vote-threshold=1,children.0.driver=file,children.0.filename=/x';
  assert.deepEqual(drive('-blockdev', direct), unknown);
  const named = ['-blockdev', 'driver=file,filename=/x,node-name=s,aio=native,cache.direct=on'];
  assert.deepEqual(drive(...named, '-blockdev', 'driver=quorum,node-name=d0,children.0=s'), unknown);
});

test('the cache modes of -drive are distinguished', () => {
  const direct = (options: string) => drive('-drive', `/x.img,if=none,id=d0,format=raw${options}`)?.direct;
  assert.deepEqual(
    [',cache=none', ',cache=directsync', ',cache=writeback', ',cache=unsafe', '', ',cache.direct=on'].map(
      direct,
    ),
    [true, true, false, false, false, true],
  );
  assert.equal(drive('-drive', 'file=/x,if=none,id=d0,aio=io_uring')?.aio, 'io_uring');
});

test('-drive if=virtio is a disk', () => {
  assert.deepEqual(storage('-drive', 'file=/x,if=virtio,id=v,cache=none,aio=native'), {
    ...UNSAID,
    id: 'v',
    kind: 'virtio-blk',
    drives: [{ node: 'v', direct: true, aio: 'native' }],
  });
});

test('a disk whose node is not on the command line is listed with unknown properties', () => {
  assert.deepEqual(storage('-device', 'virtio-blk-pci,drive=gone')?.drives, [
    { node: 'gone', direct: undefined, aio: undefined },
  ]);
});

test('circular and endless chains of nodes terminate', () => {
  const loop = [
    '-blockdev',
    'driver=raw,node-name=d0,file=d1',
    '-blockdev',
    'driver=raw,node-name=d1,file=d0',
  ];
  assert.equal(drive(...loop)?.direct, false);
  const deep = `${'{"file":'.repeat(5000)}{}${'}'.repeat(5000)}`;
  assert.equal(parse('-blockdev', deep).storage.length, 0);
});

test('endless nesting inside a device does not drop the device', () => {
  const deep = `${'{"x":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
  assert.equal(storage('-device', `{"driver":"virtio-blk-pci","id":"a","x":${deep}}`)?.id, 'a');
});

test('SCSI disks belong to the controller that they name, or to the last one before them', () => {
  const { storage: controllers } = parse(
    ...['-device', 'virtio-scsi-pci,id=s0', '-device', 'virtio-scsi-pci,id=s1'],
    ...[
      '-device',
      'scsi-hd,drive=a,bus=s1.0',
      '-device',
      'scsi-hd,drive=b',
      '-device',
      'scsi-hd,drive=c,bus=x.0',
    ],
  );
  assert.deepEqual(
    controllers.map(({ id, drives }) => [id, drives.map(({ node }) => node)]),
    [
      ['s0', []],
      ['s1', ['a', 'b']],
    ],
  );
});

test('either option enables vhost of a network device', () => {
  const vhost = (options: string) => parse('-netdev', options).nets[0]?.vhost;
  assert.deepEqual(
    ['tap,id=n,vhost=on', 'tap,id=n,vhostforce=on', 'tap,id=n,vhost=off', 'user,id=n', 'tap,vhost'].map(
      vhost,
    ),
    [true, true, false, false, true],
  );
  assert.equal(parse('-nic', 'tap,vhost=on').nets[0]?.vhost, true);
});

test('missing, truncated or invalid parts do not affect the others', () => {
  assert.deepEqual(of([]), { storage: [], nets: [], iothreads: [] });
  for (const broken of [
    '{',
    '{}',
    '[]',
    'null',
    '',
    ',',
    '{"driver":7}',
    '{"driver":null}',
    '{"driver":["x"]}',
  ]) {
    const { storage: found } = parse(
      '-device',
      broken,
      '-blockdev',
      broken,
      '-device',
      'virtio-blk-pci,id=a',
    );
    assert.deepEqual(
      found.map(({ id }) => id),
      ['a'],
      broken,
    );
  }
  assert.equal(storage('-device', 'virtio-blk-pci,num-queues=-1')?.queues, undefined);
  assert.equal(storage('-device', 'virtio-blk-pci,packed=maybe')?.packed, undefined);
});

test('a value that looks like an option is a value', () => {
  assert.equal(parse('-device', '-device', '-device', 'virtio-blk-pci').storage.length, 1);
});

test('any id is read back, in both forms', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
      const id = text.replaceAll('\0', '');
      assert.equal(storage('-device', JSON.stringify({ driver: 'virtio-blk-pci', id }))?.id, id);
      assert.equal(storage('-device', `virtio-blk-pci,id=${id.replaceAll(',', ',,')}`)?.id, id);
    }),
  );
});

testRobustness('parseQemuDevices', (text) => parseQemuDevices(parseQemuOptions(parseCmdline(text)).options), [
  CAPTURED,
  ['qemu', ...LIBVIRT].map((argument) => `${argument}\0`).join(''),
]);
testRobustness('parseQemuDevices, of a device,', (text) => parse('-device', text), [
  '{"driver":"virtio-blk-pci","iothread-vq-mapping":[{"iothread":"a","vqs":[0,2]}],"drive":"d"}',
  'virtio-blk-pci,num-queues=4,id=vda',
]);

test('thousands of drives without an id cost little', async () => {
  const many = Array.from({ length: 8000 }, () => ['-drive', '/x,if=none']).flat();
  assert.ok((await cpuMs(() => parse(...many))) < 1000);
});

test("a drive without an id gets QEMU's name: interface and unit", () => {
  const disks = (...options: string[]) =>
    parse(...options).storage.map(({ id, drives }) => [id, drives[0]?.direct]);
  // QEMU 7.2: virtio3 and virtio0.
  const drives = ['-drive', 'file=/a,if=virtio,index=3,cache=none', '-drive', 'file=/b,if=virtio'];
  assert.deepEqual(disks(...drives), [
    ['virtio3', true],
    ['virtio0', false],
  ]);
  assert.deepEqual(
    disks('-drive', 'file=/a,if=none,cache=none', '-device', 'virtio-blk-pci,drive=none0,id=a'),
    [['a', true]],
  );
});

test('a drive without if= is a virtio disk on machines where QEMU makes it one', () => {
  const count = (...options: string[]) => parse(...options, '-drive', 'file=/a').storage.length;
  assert.equal(count('-M', 'virt'), 1);
  assert.equal(count('-M', 'virt-9.2,accel=kvm'), 1);
  for (const machine of ['s390-ccw-virtio-9.2', 's390-ccw-virtio-jammy', 'virt-rhel9.4.0'])
    assert.equal(count('-M', machine), 1, machine);
  assert.equal(count('-M', 'q35'), 0);
  assert.equal(count(), 0);
});

test('controllers without an id have the buses scsi.0, scsi.1, counted with those of other kinds', () => {
  const { storage: controllers } = parse(
    ...['-device', 'lsi', '-device', 'virtio-scsi-pci,id=z', '-device', 'virtio-scsi-pci'],
    ...['-device', 'scsi-hd,drive=a,bus=scsi.1', '-device', 'scsi-hd,drive=b,bus=scsi.0'],
  );
  assert.deepEqual(
    controllers.map(({ id, drives }) => [id, drives.map(({ node }) => node)]),
    [
      ['z', []],
      ['', ['a']],
    ],
  );
});

test('if bridges decide the controller of a disk, the devices are unknown', () => {
  const controllers = ['-device', 'virtio-scsi-pci,bus=pcie.1', '-device', 'virtio-scsi-pci,bus=pcie.2'];
  const devices = (...options: string[]) => parseQemuDevices(parseQemuOptions(['q', ...options]).options);
  assert.equal(devices(...controllers, '-device', 'scsi-hd,drive=a'), undefined);
  assert.equal(devices(...controllers, '-device', 'scsi-hd,drive=a,bus=scsi.0')?.storage.length, 2);
  assert.equal(devices(...controllers.slice(2), '-device', 'scsi-hd,drive=a')?.storage[0]?.drives.length, 1);
});

test('a disk served outside QEMU counts; a CD-ROM does not', () => {
  assert.deepEqual(storage('-device', 'vhost-user-blk-pci,chardev=c,num-queues=2,id=u'), {
    ...UNSAID,
    id: 'u',
    kind: 'vhost',
    queues: 2,
  });
  const cd = ['-drive', '/x,if=none,id=cd', '-device', 'scsi-cd,drive=cd'];
  assert.deepEqual(storage('-device', 'virtio-scsi-pci', ...cd)?.drives, []);
});

test('scsi-disk of QEMU before 6.0 is a disk, or a CD-ROM by its drive', () => {
  const options = [
    ...['-device', 'virtio-scsi-pci,id=s0', '-drive', 'file=/a,if=none,id=a,cache=none'],
    ...['-drive', 'file=/b,if=none,id=b,media=cdrom'],
    ...['-device', 'scsi-disk,bus=s0.0,drive=a', '-device', 'scsi-disk,bus=s0.0,drive=b'],
  ];
  assert.deepEqual(storage(...options)?.drives, [{ node: 'a', direct: true, aio: undefined }]);
});
