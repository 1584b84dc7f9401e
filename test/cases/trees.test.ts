import { test } from 'node:test';
import { caseTree, check, once } from '../../testing/cases.ts';

/** Cases with a whole host tree and a check of the exposition. */
const CASES: readonly string[] = [
  'command-line-over-256-kib',
  'dragonball-vcpu-threads',
  'image-on-overlayfs',
  'qemu-kvm-script-without-exec',
  'sched-of-linux-3.10-and-4.4',
  'script-called-kvm-and-x-remote',
  'shared-pool-is-no-pin',
];

for (const name of CASES) {
  test(`case ${name} gives the correct values`, async (context) => {
    check(context, name, await once(caseTree(context, name)));
  });
}
