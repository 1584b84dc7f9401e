import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { otherFilesOf } from '../../probes/qemu-files.ts';
import { parseQemuOptions } from '../../probes/qemu-options.ts';

function files(...argv: string[]): string[] {
  return [...otherFilesOf(parseQemuOptions(['qemu', ...argv]).options).files].sort();
}

test('firmware is no disk in each of its spellings', () => {
  assert.deepEqual(files('-bios', '/fw/bios.bin', '-kernel', '/vmlinuz', '-initrd', '/initrd'), [
    '/fw/bios.bin',
    '/initrd',
    '/vmlinuz',
  ]);
  assert.deepEqual(files('-pflash', '/fw/a.fd', '-drive', 'if=pflash,file=/fw/b.fd,unit=1'), [
    '/fw/a.fd',
    '/fw/b.fd',
  ]);
  const storage =
    '{"driver":"file","filename":"/fw/code.fd","node-name":"libvirt-pflash0-storage","read-only":true}';
  const format = '{"node-name":"libvirt-pflash0-format","driver":"raw","file":"libvirt-pflash0-storage"}';
  const machine = 'pc-q35-9.2,pflash0=libvirt-pflash0-format,pflash1=vars';
  const vars = 'driver=raw,node-name=vars,file.driver=file,file.filename=/var/nvram/web.fd';
  assert.deepEqual(files('-blockdev', storage, '-blockdev', format, '-blockdev', vars, '-machine', machine), [
    '/fw/code.fd',
    '/var/nvram/web.fd',
  ]);
});

test('CD-ROMs and floppies are no disks, and disks are', () => {
  assert.deepEqual(files('-cdrom', '/a.iso', '-drive', 'file=/b.iso,media=cdrom'), ['/a.iso', '/b.iso']);
  const drive = (id: string, file: string) => ['-drive', `file=${file},if=none,id=${id}`];
  assert.deepEqual(
    files(
      ...drive('cd', '/c.iso'),
      ...drive('disk', '/d.raw'),
      ...drive('fd', '/f.img'),
      ...[
        '-device',
        'scsi-cd,drive=cd',
        '-device',
        'virtio-blk-pci,drive=disk',
        '-device',
        'floppy,drive=fd',
      ],
    ),
    ['/c.iso', '/f.img'],
  );
  assert.deepEqual(files('-drive', 'file=/d.raw,if=virtio', '-drive', '/e.raw', '-hda', '/h.raw'), []);
});

test('floppies, the pid file and the folder of the memory are no disks', () => {
  assert.deepEqual(
    files('-fda', '/a,b.img', '-fdb', '/c.img', '-pidfile', '/run/web.pid', '-hda', '/d.raw'),
    ['/a,b.img', '/c.img', '/run/web.pid'],
  );
  const { folders, disks } = otherFilesOf(
    parseQemuOptions(['qemu', '-mem-path', '/srv/ram', '-hda', '/d.raw']).options,
  );
  assert.deepEqual([folders, [...disks]], [['/srv/ram'], ['/d.raw']]);
});

test('a file that is also used as a disk is a disk', () => {
  assert.deepEqual(files('-cdrom', '/both.iso', '-drive', 'file=/both.iso,if=virtio,readonly=on'), []);
});

test('logs, shared folders and memory files are no disks; persistent memory is', () => {
  const of = (...argv: string[]) => otherFilesOf(parseQemuOptions(['qemu', ...argv]).options);
  assert.deepEqual([...of('-chardev', 'file,id=c,path=/log').files], ['/log']);
  const ram = ['-object', 'memory-backend-file,id=m,mem-path=/var/ram,size=1G'];
  assert.deepEqual(
    of('-fsdev', 'local,id=f,path=/srv', '-virtfs', 'local,path=/home,mount_tag=h', ...ram).folders,
    ['/srv', '/home', '/var/ram'],
  );
  for (const disk of ['nvdimm', 'virtio-pmem-pci'])
    assert.deepEqual(of(...ram, '-device', `${disk},memdev=m`).folders, [], disk);
  // A DIMM of libvirt with <memoryBacking><source type='file'/>.
  for (const memory of ['pc-dimm', 'virtio-mem-pci', 'ivshmem-plain'])
    assert.deepEqual(of(...ram, '-device', `${memory},memdev=m,id=dimm0`).folders, ['/var/ram'], memory);
});

test('the nodes of a quorum are disks', () => {
  const node = (name: string) => ['-blockdev', `driver=file,node-name=${name},filename=/${name}`];
  const quorum = 'driver=quorum,node-name=q,vote-threshold=1,children.0=a,children.1=b';
  const { disks } = otherFilesOf(
    parseQemuOptions([
      'qemu',
      ...[...node('a'), ...node('b'), '-blockdev', quorum, '-device', 'virtio-blk-pci,drive=q'],
    ]).options,
  );
  assert.deepEqual([...disks], ['/a', '/b']);
});

test('nodes that refer to each other in many ways cost no more than their length', () => {
  const references = (name: string) => Array.from({ length: 200 }, (_, i) => `k${i}.file=${name}`).join(',');
  const argv = ['a', 'b'].flatMap((name, i) => [
    '-blockdev',
    `driver=raw,node-name=${name},${references(i === 0 ? 'b' : 'a')}`,
  ]);
  assert.deepEqual(files(...argv, '-device', 'scsi-cd,drive=a'), []);
});

test('any command line is parsed, also with circular nodes', () => {
  const loop = ['-blockdev', 'driver=raw,node-name=a,file=b', '-blockdev', 'driver=raw,node-name=b,file=a'];
  assert.deepEqual(files(...loop, '-machine', 'q35,pflash0=a'), []);
  const word = fc.constantFrom(
    '-drive',
    '-blockdev',
    '-machine',
    '-device',
    'file=x,if=pflash',
    'node-name=x,file=x',
    '',
  );
  fc.assert(fc.property(fc.array(fc.oneof(word, fc.string())), (argv) => void files(...argv)));
});
