import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { guestWithMonitor, qmpCommand } from '../../testing/guest-with-monitor.ts';
import { type Samples, sample, series } from '../../testing/metrics.ts';
import { assertNoneFalls } from '../../testing/never-falls.ts';
import { until } from '../../testing/patience.ts';
import { canRunGuests, runGuest } from '../../testing/qemu.ts';
import { has } from '../../testing/tools.ts';
import { writingFirmware } from '../../testing/writing-guest.ts';

const SOCKETS = '/run/kvm-telemetry/qmp';
/** Guests in a loop take all CPUs of a small machine: QEMU's own answers then come late. */
const PATIENT = ['--bpf=off', '--qmp.timeout-seconds=10'];

function canRun(context: TestContext): boolean {
  return (
    canRunGuests(context) &&
    has(context, process.geteuid?.() === 0, 'only root can make the directory of the sockets')
  );
}

interface VcpuResult {
  readonly 'qom-path': string;
  readonly stats: readonly { readonly name: string; readonly value: unknown }[];
}

/** Exits of each vCPU by its index, as reported by QEMU. */
async function exits(path: string): Promise<number[]> {
  const cpus = (await qmpCommand(path, { execute: 'query-cpus-fast' })) as {
    'qom-path': string;
    'cpu-index': number;
  }[];
  const stats = (await qmpCommand(path, {
    execute: 'query-stats',
    arguments: { target: 'vcpu' },
  })) as VcpuResult[];
  const values: number[] = [];
  for (const cpu of cpus) {
    const found = stats.find((each) => each['qom-path'] === cpu['qom-path']);
    values[cpu['cpu-index']] = Number(found?.stats.find(({ name }) => name === 'exits')?.value);
  }
  return values;
}

for (const vcpus of [1, 2, 4]) {
  test(`exits of ${vcpus} vCPUs lie between QEMU's values before and after, and grow under port I/O`, async (context) => {
    if (!canRun(context)) return;
    const name = `kt-qmp-${vcpus}`;
    const vm = guestWithMonitor(context, { name, vcpus });
    const daemon = await startDaemon(context, PATIENT);
    let last = 0;
    for (let round = 0; round < 3; round++) {
      const before = await exits(vm.monitor);
      const samples = await daemon.samples();
      const after = await exits(vm.monitor);
      assert.equal(before.length, vcpus);
      let sum = 0;
      for (let vcpu = 0; vcpu < vcpus; vcpu++) {
        const seen = sample(samples, 'kvm_vcpu_exits_total', { vm: name, vcpu: String(vcpu) });
        assert.ok(
          (before[vcpu] ?? 0) <= seen && seen <= (after[vcpu] ?? 0),
          `vcpu${vcpu}: ${before} ${seen} ${after}`,
        );
        sum += seen;
      }
      assert.equal(sample(samples, 'kvm_vm_exits_total', { vm: name }), sum, "the VM's exits are the sum");
      assert.ok(sum > last, 'exits grow');
      last = sum;
      await sleep(300);
    }
    const emulated = sample(await daemon.samples(), 'kvm_vcpu_insn_emulation_total', { vm: name, vcpu: '0' });
    assert.ok(emulated > 10_000, `${emulated} instructions of a loop of OUT`);
  });
}

test('without debug-threads the monitor identifies the threads', async (context) => {
  if (!canRun(context)) return;
  guestWithMonitor(context, { name: 'kt-qmp-plain', debugThreads: false });
  const daemon = await startDaemon(context, ['--path.debugfs=/nonexistent', ...PATIENT]);
  const samples = await daemon.samples();
  for (const thread of ['vcpu0', 'vcpu1', 'iothread:io0', 'emulator']) {
    assert.equal(
      series(samples, 'kvm_thread_run_seconds_total', { vm: 'kt-qmp-plain', thread }).length,
      1,
      thread,
    );
  }
});

test('the first scrape of a new VM uses its monitor', async (context) => {
  if (!canRun(context)) return;
  const daemon = await startDaemon(context, ['--path.debugfs=/nonexistent', ...PATIENT]);
  guestWithMonitor(context, { name: 'kt-qmp-new', debugThreads: false });
  const samples = await daemon.samples();
  assert.equal(sample(samples, 'kvm_vm_source_info', { vm: 'kt-qmp-new', source: 'qmp' }), 1);
  assert.equal(
    series(samples, 'kvm_thread_run_seconds_total', { vm: 'kt-qmp-new', thread: 'vcpu1' }).length,
    1,
  );
});

