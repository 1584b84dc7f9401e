import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Accepted } from '../../../../exporter/assessment/affinity/accepted.ts';
import { affinityHost } from '../../../../testing/affinity-host.ts';

const VM = '10:1000';
const AT = new Date('2026-11-27T00:00:00Z');
const SILENT = { info: () => undefined, warn: () => undefined };

function pins(threads: ReadonlyMap<string, string>) {
  return { threads, withLost: false };
}

/** Does the same as the command, beside the daemon. */
function command(folder: string, boot = 'boot-1'): Accepted {
  return new Accepted(`${folder}/state`, boot, SILENT);
}

test('an accepted placement is the baseline from the next second on, and no drift is left', async (context) => {
  const { tree, tick, expected } = affinityHost(context);
  await tick({ 11: '1' });
  assert.deepEqual(await tick({ 11: '2' }), ['+vcpu0 mask_changed']);
  assert.ok(await command(tree.folder).accept(VM, pins(new Map([['vcpu0', '2']])), AT, new Set([VM])));
  assert.deepEqual(await tick(), ['-vcpu0 mask_changed']);
  assert.equal(expected(), '2 (baseline)');
  assert.deepEqual(await tick({ 11: '1' }), ['+vcpu0 mask_changed']);
});

test('an acceptance is applied once: a later pin counts, also after a restart of the daemon', async (context) => {
  const { tree, tick, start, expected } = affinityHost(context);
  await tick({ 11: '1-2' });
  await command(tree.folder).accept(VM, pins(new Map([['vcpu0', '1-2']])), AT, new Set([VM]));
  await tick();
  await tick({ 11: '1' });
  assert.equal(expected(), '1 (baseline)');
  const again = start();
  assert.deepEqual(await tick({ 11: '1-2' }, again), ['+vcpu0 mask_widened']);
  // A clock that went back does not hide the second acceptance.
  await command(tree.folder).accept(VM, pins(new Map([['vcpu0', '1-2']])), new Date(0), new Set([VM]));
  assert.deepEqual(await tick({}, again), ['-vcpu0 mask_widened']);
});

test('any removes the baseline', async (context) => {
  const { tree, tick, expected } = affinityHost(context);
  await tick({ 11: '1' });
  assert.deepEqual(await tick({ 11: '0-3' }), ['+vcpu0 unpinned']);
  await command(tree.folder).accept(VM, pins(new Map([['vcpu0', 'any']])), AT, new Set([VM]));
  assert.deepEqual(await tick(), ['-vcpu0 unpinned']);
  assert.equal(expected(), '0,1,2,3 (unpinned)');
});

test('after a reboot, and for another VM with the pid, nothing is accepted', async (context) => {
  const { tree } = affinityHost(context);
  await command(tree.folder).accept(VM, pins(new Map([['vcpu0', '2']])), AT, new Set([VM]));
  assert.equal(command(tree.folder).of(VM).length, 1);
  assert.deepEqual(command(tree.folder, 'boot-2').of(VM), []);
  assert.deepEqual(command(tree.folder).of('10:2000'), []);
  assert.deepEqual(command(tree.folder).of('__proto__'), []);
  await command(tree.folder).accept('20:1', pins(new Map([['vcpu0', '3']])), AT, new Set(['20:1']));
  assert.deepEqual(command(tree.folder).of(VM), [], 'it has ended');
});

test('accepted losses of techniques are kept by VM, beside earlier acceptances', async (context) => {
  const { tree } = affinityHost(context);
  const both = new Set([VM, '20:1']);
  const nothing = new Map<string, string>();
  await command(tree.folder).accept(VM, { threads: nothing, withLost: true }, AT, both);
  await command(tree.folder).accept('20:1', { threads: nothing, withLost: false }, AT, both);
  assert.equal(command(tree.folder).lostAt(VM), AT.getTime());
  assert.equal(command(tree.folder).lostAt('20:1'), undefined);
  assert.equal(command(tree.folder, 'boot-2').lostAt(VM), undefined);
  await command(tree.folder).accept('20:1', { threads: nothing, withLost: true }, AT, new Set(['20:1']));
  assert.equal(command(tree.folder).lostAt(VM), undefined, 'it has ended');
});

test('a command beside the daemon does not learn the mask that it sees first', async (context) => {
  const { tick, start, expected } = affinityHost(context);
  const doctor = start('boot-1', false);
  await tick({ 11: '1' }, doctor);
  assert.equal(expected('vcpu0', doctor), '1 (unknown)');
  await tick({ 11: '0-3' }, doctor);
  assert.equal(expected('vcpu0', doctor), '0,1,2,3 (unpinned)');
});
