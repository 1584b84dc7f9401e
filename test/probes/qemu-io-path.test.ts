import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCmdline } from '../../probes/proc-pid-cmdline.ts';
import { parseQemuIoPath, type QemuIoPath } from '../../probes/qemu-io-path.ts';
import { parseQemuOptions } from '../../probes/qemu-options.ts';
import { captured } from '../../testing/captured.ts';

function parse(...options: string[]): QemuIoPath {
  return parseQemuIoPath(parseQemuOptions(['qemu-system-x86_64', ...options]).options);
}

function signs(...options: string[]): string[] {
  return [...parse(...options).signs].sort();
}

test('a captured command line with virtio disks has no sign', () => {
  assert.deepEqual(parseQemuIoPath(parseQemuOptions(parseCmdline(captured('proc/244/cmdline'))).options), {
    signs: new Set(),
    nvmeAddresses: [],
    vdpaWithoutDisk: [],
    hasVfioDevice: false,
  });
});

test('disks that another process or the kernel serves', () => {
  // QEMU's commit that introduces vhost-user-blk, and docs/system/devices/vhost-user.rst.
  const spdk = [
    ['-object', 'memory-backend-memfd,id=mem,size=4G,share=on', '-numa', 'node,memdev=mem'],
    ['-chardev', 'socket,id=char0,path=/path/vhost.socket'],
  ].flat();
  assert.deepEqual(signs(...spdk, '-device', 'vhost-user-blk-pci,chardev=char0,num-queues=2,bootindex=2'), [
    'vhost_user',
  ]);
  assert.deepEqual(signs(...spdk, '-device', '{"driver":"vhost-user-scsi-pci","chardev":"char0"}'), [
    'vhost_user',
  ]);
  assert.deepEqual(signs('-device', 'vhost-scsi-pci,wwpn=naa.5001405324af0985'), ['vhost_scsi']);
  assert.deepEqual(signs('-device', 'vfio-user-pci,socket=/run/nvme.sock'), ['vfio_user']);
  assert.deepEqual(signs(...spdk, '-device', 'vhost-user-fs-pci,chardev=char0,tag=shared'), []);
});

test('vDPA: a generic device may be a disk, a netdev is none', () => {
  assert.deepEqual(signs('-device', 'vhost-vdpa-device-pci,vhostdev=/dev/vhost-vdpa-0'), ['vdpa_disk']);
  const net = parse('-netdev', 'vhost-vdpa,id=n0,vhostdev=/dev/vhost-vdpa-1');
  assert.deepEqual([[...net.signs], net.vdpaWithoutDisk], [['vdpa_net'], ['/dev/vhost-vdpa-1']]);
  const own = parse('-blockdev', 'virtio-blk-vhost-vdpa,node-name=d0,path=/dev/vhost-vdpa-2,cache.direct=on');
  assert.deepEqual([[...own.signs], own.vdpaWithoutDisk], [['user_space_driver'], ['/dev/vhost-vdpa-2']]);
});

test('the node of a CD-ROM or of firmware is no disk, one that is also a disk is', () => {
  const iso = [
    '-blockdev',
    '{"driver":"https","url":"https://host/x.iso","node-name":"cd0","read-only":true}',
  ];
  assert.deepEqual(signs(...iso, '-device', '{"driver":"ide-cd","drive":"cd0","id":"sata0-0-0"}'), []);
  assert.deepEqual(signs(...iso, '-device', 'scsi-cd,drive=cd0', '-device', 'virtio-blk-pci,drive=cd0'), [
    'user_space_driver',
  ]);
  // The variables of UEFI in Proxmox VE, below a format.
  const variables = [
    ...['-blockdev', 'driver=rbd,node-name=v,pool=p,image=vm-1-disk-0'],
    ...['-blockdev', 'driver=raw,node-name=efi,file=v', '-machine', 'pflash1=efi'],
  ];
  assert.deepEqual(signs(...variables), []);
  assert.deepEqual(signs(...variables, '-drive', 'file=rbd:p/d,if=virtio'), ['user_space_driver']);
  // Nothing uses it yet: it may become a disk.
  assert.deepEqual(signs(...iso), ['user_space_driver']);
  assert.deepEqual(signs('-blockdev', 'driver=pbs,node-name=drive-scsi0-pbs,repository=r,snapshot=s'), [
    'user_space_driver',
  ]);
});

