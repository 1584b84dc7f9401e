import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type Identity, identify, isManagedBy } from '../../../exporter/inventory/identity.ts';
import type { Candidate } from '../../../exporter/inventory/processes.ts';
import type { LibvirtDomain } from '../../../probes/libvirt-domstatus.ts';
import type { TaskStat } from '../../../probes/proc-task-stat.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';

const UUID = '4c7a2c1d-0000-4111-8222-aabbccddeeff';
const QEMU = '/usr/bin/qemu-system-x86_64';

interface Case {
  readonly executable?: string;
  readonly comm?: string;
  readonly hasKvm?: boolean;
  prepare?(tree: HostTree): void;
}

async function identityOf(
  context: TestContext,
  argv: readonly string[],
  { executable = QEMU, comm = 'qemu-system-x86', hasKvm = true, prepare = () => undefined }: Case = {},
): Promise<Identity | undefined> {
  const tree = hostTree(context);
  tree.process({ pid: 10, comm, argv, executable });
  prepare(tree);
  const stat = { comm, state: 'S', startTime: 1000 } as TaskStat;
  const candidate: Candidate = { pid: 10, stat, kvmFd: hasKvm ? 9 : undefined };
  return identify(tree.host, candidate);
}

const qemu = (context: TestContext, ...options: string[]): Promise<Identity | undefined> =>
  identityOf(context, ['qemu-system-x86_64', ...options]);

test('QEMU has the name, UUID, machine, IOThreads and monitors of its command line', async (context) => {
  const identity = await qemu(
    context,
    ...['-name', 'guest=web', '-uuid', UUID.toUpperCase(), '-machine', 'q35,accel=kvm'],
    ...['-object', 'iothread,id=io0', '-object', 'iothread,id=io1', '-qmp', 'unix:/run/q.sock,server=on'],
  );
  const { vmm, accel, name, uuid, machine, iothreadIds, monitors, diskIds, missing } = identity ?? {};
  assert.deepEqual(
    { vmm, accel, name, uuid, machine, iothreadIds, monitors, diskIds, missing },
    {
      vmm: 'qemu',
      accel: 'kvm',
      name: 'web',
      uuid: UUID,
      machine: 'q35',
      diskIds: [],
      missing: [],
      iothreadIds: ['io0', 'io1'],
      monitors: ['/run/q.sock'],
    },
  );
  assert.notEqual(identity?.devices, undefined);
});

test('a VM of KubeVirt is called by its namespace and name', async (context) => {
  const argv = [
    '/usr/libexec/qemu-kvm',
    ...['-name', 'guest=default_testvm,debug-threads=on', '-S'],
    ...['-machine', 'pc-q35-rhel9.4.0,usb=off,memory-backend=pc.ram', '-accel', 'kvm'],
    ...['-object', '{"qom-type":"iothread","id":"iothread1"}', '-uuid', UUID],
    ...['-smbios', `type=1,manufacturer=KubeVirt,product=None,uuid=${UUID},family=KubeVirt`],
    // libvirt in the pod passes the monitor as a descriptor: no other process can use it.
    ...[
      '-chardev',
      'socket,id=charmonitor,fd=20,server=on,wait=off',
      '-mon',
      'chardev=charmonitor,mode=control',
    ],
  ];
  const identity = await identityOf(context, argv, {
    executable: '/usr/libexec/qemu-kvm',
    comm: 'qemu-kvm',
  });
  const { vmm, accel, name, uuid, machine, iothreadIds, monitors } = identity ?? {};
  assert.deepEqual(
    { vmm, accel, name, uuid, machine, iothreadIds, monitors },
    {
      vmm: 'qemu',
      accel: 'kvm',
      name: 'default_testvm',
      uuid: UUID,
      machine: 'pc-q35-rhel9.4.0',
      iothreadIds: ['iothread1'],
      monitors: [],
    },
  );
});

test('without a name a VM is called by its UUID, its configuration file, its monitor, its pid file, or its pid', async (context) => {
  const conf = (tree: HostTree): void => tree.write('proc/10/root/run/vm.conf', '');
  const monitor = ['-qmp', 'unix:/run/q.sock,server=on'];
  const argv = ['qemu-system-x86_64', '-readconfig', '/run/vm.conf', ...monitor];
  assert.equal((await qemu(context, '-uuid', UUID, ...monitor))?.name, UUID);
  assert.equal((await identityOf(context, argv, { prepare: conf }))?.name, '/run/vm.conf');
  assert.equal((await qemu(context, ...monitor))?.name, '/run/q.sock');
  const human = ['-monitor', 'unix:/run/a,,b.mon,server,nowait'];
  assert.equal((await qemu(context, '-pidfile', '/run/web.pid', ...human))?.name, '/run/a,b.mon');
  assert.equal((await qemu(context, '-pidfile', '/run/web.pid', '-monitor', 'stdio'))?.name, '/run/web.pid');
  assert.equal((await qemu(context, '-avd', 'Pixel_5', ...monitor))?.name, 'Pixel_5');
  assert.equal((await qemu(context, '-m', '64'))?.name, '10');
  assert.equal((await qemu(context, '-name', ' ', '-uuid', UUID))?.name, UUID, 'an empty name is none');
});

