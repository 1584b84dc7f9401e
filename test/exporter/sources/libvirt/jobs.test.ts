import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Vm } from '../../../../exporter/model/vm.ts';
import { Jobs } from '../../../../exporter/sources/libvirt/jobs.ts';
import { SourceError } from '../../../../probes/errors.ts';
import { parseDomjobinfo } from '../../../../probes/virsh-domjobinfo.ts';
import { ROOT } from '../../../../testing/daemon.ts';
import { inventoryVm } from '../../../../testing/inventory-vm.ts';

const captured = (name: string): string =>
  readFileSync(`${ROOT}test/fixtures/libvirt/domjobinfo-9.0${name}.txt`, 'utf8');
const RUNNING = captured('-raw');
const COMPLETED = captured('-raw-completed');
const NONE = captured('-none');

const vmWith = (job: string, pid = 10): Vm =>
  inventoryVm(pid, { domain: `lv-${pid}`, manager: 'libvirt', uuid: `uuid-${pid}`, job });

/** @param answer virsh's output, by `<uuid>` or `<uuid> completed` */
function jobsOf(answer: (question: string) => string): { jobs: Jobs; asked: string[] } {
  const asked: string[] = [];
  const jobs = new Jobs(async (uuid, completed) => {
    const question = completed ? `${uuid} completed` : uuid;
    asked.push(question);
    return parseDomjobinfo(answer(question));
  });
  return { jobs, asked };
}

test('virsh runs only for a domain with a job that sends memory', async () => {
  const { jobs, asked } = jobsOf(() => RUNNING);
  const vms = ['', 'migration in', 'backup', 'start'].map((job, i) => vmWith(job, i));
  const { migrations } = await jobs.query(vms, 1000);
  assert.deepEqual(asked, []);
  assert.deepEqual(
    [...migrations].map(([key, { direction, status, memory }]) => [key, direction, status, memory]),
    [['1:1000', 'incoming', 'active', undefined]],
  );
});

test('an outgoing migration has the numbers of libvirt until it ends', async () => {
  let answer = RUNNING;
  const { jobs, asked } = jobsOf(() => answer);
  const sending = vmWith('migration out');
  const { migrations } = await jobs.query([sending], 1000);
  assert.equal(migrations.get(sending.key)?.direction, 'outgoing');
  assert.equal(jobs.of(sending)?.memory?.remaining, 167_936);
  // Cancelled: libvirt keeps nothing of it.
  answer = NONE;
  await jobs.query([vmWith('')], 1000);
  assert.equal(jobs.of(sending), undefined);
  assert.deepEqual(asked, ['uuid-10', 'uuid-10 completed']);
  await jobs.query([vmWith('')], 1000);
  assert.equal(asked.length, 2, 'it is asked once');
});

test('the state file may name a job that has ended', async () => {
  let answer = RUNNING;
  const { jobs } = jobsOf(() => answer);
  const sending = vmWith('migration out');
  await jobs.query([sending], 1000);
  answer = NONE;
  for (let i = 0; i < 2; i++) {
    await jobs.query([sending], 1000);
    assert.equal(jobs.of(sending), undefined);
  }
});

test('a VM that arrived keeps the duration of its migration for its life', async () => {
  const { jobs, asked } = jobsOf(() => COMPLETED);
  const arriving = vmWith('migration in');
  await jobs.query([arriving], 1000);
  for (let i = 0; i < 3; i++) await jobs.query([vmWith('')], 1000);
  const { status, duration, downtime, direction } = jobs.of(arriving) ?? {};
  assert.deepEqual([status, duration, downtime, direction], ['completed', 119.269, 0.038, 'incoming']);
  assert.deepEqual(asked, ['uuid-10 completed']);
  await jobs.query([], 1000);
  assert.equal(jobs.of(arriving), undefined, 'the VM is gone');
});

test('statistics of an earlier job are not those of the one that ended', async () => {
  const { jobs } = jobsOf((question) => (question.endsWith('completed') ? COMPLETED : RUNNING));
  const sending = vmWith('migration out');
  await jobs.query([sending], 1000);
  await jobs.query([vmWith('')], 1000);
  assert.equal(jobs.of(sending), undefined, 'COMPLETED is of an incoming one');
});

test('a dump by QEMU itself is no migration, and a save is one to a file', async () => {
  const { jobs } = jobsOf((uuid) =>
    uuid === 'uuid-1' ? 'Job type: 2\n\noperation: 8\nmemory_total: 9\n' : RUNNING,
  );
  const [dump, save] = [vmWith('dump', 1), vmWith('save', 2)];
  await jobs.query([dump, save], 1000);
  assert.equal(jobs.of(dump), undefined);
  assert.equal(jobs.of(save)?.direction, 'outgoing');
});

test('without a response the status is known and the numbers are not; only a failure of libvirt is reported', async () => {
  for (const [kind, reported] of [
    ['failed', 0],
    ['timeout', 1],
  ] as const) {
    const jobs = new Jobs(async (uuid) => Promise.reject(new SourceError(kind, uuid, 'no')));
    const sending = vmWith('migration out');
    const { problems } = await jobs.query([sending, vmWith('save', 11)], 1000);
    assert.equal(jobs.of(sending)?.status, 'active');
    assert.equal(jobs.of(sending)?.memory, undefined);
    assert.equal(jobs.of(vmWith('save', 11)), undefined, 'a save that is not known to send memory');
    assert.equal(problems.length, reported * 2);
  }
});

test('at most eight calls at a time', async () => {
  const { jobs, asked } = jobsOf(() => RUNNING);
  const vms = Array.from({ length: 40 }, (_, i) => vmWith('migration out', i + 1));
  const { migrations } = await jobs.query(vms, 1000);
  assert.equal(asked.length, 8);
  assert.equal(migrations.size, 40);
});
