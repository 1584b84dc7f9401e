import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { guestWithMonitor, qmpCommand } from '../../testing/guest-with-monitor.ts';
import { type Samples, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { canRunGuests, portIoDisk, runGuest } from '../../testing/qemu.ts';
import { hasTool } from '../../testing/tools.ts';

/** `io: vhost_user`, for what is hidden. */
function hidden(samples: Samples, vm: string): string[] {
  return series(samples, 'kvm_vm_visibility', { vm })
    .filter((key) => samples.get(key) === 0)
    .map((key) => `${/what="(\w+)"/.exec(key)?.[1]}: ${/reason="(\w*)"/.exec(key)?.[1]}`);
}

function doctor(vm: string): string {
  const main = `${ROOT}dist/exporter/main.js`;
  return spawnSync(process.execPath, [main, 'doctor', '--vm', vm, '--state.dir=/nonexistent'], {
    encoding: 'utf8',
  }).stdout;
}

/** Serves a disk by vhost-user until the test ends. @returns its socket */
async function vhostUserDisk(context: TestContext): Promise<string> {
  const folder = temporaryFolder(context);
  const [image, socket] = [join(folder, 'disk.img'), join(folder, 'disk.sock')];
  writeFileSync(image, Buffer.alloc(1024 * 1024));
  const server = spawn(
    'qemu-storage-daemon',
    [
      ['--blockdev', `driver=file,node-name=f0,filename=${image}`],
      [
        '--export',
        `type=vhost-user-blk,id=e0,addr.type=unix,addr.path=${socket},node-name=f0,num-queues=2,writable=on`,
      ],
    ].flat(),
    { stdio: 'ignore' },
  );
  context.after(() => server.kill());
  while (!existsSync(socket)) {
    assert.equal(server.exitCode, null, 'qemu-storage-daemon ended');
    await sleep(20);
  }
  return socket;
}

test('a real VM with a vhost-user disk: hidden in the metric, in its verdicts, in doctor and in the inventory', async (context) => {
  if (!canRunGuests(context)) return;
  if (!hasTool(context, 'qemu-storage-daemon', 'qemu-system-common')) return;
  const socket = await vhostUserDisk(context);
  runGuest(context, {
    name: 'kt-vhost-user',
    extra: [
      ['-object', 'memory-backend-memfd,id=mem,size=16M,share=on', '-numa', 'node,memdev=mem'],
      ['-chardev', `socket,id=c0,path=${socket}`, '-device', 'vhost-user-blk-pci,chardev=c0,num-queues=2'],
    ].flat(),
  });
  const daemon = await startDaemon(context);
  const samples = await daemon.samples();
  assert.deepEqual(hidden(samples, 'kt-vhost-user'), ['io: vhost_user', 'block: vhost_user']);
  assert.equal(series(samples, 'kvm_vm_stage_info', { vm: 'kt-vhost-user' }).length, 0);
  const text = doctor('kt-vhost-user');
  assert.match(
    text,
    /^hidden {4}requests of its disks and their duration, .*by vhost-user: count the I\/Os there/m,
  );
  assert.match(text, /^visible {3}kicks, the queue of each kick, interrupts, reasons of exits/m);
  assert.match(text, /polling: unknown: another process serves its disk by vhost-user/);
  const inventory = JSON.parse(await (await fetch(`${daemon.url}/api/v1/inventory`)).text()) as {
    vms: { vm: string; visible: Record<string, boolean> }[];
  };
  const { visible } = inventory.vms.find(({ vm }) => vm === 'kt-vhost-user') ?? {};
  assert.deepEqual([visible?.['io'], visible?.['kicks']], [false, true]);
});

test('a vhost-user disk that is plugged into a running guest is found by the monitor', async (context) => {
  if (!canRunGuests(context)) return;
  if (!hasTool(context, 'qemu-storage-daemon', 'qemu-system-common')) return;
  const socket = await vhostUserDisk(context);
  const name = 'kt-hot-plug';
  const memory = ['-object', 'memory-backend-memfd,id=mem,size=16M,share=on', '-numa', 'node,memdev=mem'];
  const extra = [...memory, '-chardev', `socket,id=c0,path=${socket}`];
  const { monitor } = guestWithMonitor(context, { name, extra });
  // Its command line has no such disk.
  const device = { driver: 'vhost-user-blk-pci', id: 'hot0', chardev: 'c0', 'num-queues': 2 };
  assert.deepEqual(await qmpCommand(monitor, { execute: 'device_add', arguments: device }), {});
  const daemon = await startDaemon(context);
  await until(async () => hidden(await daemon.samples(), name).includes('io: vhost_user'));
});

test('a real microvm has virtio-mmio, and a guest with cpu-pm halts without an exit', async (context) => {
  if (!canRunGuests(context)) return;
  const folder = temporaryFolder(context);
  const pidFile = join(folder, 'pid');
  writeFileSync(join(folder, 'disk.img'), portIoDisk());
  execFileSync(
    'qemu-system-x86_64',
    [
      ['-name', 'kt-microvm,debug-threads=on', '-M', 'microvm,accel=kvm', '-m', '32', '-nodefaults'],
      ['-display', 'none', '-daemonize', '-pidfile', pidFile],
      ['-drive', `file=${folder}/disk.img,if=none,id=d0,format=raw`],
      ['-device', 'virtio-blk-device,drive=d0,num-queues=2'],
    ].flat(),
    { stdio: ['ignore', 'ignore', 'pipe'], timeout: 20_000 },
  );
  const pid = Number(readFileSync(pidFile, 'utf8'));
  context.after(() => process.kill(pid));
  runGuest(context, { name: 'kt-cpu-pm', extra: ['-overcommit', 'cpu-pm=on'] });
  runGuest(context, { name: 'kt-ordinary' });
  const samples = await (await startDaemon(context)).samples();
  assert.deepEqual(hidden(samples, 'kt-microvm'), ['queues: virtio_mmio']);
  assert.deepEqual(hidden(samples, 'kt-cpu-pm'), ['idle: cpu_pm']);
  assert.deepEqual(hidden(samples, 'kt-ordinary'), []);
  assert.ok(series(samples, 'kvm_vm_visibility', { vm: 'kt-ordinary' }).length >= 6);
});

/** mov ecx, MSR_KVM_POLL_CONTROL; xor eax, eax; xor edx, edx; wrmsr; again: out 0x80, al; jmp again */
const POLLS_ITSELF = [
  [0x66, 0xb9, 0x05, 0x4d, 0x56, 0x4b, 0x66, 0x31, 0xc0, 0x66, 0x31, 0xd2, 0x0f, 0x30],
  [0xe6, 0x80, 0xeb, 0xfc],
].flat();

test('a real guest that turns the halt polling of KVM off, as cpuidle-haltpoll does', async (context) => {
  if (!canRunGuests(context)) return;
  const boot = portIoDisk();
  boot.set(POLLS_ITSELF);
  runGuest(context, { name: 'kt-haltpoll', vcpus: 1, boot });
  const daemon = await startDaemon(context);
  const isByBpf = series(await daemon.samples(), 'kvm_vm_source_info', { vm: 'kt-haltpoll', source: 'bpf' });
  if (isByBpf.length === 0) return context.skip('only BPF reads what the guest sets');
  // The firmware runs before the boot sector.
  while (hidden(await daemon.samples(), 'kt-haltpoll').length === 0) await sleep(200);
  assert.deepEqual(hidden(await daemon.samples(), 'kt-haltpoll'), ['idle: guest_haltpoll']);
});