test('a relative path that names a VM is resolved where the process runs, unless it has left', async (context) => {
  const firecracker = ['firecracker', '--no-api', '--config-file', 'vm_config.json'];
  const program = { executable: '/usr/bin/firecracker', comm: 'firecracker' };
  const inside = (tree: HostTree): void => tree.link('proc/10/cwd', '/srv/vm1');
  const of = async (argv: string[], more: Case = {}) => (await identityOf(context, argv, more))?.name;
  assert.equal(await of(firecracker, { ...program, prepare: inside }), '/srv/vm1/vm_config.json');
  assert.equal(await of(firecracker, program), 'vm_config.json', 'the directory is not known');
  const qemuArgv = ['qemu-system-x86_64', '-qmp', 'unix:./qmp.sock,server=on'];
  assert.equal(await of(qemuArgv, { prepare: inside }), '/srv/vm1/qmp.sock');
  assert.equal(await of([...qemuArgv, '-daemonize'], { prepare: inside }), './qmp.sock');
});

test('the program shows an architecture without visible kicks, if the VM runs on it', async (context) => {
  const identity = await identityOf(context, ['qemu-system-riscv64', '-M', 'virt', '-name', 'a'], {
    executable: '/usr/bin/qemu-system-riscv64',
  });
  assert.deepEqual(identity?.ioPath?.signs, new Set(['architecture']));
});

test('the one VM that muvm allows a user is called by that user', async (context) => {
  const argv = ['/usr/bin/muvm', '-i', '--', 'steam'];
  const program = { executable: '/usr/bin/muvm', comm: 'libkrun VM' };
  assert.equal((await identityOf(context, argv, program))?.name, `muvm-${process.getuid?.()}`);
  assert.equal((await identityOf(context, argv, { ...program, executable: '/usr/bin/krun' }))?.name, '10');
});

test('an instance of LXD or Incus has the name of its project in its name', async (context) => {
  const argv = (folder: string): string[] => [
    'qemu-system-x86_64',
    '-name',
    'v1',
    '-readconfig',
    `/var/log/lxd/${folder}/qemu.conf`,
  ];
  const nameIn = async (folder: string): Promise<string | undefined> =>
    (await identityOf(context, argv(folder)))?.name;
  assert.equal(await nameIn('blue_v1'), 'blue_v1');
  assert.equal(await nameIn('v1'), 'v1');
  assert.equal(await nameIn('blue_v2'), 'v1');
  assert.equal(await nameIn('bluev1'), 'v1');
});

test('a UUID that is malformed, or is all zeros, is none', async (context) => {
  for (const uuid of ['00000000-0000-0000-0000-000000000000', 'web', `${UUID}0`, `x${UUID}`, UUID.slice(1)])
    assert.equal((await qemu(context, '-name', 'a', '-uuid', uuid))?.uuid, '', uuid);
});

test('an incomplete configuration leaves the devices unknown, with the reason', async (context) => {
  const identity = await qemu(context, '-readconfig', '/gone.conf', '-name', 'a');
  assert.equal(identity?.devices, undefined);
  assert.deepEqual(identity?.missing, ['-readconfig /gone.conf: ENOENT']);
});

test('a QEMU that runs no guest is no VM', async (context) => {
  for (const options of [
    ['-machine', 'none,accel=kvm'],
    ['-M', 'x-remote'],
    ['-version'],
    ['-device', 'help'],
    ['-device', 'virtio-blk-pci,help'],
  ])
    assert.equal(await qemu(context, ...options), undefined, options.join(' '));
});

test('QEMU without KVM is a VM only under TCG, with arguments, and as a program of root', async (context) => {
  if (process.getuid?.() !== 0) return context.skip('needs root, whose program the emulator must be');
  const tcg = (argv: readonly string[], mode?: string): Promise<Identity | undefined> => {
    const tree = hostTree(context);
    tree.write('bin/qemu-system-x86_64', '');
    const executable = `${tree.folder}/bin/qemu-system-x86_64`;
    return identityOf(context, argv, {
      executable,
      hasKvm: false,
      prepare: () => chmodSync(executable, mode ?? '755'),
    });
  };
  const argv = ['qemu-system-x86_64', '-name', 'web'];
  assert.equal((await tcg(argv))?.accel, 'tcg');
  assert.equal((await tcg([...argv, '-accel', 'tcg']))?.name, 'web');
  assert.equal(await tcg([...argv, '-accel', 'kvm']), undefined, 'it has not opened /dev/kvm yet');
  assert.equal(
    await tcg([...argv, '-xen-domid', '5', '-machine', 'xenfv,suppress-vmdesc=on']),
    undefined,
    'Xen runs the CPUs',
  );
  assert.equal(await tcg(['qemu-system-x86_64']), undefined, 'without arguments');
  assert.equal(await tcg(argv, '775'), undefined, 'a group may replace the program');
  assert.equal(await tcg(argv, '757'), undefined, 'anybody may replace the program');
});

