import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { portIoDisk } from './qemu.ts';

const URI = 'qemu:///system';
const SOCKET = '/run/libvirt/libvirt-sock';

export interface LibvirtDaemon {
  readonly process: ChildProcess;
  virsh(...args: string[]): string;
  /** Starts a domain that does port I/O, with two pinned vCPUs and a pinned IOThread. */
  create(name: string): void;
}

/** Whether another libvirtd runs here. A test must not stop it. */
export function isLibvirtRunning(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(SOCKET);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Starts Debian's libvirtd. libvirtd and its domains stop when the test ends. */
export async function startLibvirt(context: Pick<TestContext, 'after'>): Promise<LibvirtDaemon> {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-libvirt-'));
  // libvirt's QEMU runs as another user and needs access to the images and to /dev/kvm, as udev rules would
  // give it.
  chmodSync(folder, 0o755);
  const kvmGroup = Number(execFileSync('getent', ['group', 'kvm'], { encoding: 'utf8' }).split(':')[2]);
  if ((statSync('/dev/kvm').mode & 0o006) === 0) {
    chownSync('/dev/kvm', 0, kvmGroup);
    chmodSync('/dev/kvm', 0o660);
  }
  const children = [spawn('virtlogd', [], { stdio: 'ignore' }), spawn('libvirtd', [], { stdio: 'ignore' })];
  const names: string[] = [];
  const virsh = (...args: string[]): string =>
    execFileSync('virsh', ['--quiet', '--connect', URI, ...args], { encoding: 'utf8', timeout: 20_000 });
  context.after(() => {
    const libvirtd = children[1];
    libvirtd?.kill('SIGCONT');
    for (const name of names) {
      try {
        virsh('destroy', name);
      } catch {
        // The test has destroyed it already.
      }
    }
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  for (let i = 0; !(await isLibvirtRunning()); i++) {
    if (i > 100) throw new Error('libvirtd does not answer');
    await sleep(100);
  }
  return {
    process: children[1] as ChildProcess,
    virsh,
    create(name) {
      writeFileSync(join(folder, `${name}-boot.img`), portIoDisk());
      writeFileSync(join(folder, `${name}.img`), Buffer.alloc(1024 * 1024));
      writeFileSync(join(folder, `${name}.xml`), domainXml(name, folder));
      virsh('create', join(folder, `${name}.xml`));
      names.push(name);
    },
  };
}

function domainXml(name: string, folder: string): string {
  return `<domain type='kvm'>
  <name>${name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu placement='static'>2</vcpu>
  <iothreads>1</iothreads>
  <cputune>
    <vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='1' cpuset='1'/><iothreadpin iothread='1' cpuset='1'/>
  </cputune>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='${folder}/${name}-boot.img'/><target dev='hda' bus='ide'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' iothread='1' queues='2'/><source file='${folder}/${name}.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <memballoon model='none'/>
  </devices>
</domain>
`;
}
