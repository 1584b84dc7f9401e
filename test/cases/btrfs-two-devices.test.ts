import assert from 'node:assert/strict';
import { test } from 'node:test';
import { caseText, once } from '../../testing/cases.ts';
import { hostTree } from '../../testing/host-tree.ts';

const CASE = 'btrfs-two-devices';

test('a VM on a btrfs of two disks shows both disks', async (context) => {
  const tree = hostTree(context);
  for (const [i, disk] of ['nvme0n1', 'nvme1n1'].entries()) {
    const path = `devices/pci${i}/nvme/nvme${i}/${disk}`;
    tree.disk(disk, `259:${4 * i}`, path);
    tree.write(`sys/${path}/stat`, '0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n');
    tree.write(`sys/${path}/inflight`, '0 0\n');
    tree.link(`sys/class/block/${disk}p3`, `../../${path}/${disk}p3`);
  }
  for (const line of caseText(CASE, 'sys/fs/btrfs/listing.txt').trim().split('\n'))
    tree.link(`sys/fs/btrfs/${line}`, '../../../../block/x');
  tree.process({
    pid: 4101,
    comm: 'kvm',
    executable: '/usr/bin/qemu-system-x86_64',
    argv: ['/usr/bin/kvm', '-name', 'pve,debug-threads=on', '-accel', 'kvm'],
    fds: { 10: 'anon_inode:kvm-vm', 20: caseText(CASE, 'descriptor-20-is.txt').trim() },
  });
  tree.write('proc/4101/fdinfo/20', caseText(CASE, 'proc/4101/fdinfo/20'));
  for (const pid of [1, 4101]) tree.write(`proc/${pid}/mountinfo`, caseText(CASE, 'proc/1/mountinfo'));
  const text = await once(tree.folder);
  const shown = text.split('\n').filter((line) => line.startsWith('kvm_vm_block_device_info{'));
  assert.deepEqual(shown.sort(), [
    'kvm_vm_block_device_info{vm="pve",device="nvme0n1",depth="0"} 1',
    'kvm_vm_block_device_info{vm="pve",device="nvme1n1",depth="0"} 1',
  ]);
});