test('QEMU that fell back from KVM to TCG is a VM once it is past its start', async (context) => {
  if (process.getuid?.() !== 0) return context.skip('needs root, whose program the emulator must be');
  const fallback = (seconds: number, accel: string, program = 'qemu-system-x86_64', thread = 'CPU 0/KVM') => {
    const tree = hostTree(context);
    tree.write(`bin/${program}`, '');
    // It started ten seconds after the host.
    return identityOf(context, [program, '-name', 'web', ...accel.split(' ')], {
      executable: `${tree.folder}/bin/${program}`,
      hasKvm: false,
      prepare: ({ write, process }) => {
        process({ pid: 10, comm: 'qemu', argv: [], threads: [{ tid: 11, comm: thread }] });
        write('proc/10/cmdline', [program, '-name', 'web', ...accel.split(' '), ''].join('\0'));
        write('proc/uptime', `${10 + seconds}.00 1.00\n`);
      },
    });
  };
  for (const accel of ['-machine q35,accel=kvm:tcg', '-accel kvm -accel tcg,thread=multi']) {
    assert.equal(await fallback(2, accel), undefined, 'it has not opened /dev/kvm yet');
    assert.equal((await fallback(11, accel))?.accel, 'tcg', accel);
    assert.equal((await fallback(2, accel, undefined, 'CPU 0/TCG'))?.accel, 'tcg', 'by its threads');
  }
  assert.equal(await fallback(1000, '-accel kvm'), undefined, 'without the other choice it ends instead');
  assert.equal(await fallback(2, '-m 64', 'qemu-kvm'), undefined, 'prefers KVM');
  assert.equal((await fallback(11, '-m 64', 'qemu-kvm'))?.accel, 'tcg');
  assert.equal((await fallback(2, '-machine accel=tcg:kvm'))?.accel, 'tcg');
});

test('without a descriptor of KVM only the program counts, not the names that the process chose', async (context) => {
  const argv = ['qemu-system-x86_64', '-name', 'web'];
  const program = (executable: string): Promise<Identity | undefined> =>
    identityOf(context, argv, { executable, hasKvm: false });
  assert.equal(await program('/usr/bin/python3'), undefined);
  assert.equal(await program('/usr/bin/firecracker'), undefined);
});

test('a VM of another VMM has the name from its options, or its pid', async (context) => {
  const identity = await identityOf(
    context,
    ['cloud-hypervisor', '--platform', `uuid=${UUID}`, '--disk', 'id=root'],
    {
      executable: '/usr/bin/cloud-hypervisor',
      comm: 'cloud-hyperviso',
    },
  );
  const { vmm, accel, name, uuid, diskIds, devices, machine } = identity ?? {};
  assert.deepEqual(
    { vmm, accel, name, uuid, diskIds, devices, machine },
    {
      vmm: 'cloud-hypervisor',
      accel: 'kvm',
      name: UUID,
      uuid: UUID,
      diskIds: ['root'],
      devices: undefined,
      machine: '',
    },
  );
  const unknown = await identityOf(context, ['sandbox'], { executable: '/bin/sandbox', comm: 'sandbox' });
  assert.deepEqual([unknown?.vmm, unknown?.name, unknown?.uuid, unknown?.missing], ['other', '10', '', []]);
  assert.deepEqual([unknown?.iothreadIds, unknown?.diskIds, unknown?.monitors], [[], [], []]);
  assert.deepEqual([unknown?.otherFiles.files.size, unknown?.otherFiles.folders], [0, []]);
});

test('libvirt manages a process only if both the pid and the UUID are those of its state', async (context) => {
  const identity = await qemu(context, '-name', 'web', '-uuid', UUID);
  assert.ok(identity);
  const domain = (pid: number, uuid: string): LibvirtDomain => ({ pid, uuid }) as LibvirtDomain;
  assert.equal(isManagedBy(domain(10, UUID), 10, identity), true);
  assert.equal(isManagedBy(domain(11, UUID), 10, identity), false);
  assert.equal(isManagedBy(domain(10, UUID.replace('4', '5')), 10, identity), false);
});
