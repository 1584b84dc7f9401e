import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { SourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import {
  type KvmStatisticFile,
  listKvmDebugfs,
  parseKvmStatistic,
  readKvmDebugfsContent,
  readKvmStatistic,
  readKvmVcpuThread,
} from '../../probes/kvm-debugfs.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

function file(host: Host, directory: string, name: string): KvmStatisticFile {
  return { name, path: `${host.roots.debugfs}/kvm/${directory}/${name}`, readOnly: false };
}

test('the directories of VMs are listed, the global files are not', () => {
  assert.deepEqual(listKvmDebugfs(capturedHost()), [{ name: '244-16', tid: 244, fd: 16 }]);
  assert.deepEqual(listKvmDebugfs(capturedHost('toy-pio-hlt')), [{ name: '281-18', tid: 281, fd: 18 }]);
});

test('statistics and vCPU threads of a captured VM are read and increase', () => {
  const host = capturedHost();
  assert.equal(readKvmStatistic(host, file(host, '244-16', 'exits')), 150686);
  const later = capturedHost('linux-nvme-vhost', 't1');
  assert.equal(readKvmStatistic(later, file(later, '244-16', 'exits')), 210410);
  assert.equal(readKvmStatistic(host, file(host, '244-16', 'halt_wait_ns')), 40878259598);
  assert.deepEqual([readKvmVcpuThread(host, '244-16', 0), readKvmVcpuThread(host, '244-16', 1)], [252, 254]);
});

test('histograms, which debugfs truncates, and the rmap table are not read', () => {
  const { statistics, vcpus, entries } = readKvmDebugfsContent(capturedHost(), '244-16');
  const names = statistics.map(({ name }) => name);
  assert.deepEqual(vcpus, [0, 1]);
  assert.equal(entries, 63);
  assert.equal(names.length, 57);
  assert.deepEqual(names, names.toSorted());
  assert.ok(names.includes('exits') && names.includes('max_mmu_rmap_size'));
  assert.ok(!names.some((name) => /_hist$|rmaps_stat|vcpu/.test(name)));
});

test('on arm64, page tables and register tables are not read', (context) => {
  const { host, write } = hostTree(context);
  for (const name of ['exits', 'idregs', 'ipa_range', 'stage2_levels', 'stage2_page_tables', 'vgic-state']) {
    write(`sys/kernel/debug/kvm/7-9/${name}`, '1\n');
  }
  const { statistics } = readKvmDebugfsContent(host, '7-9');
  assert.deepEqual(
    statistics.map(({ name }) => name),
    ['exits'],
  );
});

test("on POWER, tables of interrupts and of the guest's pages are not read", (context) => {
  const { folder, host, write } = hostTree(context);
  const vm = 'sys/kernel/debug/kvm/7-9';
  for (const name of ['exits', 'htab', 'radix', 'xics', 'xive']) write(`${vm}/${name}`, '1\n');
  // arch/powerpc/kvm/book3s_64_mmu_hv.c, book3s_64_mmu_radix.c.
  for (const name of ['htab', 'radix']) chmodSync(`${folder}/${vm}/${name}`, 0o400);
  assert.deepEqual(
    readKvmDebugfsContent(host, '7-9').statistics.map(({ name }) => name),
    ['exits'],
  );
});

test('statistics of a later kernel with similar names are read', (context) => {
  const { host, write } = hostTree(context);
  const names = ['halt_hist_max', 'idregs_read', 'ipa_ranges', 'mmu_rmaps_stats', 'pf_stage2_', 'x_resx'];
  for (const name of names) write(`sys/kernel/debug/kvm/7-9/${name}`, '1\n');
  assert.deepEqual(
    readKvmDebugfsContent(host, '7-9').statistics.map(({ name }) => name),
    names,
  );
});

test('other directories and files are ignored', (context) => {
  const { host, write } = hostTree(context);
  for (const name of ['7-9/exits', '7-/x', '-7-9/x', 'a-9/x', '7-9-1/x', '12345678901-1/x']) {
    write(`sys/kernel/debug/kvm/${name}`, '1\n');
  }
  for (const name of [
    'Exits',
    '9lives',
    'a-b',
    `${'a'.repeat(70)}`,
    'vcpu',
    'vcpux',
    'vcpu10/pid',
    'vcpu9/pid',
  ]) {
    write(`sys/kernel/debug/kvm/7-9/${name}`, '1\n');
  }
  assert.deepEqual(listKvmDebugfs(host), [{ name: '7-9', tid: 7, fd: 9 }]);
  const { statistics, vcpus } = readKvmDebugfsContent(host, '7-9');
  assert.deepEqual(
    statistics.map(({ name }) => name),
    ['exits', 'vcpu', 'vcpux'],
  );
  assert.deepEqual(vcpus, [9, 10]);
});

test('a vCPU that has not run has no thread; older kernels lack the file', (context) => {
  const { host, write } = hostTree(context);
  write('sys/kernel/debug/kvm/7-9/vcpu0/pid', '0\n');
  assert.equal(readKvmVcpuThread(host, '7-9', 0), undefined);
  assert.equal(readKvmVcpuThread(host, '7-9', 1), undefined);
});

test('a VM that exits counts as gone, whatever the error code', (context) => {
  const { host } = hostTree(context);
  assert.throws(() => readKvmStatistic(host, file(host, '7-9', 'exits')), { kind: 'absent' });
  const dying = {
    ...liveHost(),
    decimal(path: string): number {
      throw new SourceError('failed', path, 'ENOMEM', 'ENOMEM');
    },
  };
  assert.throws(() => readKvmStatistic(dying, file(dying, '7-9', 'exits')), { kind: 'vanished' });
});

test('only one unsigned number is a statistic', () => {
  assert.equal(parseKvmStatistic('18446744073709551615\n'), 2 ** 64);
  for (const text of ['', '\n', '-1\n', '1 2\n', 'x\n', '1.5\n', '0x1\n', `${'9'.repeat(400)}\n`]) {
    assert.throws(() => parseKvmStatistic(text), {
      name: 'SourceError',
      kind: 'malformed',
      path: '/sys/kernel/debug/kvm/<vm>/<statistic>',
    });
  }
});

testRobustness('parseKvmStatistic', parseKvmStatistic, [
  captured('sys/kernel/debug/kvm/244-16/halt_wait_ns'),
]);

test('a statistic that is not one number is malformed', (context) => {
  const { host, write } = hostTree(context);
  for (const text of ['', '\n', '-1\n', '1 2\n', 'x\n', `${'9'.repeat(400)}\n`]) {
    write('sys/kernel/debug/kvm/7-9/exits', text);
    assert.throws(() => readKvmStatistic(host, file(host, '7-9', 'exits')), { kind: 'malformed' }, text);
  }
  write('sys/kernel/debug/kvm/7-9/exits', '18446744073709551615\n');
  assert.equal(readKvmStatistic(host, file(host, '7-9', 'exits')), 2 ** 64);
});
