import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { sample } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { recordStages } from '../../testing/recorded.ts';

test('the daemon continues a recording, and writes reports of it', async (context) => {
  const folder = temporaryFolder(context);
  const recording = join(folder, 'recording');
  const reports = join(folder, 'reports');
  await recordStages(recording, ['original', 'affinity'], Math.floor(Date.now() / 1000) - 60);
  const { size } = statSync(recording);
  const daemon = await startDaemon(context, [
    ...[`--path.rootfs=${ROOT}test/fixtures/hosts/linux-nvme-vhost/t0`, '--no-collector.libvirt'],
    ...[`--record.file=${recording}`, '--record.schedule=* * * * * *'],
    ...['--report.schedule=* * * * * *', `--report.dir=${reports}`, '--report.vm=web', '--report.keep=1'],
  ]);
  await until(() => statSync(recording).size > size, 'the recording grows');
  await until(
    () => existsSync(reports) && readdirSync(reports).some((name) => name.endsWith('.html')),
    'a report',
  );
  const [name = ''] = readdirSync(reports).filter((each) => each.endsWith('.html'));
  assert.match(name, /^compare-\d{8}T\d{6}Z\.html$/);
  const samples = await daemon.samples();
  for (const task of ['record', 'report']) {
    assert.equal(sample(samples, 'kvm_telemetry_task_interval_seconds', { task }), 1);
    assert.ok(sample(samples, 'kvm_telemetry_task_last_run_age_seconds', { task }) >= 0);
  }
  assert.equal(await daemon.stop(), 0);
  // The last one: those before were removed.
  const [last = ''] = readdirSync(reports).filter((each) => each.endsWith('.html'));
  assert.match(readFileSync(join(reports, last), 'utf8'), /original.*affinity/s);
  const failures = daemon.log.filter(({ msg }) => /^task (record|report) failed/.test(String(msg)));
  assert.deepEqual(failures, []);
});
