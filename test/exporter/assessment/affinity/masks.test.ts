import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Masks } from '../../../../exporter/assessment/affinity/masks.ts';
import { threadOf } from '../../../../testing/affinity-host.ts';
import { hostTree } from '../../../../testing/host-tree.ts';

test('a mask is current, keeps its object while it is unchanged, and is parsed once for all threads', (context) => {
  const tree = hostTree(context);
  const masks = new Masks(tree.host);
  const [a, b] = [threadOf(tree, 11, 'vcpu0'), threadOf(tree, 12, 'vcpu1')];
  const set = (tid: number, list: string): void =>
    tree.write(
      `proc/10/task/${tid}/status`,
      `Name:\tx\nCpus_allowed_list:\t${list}\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t1\n`,
    );
  set(11, '0-511');
  set(12, '0-511');
  assert.equal(masks.of(a), undefined);
  const first = masks.read(a);
  assert.equal(first.cpus.length, 512);
  assert.equal(masks.read(a), first);
  assert.equal(masks.of(a), first);
  assert.equal(masks.read(b).cpus, first.cpus);
  set(11, '3');
  assert.deepEqual(masks.read(a), { text: '3', cpus: [3] });
  assert.equal(masks.of(b)?.text, '0-511');
});

test('text that is no list is refused, and the last mask stays', (context) => {
  const tree = hostTree(context);
  const masks = new Masks(tree.host);
  const thread = threadOf(tree, 11, 'vcpu0');
  tree.process({ pid: 10, comm: 'qemu', threads: [{ tid: 11, comm: 'CPU 0/KVM' }] });
  masks.read(thread);
  tree.write(
    'proc/10/task/11/status',
    'Name:\tx\nCpus_allowed_list:\t3-1\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t1\n',
  );
  assert.throws(() => masks.read(thread), { name: 'SourceError', kind: 'malformed' });
  assert.deepEqual(masks.of(thread)?.cpus, [0, 1]);
  assert.throws(() => masks.list('0-99999999'), { name: 'SourceError' });
});

test('thousands of different masks are parsed, and the first one again', (context) => {
  const masks = new Masks(hostTree(context).host);
  const first = masks.list('0');
  assert.equal(masks.list('0'), first);
  for (let cpu = 0; cpu < 5000; cpu++) assert.deepEqual(masks.list(String(cpu)), [cpu]);
  assert.notEqual(masks.list('0'), first, 'the lists were dropped on the way');
});