test("QEMU's own block drivers, as node, as file and below a format", () => {
  for (const [options, address] of [
    [['-drive', 'file=nvme://0000:44:00.0/1,if=none,id=d0'], ['0000:44:00.0']],
    [['-blockdev', 'driver=nvme,node-name=d0,device=44:00.0,namespace=1'], ['0000:44:00.0']],
    [
      ['-blockdev', '{"driver":"raw","node-name":"d0","file":{"driver":"nvme","device":"0000:44:00.0"}}'],
      ['0000:44:00.0'],
    ],
    [['-drive', 'file=rbd:volumes/volume-1:id=cinder,format=raw,if=none'], []],
    [['-drive', 'file=nbd+unix:///disk?socket=/run/nbd.sock,format=raw'], []],
    [['-drive', 'file=json:{"driver":"iscsi",,"target":"t"},if=none'], []],
    [['-drive', 'file=json:{"file.driver":"ssh",,"file.host":"h"},if=virtio'], []],
    [['-drive', 'file=sheepdog:vm1,if=virtio'], []],
    [['-hda', 'nbd://store:10809/a,b'], []],
  ] as [string[], string[]][]) {
    const { signs: found, nvmeAddresses } = parse(...options);
    assert.deepEqual([[...found], nvmeAddresses], [['user_space_driver'], address], options.join(' '));
  }
  assert.deepEqual(signs('-blockdev', 'nvme-io_uring,node-name=d0,path=/dev/ng0n1,cache.direct=on'), [
    'io_uring_passthrough',
  ]);
  assert.deepEqual(signs('-drive', 'file=/var/lib/nbd:disk.qcow2,if=virtio'), []);
  assert.deepEqual(signs('-drive', 'file=https://mirror/debian.iso,media=cdrom'), []);
});

test('transports with one address for all queues', () => {
  assert.deepEqual(signs('-M', 'microvm', '-device', 'virtio-blk-device,drive=d0'), ['virtio_mmio']);
  assert.deepEqual(signs('-device', 'virtio-blk-pci,drive=d0,disable-modern=on'), ['legacy_virtio']);
  // A transitional device has both, and the guest's driver decides.
  assert.deepEqual(signs('-device', 'virtio-blk-pci-transitional,drive=d0'), []);
  assert.deepEqual(signs('-device', 'virtio-net-device,netdev=n0'), []);
});

test('on s390x, POWER, RISC-V and LoongArch kicks and reasons of exits are not visible', () => {
  const libvirt = [
    '-machine',
    's390-ccw-virtio-9.2,usb=off',
    '-device',
    '{"driver":"virtio-blk-ccw","drive":"d0"}',
  ];
  assert.deepEqual(signs(...libvirt), ['architecture']);
  assert.deepEqual(signs('-device', 'virtio-scsi-ccw,id=s0'), ['architecture']);
  assert.deepEqual(signs('-M', 's390-ccw-virtio-rhel9.6.0'), ['architecture']);
  assert.deepEqual(signs('-M', 'pseries-9.2', '-device', 'virtio-blk-pci,drive=d0'), ['architecture']);
  const of = (program: string) => [
    ...parseQemuIoPath(parseQemuOptions(['q', '-M', 'virt']).options, program).signs,
  ];
  assert.deepEqual(of('qemu-system-riscv64'), ['architecture']);
  assert.deepEqual(of('qemu-system-loongarch64'), ['architecture']);
  assert.deepEqual(of('qemu-system-s390x'), ['architecture']);
  for (const known of ['qemu-system-x86_64', 'qemu-system-aarch64', 'qemu-kvm', 'kvm'])
    assert.deepEqual(of(known), [], known);
});

test('a guest that halts without an exit, and devices that are passed through', () => {
  assert.deepEqual(signs('-overcommit', 'mem-lock=off,cpu-pm=on'), ['cpu_pm']);
  assert.deepEqual(signs('-overcommit', 'cpu-pm=off'), []);
  assert.equal(parse('-device', 'vfio-pci,host=01:00.0').hasVfioDevice, true);
  assert.equal(
    parse('-device', '{"driver":"vfio-pci","host":"0000:01:00.0","id":"hostdev0"}').hasVfioDevice,
    true,
  );
  assert.equal(parse('-device', 'vfio-pci-hostile,host=01:00.0').hasVfioDevice, false);
});

const word = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.constantFrom(
    '-device',
    '-blockdev',
    '-drive',
    '-netdev',
    '-overcommit',
    '-object',
    '{"driver":',
    'json:{',
  ),
  fc.constantFrom(
    'file=nvme://',
    'driver=nvme,device=',
    'virtio-blk-device',
    ',file.driver=rbd',
    '__proto__=1',
  ),
);

test('a hostile command line never throws, and never takes a sign away', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (words) => {
      const before = parse(...words);
      const after = parse('-device', 'vhost-user-blk-pci,chardev=c0', ...words);
      for (const sign of before.signs) assert.ok(after.signs.has(sign));
      assert.ok(after.signs.has('vhost_user'));
      for (const address of after.nvmeAddresses)
        assert.match(address, /^[\da-f]{4}:[\da-f]{2}:[\da-f]{2}\.[0-7]$/);
    }),
  );
});

test('a long command line costs no more than linear time', () => {
  const options = Array.from({ length: 16_000 }, (_, i) => [
    '-blockdev',
    `driver=nvme,node-name=d${i}`,
  ]).flat();
  const long = `driver=raw,${'file.'.repeat(20_000)}driver=rbd`;
  assert.deepEqual(signs(...options, '-blockdev', long), ['user_space_driver']);
});