test('disks, their queues and IOThreads come from the monitor', async (context) => {
  if (!canRun(context)) return;
  const extra = [
    '-object',
    'iothread,id=io1,poll-max-ns=0',
    '-blockdev',
    'driver=null-co,node-name=n0,read-zeroes=on',
  ];
  const device = 'virtio-blk-pci,drive=n0,iothread=io1,num-queues=2,id=vdb';
  guestWithMonitor(context, { name: 'kt-qmp-disk', extra: [...extra, '-device', device] });
  const samples = await (await startDaemon(context, PATIENT)).samples();
  const disk = { vm: 'kt-qmp-disk', disk: 'vdb' };
  assert.equal(sample(samples, 'kvm_vm_disk_info', { ...disk, iothread: 'io1' }), 1);
  assert.equal(sample(samples, 'kvm_vm_disk_queues', disk), 2);
  assert.equal(sample(samples, 'kvm_vm_disk_dedicated_iothread', disk), 1);
  assert.equal(sample(samples, 'kvm_vm_disk_reads_completed_total', disk), 0);
  assert.equal(sample(samples, 'kvm_iothread_poll_max_seconds', { vm: 'kt-qmp-disk', iothread: 'io1' }), 0);
  assert.equal(
    sample(samples, 'kvm_iothread_poll_max_seconds', { vm: 'kt-qmp-disk', iothread: 'io0' }),
    0.000032768,
  );
});

test('a balloon is that of the monitor, and a VM without one has none', async (context) => {
  if (!canRun(context)) return;
  const vm = guestWithMonitor(context, { name: 'kt-qmp-balloon', extra: ['-device', 'virtio-balloon-pci'] });
  guestWithMonitor(context, { name: 'kt-qmp-none' });
  const { actual } = (await qmpCommand(vm.monitor, { execute: 'query-balloon' })) as { actual: number };
  const samples = await (await startDaemon(context, ['--profile=full', ...PATIENT])).samples();
  const metric = 'kvm_vm_memory_balloon_actual_bytes';
  assert.equal(sample(samples, metric, { vm: 'kt-qmp-balloon' }), actual);
  assert.equal(sample(samples, 'kvm_vm_source_up', { vm: 'kt-qmp-none', source: 'qmp' }), 1);
  assert.deepEqual(series(samples, metric, { vm: 'kt-qmp-none' }), []);
});

test('latency histograms of QEMU are exported', async (context) => {
  if (!canRun(context)) return;
  const vm = guestWithMonitor(context, { name: 'kt-qmp-hist' });
  const set = {
    execute: 'block-latency-histogram-set',
    arguments: { id: '/machine/peripheral/vda/virtio-backend', boundaries: [10_000, 100_000, 1_000_000] },
  };
  await qmpCommand(vm.monitor, set);
  const samples = await (await startDaemon(context, PATIENT)).samples();
  const read = { vm: 'kt-qmp-hist', disk: 'vda', operation: 'read' };
  assert.equal(sample(samples, 'kvm_vm_disk_duration_seconds_bucket', { ...read, le: '0.00001' }), 0);
  assert.equal(sample(samples, 'kvm_vm_disk_duration_seconds_count', read), 0);
});

test('a monitor that another client holds is reported as busy, and its client is still served', async (context) => {
  if (!canRun(context)) return;
  guestWithMonitor(context, { name: 'kt-qmp-busy' });
  const manager = createConnection(`${SOCKETS}/kt-qmp-busy.sock`);
  context.after(() => manager.destroy());
  await new Promise((resolve) => manager.once('data', resolve));
  const daemon = await startDaemon(context, ['--qmp.timeout-seconds=0.3']);
  const samples = await daemon.samples();
  const vm = { vm: 'kt-qmp-busy' };
  assert.equal(sample(samples, 'kvm_vm_source_up', { ...vm, source: 'qmp' }), 0);
  assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'qmp' }), 0);
  assert.equal(series(samples, 'kvm_thread_run_seconds_total', { ...vm, thread: 'vcpu0' }).length, 1);
  const logged = daemon.log.filter((entry) => entry['collector'] === 'qmp');
  assert.match(String(logged[0]?.['reason']), /another client holds the monitor/);
  // The manager is still served.
  manager.write('{"execute":"qmp_capabilities"}\n');
  await new Promise((resolve) => manager.once('data', resolve));
});

