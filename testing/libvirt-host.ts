import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Daemon, startDaemon } from './daemon.ts';
import { temporaryFolder } from './folder.ts';
import { type HostTree, hostTree } from './host-tree.ts';

export interface LibvirtHost {
  readonly tree: HostTree;
  /** The folder of the virsh script, which is also its working directory. */
  readonly folder: string;
  start(flags?: readonly string[]): Promise<Daemon>;
}

/** A copied host whose QEMU VMs are managed by libvirt, with a shell script in place of virsh. */
export function libvirtHost(
  context: Pick<TestContext, 'after'>,
  domains: readonly string[],
  virsh: string,
): LibvirtHost {
  const tree = hostTree(context);
  for (const [i, name] of domains.entries()) addDomain(tree, name, 3000 + 10 * i);
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'virsh'), `#!/bin/sh\ncd "$(dirname "$0")"\n${virsh}\n`, { mode: 0o755 });
  return {
    tree,
    folder,
    start: (flags = []) =>
      startDaemon(context, [`--path.rootfs=${tree.folder}`, ...flags], {
        PATH: `${folder}:${process.env['PATH']}`,
      }),
  };
}

function addDomain(tree: HostTree, name: string, pid: number): void {
  const uuid = `6b3c1f52-9f0d-4f43-9d57-${String(pid).padStart(12, '0')}`;
  tree.process({
    pid,
    comm: 'qemu-kvm',
    argv: ['/usr/libexec/qemu-kvm', '-name', `guest=${name}`, '-machine', 'q35,accel=kvm', '-uuid', uuid],
    executable: '/usr/libexec/qemu-kvm',
    fds: { 9: 'anon_inode:kvm-vm', 10: 'anon_inode:kvm-vcpu:0' },
    threads: [{ tid: pid + 2, comm: 'CPU 0/KVM' }],
  });
  tree.write(
    `run/libvirt/qemu/${name}.xml`,
    `<domstatus state='running' reason='booted' pid='${pid}'>
  <vcpus><vcpu id='0' pid='${pid + 2}'/></vcpus>
  <domain type='kvm' id='1'><name>${name}</name><uuid>${uuid}</uuid>
    <vcpu placement='static'>1</vcpu><devices/></domain>
</domstatus>
`,
  );
}
