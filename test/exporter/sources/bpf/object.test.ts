import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { rootsOf } from '../../../../exporter/config/roots.ts';
import type { Vm } from '../../../../exporter/model/vm.ts';
import { KernelStatistics } from '../../../../exporter/sources/bpf/kernel.ts';
import type { RowReader } from '../../../../exporter/sources/bpf/row-reader.ts';
import { SourceError } from '../../../../probes/errors.ts';
import { createHost } from '../../../../probes/host.ts';
import { vmRow } from '../../../../testing/bpf-rows.ts';
import { temporaryFolder } from '../../../../testing/folder.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const BUSY = new SourceError('failed', 'BPF iterator kvm', 'EBUSY', 'EBUSY');
const DENIED = new SourceError('denied', 'BPF object kvm-module', 'EPERM', 'EPERM');
const VM = { key: '7:1', pid: 7, accel: 'kvm' } as unknown as Vm;

/** A host whose kernel loads an object as `loadable` says, and the passes of its inventory. */
function setUp(context: TestContext) {
  const folder = temporaryFolder(context);
  const none = join(folder, 'none');
  const roots = rootsOf({ 'path.rootfs': none });
  const clock = { ms: 0 };
  const kernel = {
    loads: 0,
    open: 0,
    result: BUSY as SourceError | Omit<RowReader, 'close'>,
  };
  const load = (): RowReader => {
    kernel.loads++;
    if (kernel.result instanceof SourceError) throw kernel.result;
    kernel.open++;
    return { ...kernel.result, close: () => void kernel.open-- };
  };
  const host = createHost({ ...roots, procfs: '/proc', sysfs: folder });
  const statistics = new KernelStatistics(
    host,
    { mode: 'auto' },
    () => undefined,
    load,
    () => clock.ms,
  );
  statistics.prepare();
  return {
    kernel,
    state() {
      const { missing, objects, works } = statistics.query([VM]);
      return { works, why: missing.map(({ message }) => message), objects: Object.fromEntries(objects) };
    },
    /** Passes of the inventory, every ten seconds. */
    pass(ms = 10 * SECOND) {
      for (const end = clock.ms + ms; clock.ms < end; ) {
        clock.ms += 10 * SECOND;
        statistics.prepare();
      }
    },
    loadModule: (name: string) => mkdirSync(join(folder, 'kernel/btf', name), { recursive: true }),
    unloadModule: (name: string) => rmSync(join(folder, 'kernel/btf', name), { recursive: true }),
  };
}

const rows = (hasIoeventfds = true) => vmRow(7, {}, undefined, { hasIoeventfds });
const BEST = { object: 'kvm-module', read: () => rows() };
const SECOND_BEST = { object: 'kvm', lacks: DENIED, read: () => rows(false) };

test('an object that could not be loaded is tried again, less and less often, and then used', (context) => {
  const { kernel, state, pass } = setUp(context);
  assert.deepEqual(state(), {
    works: false,
    why: ['BPF iterator kvm: EBUSY'],
    objects: { 'kvm-module': false, kvm: false },
  });
  pass(70 * SECOND);
  assert.equal(kernel.loads, 4, 'after 10, 30 and 70 seconds');
  const before = kernel.loads;
  pass(24 * HOUR);
  assert.ok(kernel.loads - before <= 8 + 24, `${kernel.loads} tries in a day`);
  kernel.result = BEST;
  pass(HOUR);
  assert.deepEqual(state(), { works: true, why: [], objects: { 'kvm-module': true } });
  const used = kernel.loads;
  pass(HOUR);
  assert.deepEqual([kernel.loads, kernel.open], [used, 1], 'what works is not loaded again');
});

test('a reason that lasts until a restart is not tried again', (context) => {
  const { kernel, pass } = setUp(context);
  kernel.result = new SourceError('absent', 'koffi', 'not installed', 'until_restart');
  pass(10 * SECOND);
  const { loads } = kernel;
  pass(24 * HOUR);
  assert.equal(kernel.loads, loads);
});

test('KVM is loaded after the exporter: the next pass loads the object, which finds the types', (context) => {
  const { kernel, state, pass, loadModule, unloadModule } = setUp(context);
  pass(HOUR);
  kernel.result = BEST;
  loadModule('kvm');
  pass();
  assert.deepEqual(state(), { works: true, why: [], objects: { 'kvm-module': true } });
  const { loads } = kernel;
  loadModule('kvm_amd');
  pass();
  assert.deepEqual([kernel.loads, kernel.open], [loads + 1, 1]);
  unloadModule('kvm_amd');
  kernel.result = BUSY;
  pass();
  assert.equal(state().works, true, 'the object in use stays if another cannot be loaded');
});

test('the second-best object is used until the best one can be loaded', (context) => {
  const { kernel, state, pass } = setUp(context);
  kernel.result = SECOND_BEST;
  pass();
  assert.deepEqual(state(), {
    works: true,
    why: ['BPF object kvm-module: EPERM'],
    objects: { 'kvm-module': false, kvm: true },
  });
  pass(HOUR);
  assert.equal(kernel.open, 1, 'each try closes what it replaces');
  kernel.result = BEST;
  pass(HOUR);
  assert.deepEqual(state(), { works: true, why: [], objects: { 'kvm-module': true } });
});

test("an object that was loaded without the types of KVM's module reports this, once there is a VM", (context) => {
  const { kernel, state, pass } = setUp(context);
  let found: Buffer = Buffer.alloc(0);
  kernel.result = { object: 'kvm-module', read: () => found };
  pass();
  assert.deepEqual(state().why, []);
  found = rows(false);
  assert.match(state().why.join(), /^BPF object kvm-module: the types of KVM's module are unknown$/);
  found = rows();
  assert.deepEqual(state().why, []);
});