test('doctor reports no problem with monitors that the daemon holds', async (context) => {
  if (!canRun(context)) return;
  guestWithMonitor(context, { name: 'kt-qmp-doctor' });
  const daemon = await startDaemon(context, PATIENT);
  assert.equal(sample(await daemon.samples(), 'kvm_vm_source_up', { vm: 'kt-qmp-doctor', source: 'qmp' }), 1);
  const { stdout } = spawnSync(process.execPath, [`${ROOT}dist/exporter/main.js`, 'doctor', '--json'], {
    encoding: 'utf8',
  });
  const { sources } = JSON.parse(stdout) as {
    sources: { source: string; usable: boolean; findings: { why: string }[] }[];
  };
  const qmp = sources.find(({ source }) => source === 'qmp');
  assert.equal(qmp?.usable, true);
  assert.match(qmp?.findings[0]?.why ?? '', /another client holds the monitor/);
});

test('a socket of another process is not used for the VM', async (context) => {
  if (!canRun(context)) return;
  const folder = `${SOCKETS}-test`;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(`${folder}/note.sock`, 'no socket');
  runGuest(context, { name: 'kt-qmp-victim' });
  const { createServer } = await import('node:net');
  let clients = 0;
  const server = createServer(() => {
    clients++;
  });
  await new Promise<void>((resolve) => server.listen(`${folder}/victim.sock`, resolve));
  context.after(() => server.close());
  const daemon = await startDaemon(context, [`--qmp.sockets=${folder}/*.sock`, ...PATIENT]);
  const samples = await daemon.samples();
  assert.equal(series(samples, 'kvm_vm_source_up', { vm: 'kt-qmp-victim', source: 'qmp' }).length, 0);
  assert.equal(clients, 0, 'no client has connected');
});

test('a VM that exits during a scrape affects no other VM, and its connection is closed', async (context) => {
  if (!canRun(context)) return;
  const dying = guestWithMonitor(context, { name: 'kt-qmp-dying' });
  guestWithMonitor(context, { name: 'kt-qmp-living' });
  const daemon = await startDaemon(context, PATIENT);
  await daemon.samples();
  const pending = daemon.metrics();
  dying.stop();
  await pending;
  const samples = await daemon.samples();
  assert.equal(series(samples, 'kvm_vm_info', { vm: 'kt-qmp-dying' }).length, 0);
  assert.ok(sample(samples, 'kvm_vcpu_exits_total', { vm: 'kt-qmp-living', vcpu: '0' }) > 0);
});

/** @returns the events of a VM's migrations: `migration_ended incoming completed in ...` */
async function migrationEvents(daemon: Daemon): Promise<string[]> {
  const { events } = (await (await daemon.get('/api/v1/events?limit=100')).json()) as {
    events: { kind: string; what: string; evidence: string }[];
  };
  return events
    .filter(({ kind }) => kind.startsWith('migration_'))
    .map(({ kind, what, evidence }) => `${kind} ${what} ${evidence}`);
}

