import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { once } from '../../testing/cases.ts';
import { type HostTree, hostTree } from '../../testing/host-tree.ts';
import { qemuProcess } from '../../testing/qemu-process.ts';
import { hasTool } from '../../testing/tools.ts';

const ESCAPE = '\u001b[31m';

interface Hostile {
  readonly name: string;
  readonly machine?: string;
  readonly threads?: readonly string[];
}

function vm(tree: HostTree, pid: number, { name, machine = 'q35', threads = [] }: Hostile): void {
  const argv = [
    'qemu-system-x86_64',
    '-name',
    name.replaceAll(',', ',,'),
    '-machine',
    `${machine},accel=kvm`,
  ];
  const more = threads.map((comm, i) => ({ tid: pid + 1 + i, comm }));
  tree.process(qemuProcess(pid, name, { argv, threads: more }));
}

test("a tenant's names add no control character to /metrics, which Prometheus accepts", async (context) => {
  const tree = hostTree(context);
  const bytes = (text: string): string => Buffer.from(text).toString('latin1');
  vm(tree, 100, {
    name: bytes(`we${ESCAPE}b`),
    machine: bytes(`q35${ESCAPE}\u202e`),
    threads: [
      `IO ${ESCAPE}`,
      `IO \x9b31m`,
      'IO a\nb',
      bytes('IO \u202ex'),
      'IO "\\',
      'IO a\rb',
      'IO a\tb',
      'CPU 0/KVM',
    ],
  });
  vm(tree, 200, { name: bytes('we\u202eb\u0085\u2028\u200b') });
  const text = await once(tree.folder);
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Bidi_C}\p{Zl}]/u);
  for (const label of [
    'vm="we?[31mb"',
    'vm="we?b???"',
    'thread="iothread:?[31m"',
    'thread="iothread:a?b"',
    'thread="iothread:a?b~2"',
    'thread="iothread:a?b~3"',
  ]) {
    assert.ok(text.includes(label), label);
  }
  if (hasTool(context, 'promtool', 'prometheus'))
    execFileSync('promtool', ['check', 'metrics'], { input: text });
});

test('two names of 127 characters that differ in the last one get two stable labels', async (context) => {
  const tree = hostTree(context);
  // As KubeVirt makes them: <namespace>_<name>, 63 characters each.
  const name = (last: string): string => `${'n'.repeat(63)}_${'v'.repeat(62)}${last}`;
  vm(tree, 100, { name: name('a') });
  vm(tree, 200, { name: name('b') });
  const labels = [...(await once(tree.folder)).matchAll(/^kvm_vm_info\{vm="([^"]*)"/gm)].map(
    (match) => match[1],
  );
  assert.equal(new Set(labels).size, 2);
  for (const label of labels) assert.match(label ?? '', /^n{63}_v{25}…[0-9a-f]{10}$/);
});