test('a live migration between two QEMUs: progress, events, monotonic counters, and one counted VM', async (context) => {
  if (!canRun(context)) return;
  const name = 'kt-qmp-migrated';
  const firmware = writingFirmware(context);
  const sockets = temporaryFolder(context);
  const start = (file: string, ...extra: string[]): ReturnType<typeof guestWithMonitor> =>
    guestWithMonitor(
      context,
      { name, vcpus: 1, disk: 'driver=null-co,size=1048576', extra: [...firmware, ...extra] },
      sockets,
      file,
    );
  const [incoming, uuid] = [join(temporaryFolder(context), 'in'), '3c0ffee0-0000-4000-8000-000000000018'];
  const source = start('source', '-uuid', uuid);
  const daemon = await startDaemon(context, [
    ...PATIENT,
    '--profile=full',
    '--inventory.schedule=* * * * * *',
    `--qmp.sockets=${sockets}/*.sock`,
    `--qmp.directories=${sockets}`,
  ]);
  let last = await daemon.samples();
  const scrape = async (when: string): Promise<Samples> => {
    const now = await daemon.samples();
    assertNoneFalls(last, now, when);
    last = now;
    return now;
  };
  const migrations = (samples: Samples): string[] =>
    series(samples, 'kvm_vm_migration_info').map((key) => key.slice(key.indexOf('direction=')));
  assert.deepEqual(migrations(last), []);

  start('destination', '-uuid', uuid, '-incoming', `unix:${incoming}`);
  const other = `${name}~${uuid.slice(0, 8)}`;
  await until(async () => series(await scrape('both'), 'kvm_vm_state_info', { vm: other }).length > 0);
  assert.equal(sample(last, 'kvm_vm_state_info', { vm: other, state: 'inmigrate' }), 1);
  assert.equal(sample(last, 'kvm_vm_state_info', { vm: name, state: 'running' }), 1);

  const execute = (command: string, args: object = {}): Promise<unknown> =>
    qmpCommand(source.monitor, { execute: command, arguments: args });
  // Two migrations with the same result. query-migrate shows only one; QEMU announces each if a client has enabled
  // the events.
  await execute('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] });
  await execute('migrate-set-parameters', { 'max-bandwidth': 1000 });
  const status = async () => ((await execute('query-migrate')) as { status?: string }).status;
  for (let i = 0; i < 2; i++) {
    await execute('migrate', { uri: 'exec:cat >/dev/null' });
    await execute('migrate_cancel');
    await until(async () => (await status()) === 'cancelled');
  }
  const cancelled = async () => (await migrationEvents(daemon)).filter((each) => each.includes('cancelled'));
  await until(async () => (await cancelled()).length > 1);
  assert.deepEqual(
    await cancelled(),
    Array.from({ length: 2 }, () => 'migration_ended outgoing cancelled'),
  );

  // The guest writes faster, so it cannot end.
  await execute('migrate-set-parameters', { 'max-bandwidth': 1_000_000, 'downtime-limit': 50 });
  await execute('migrate', { uri: `unix:${incoming}` });
  const dirtied = 'kvm_vm_migration_dirty_bytes_per_second';
  await until(async () => series(await scrape('active'), dirtied, { vm: name }).length > 0);
  const value = (what: string): number => sample(last, `kvm_vm_migration_${what}`, { vm: name });
  assert.deepEqual(migrations(last).sort(), [
    'direction="incoming",status="active"}',
    'direction="outgoing",status="active"}',
  ]);
  assert.ok(value('dirty_bytes_per_second') > 100_000 && value('sent_bytes_per_second') > 100_000);
  assert.ok(value('remaining_bytes') > 0 && value('remaining_bytes') < value('total_bytes'));
  assert.ok(value('total_bytes') > 16 * 1024 ** 2 && value('transferred_bytes') > 0);
  assert.ok(value('expected_downtime_seconds') > 0);
  assert.equal(series(last, dirtied).length, 1, 'the destination has no numbers');
  await until(async () => (await migrationEvents(daemon)).includes('migration_began outgoing '));

  await execute('migrate-set-parameters', { 'max-bandwidth': 1_000_000_000 });
  await until(async () => migrations(await scrape('ended')).every((each) => each.includes('completed')));
  assert.equal(sample(last, 'kvm_vm_state_info', { vm: name, state: 'postmigrate' }), 1);
  assert.equal(series(last, dirtied).length, 0);
  await until(
    async () => sample(await scrape('arrived'), 'kvm_vm_state_info', { vm: other, state: 'running' }) === 1,
  );
  assert.ok(sample(last, 'kvm_vm_exits_total', { vm: other }) > 0);
  const ended = async (pattern: RegExp): Promise<boolean> =>
    (await migrationEvents(daemon)).some((event) => pattern.test(event));
  await until(() => ended(/^migration_ended outgoing completed in [\d.]+ s, the guest paused for \d+ ms$/));
  await until(() => ended(/^migration_ended incoming completed$/));

  source.stop();
  await until(async () => series(await scrape('source ended'), 'kvm_vm_info', { vm: name }).length === 0);
  assert.equal(series(last, 'kvm_vm_info', { vm: other }).length, 1, 'it keeps its label');
});
