import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { demo } from '../../lab/simhost/scenarios.ts';
import { onceInProcess } from '../../testing/in-process.ts';
import { parseSamples, type Samples, sample, series } from '../../testing/metrics.ts';
import { simulatedRoot, steps } from '../../testing/simulated.ts';

const FLAGS = ['--trace.backend=off', '--no-collector.qmp', '--vcpu.statistics=all'];
/** Metrics about the sources themselves, or about the moment. */
const OF_SOURCES = /^(kvm_telemetry_|kvm_vm_source_|process_|nodejs_)|_timestamp_seconds/;

/** Half a minute of the demo's VMs, with rows. */
function host(context: TestContext): { root: string; vms: readonly string[]; threads: readonly string[] } {
  const { host } = demo({ seed: 11 });
  host.hasBpf = true;
  steps(host, 30);
  const root = simulatedRoot(context);
  host.writeTo(root);
  host.close();
  const threads = host.vms.flatMap((vm) =>
    vm.threads.map(({ tid }) => join(root, `proc/${vm.pid}/task/${tid}`)),
  );
  return { root, vms: host.vms.map(({ name }) => name), threads };
}

async function once(root: string): Promise<Samples> {
  return parseSamples(await onceInProcess(root, ...FLAGS));
}

function values(samples: Samples): Map<string, number> {
  return new Map([...samples].filter(([name]) => !OF_SOURCES.test(name)));
}

function withoutRows(root: string): Promise<Samples> {
  return onceInProcess(root, '--bpf=off', ...FLAGS).then(parseSamples);
}

test('the rows of the simulated host give what its files give, and more', async (context) => {
  const { root, vms, threads } = host(context);
  const fromFiles = values(await withoutRows(root));
  const status = new Map(
    threads.map((folder) => join(folder, '../../status')).map((path) => [path, readFileSync(path)]),
  );
  for (const folder of threads)
    for (const file of ['stat', 'status', 'schedstat', 'sched']) rmSync(join(folder, file));
  // That of the process, which links to its first thread's here, has the memory.
  for (const [path, text] of status) {
    rmSync(path);
    writeFileSync(path, text);
  }
  rmSync(join(root, 'sys/kernel/debug/kvm'), { recursive: true });
  const samples = await once(root);
  const fromRows = values(samples);
  const lost = [...fromFiles.keys()].filter((name) => fromRows.get(name) !== fromFiles.get(name));
  assert.deepEqual(lost, []);
  const more = [...fromRows.keys()].filter((name) => !fromFiles.has(name));
  assert.ok(more.length > 0);
  for (const vm of vms) {
    assert.equal(sample(samples, 'kvm_vm_apicv_inhibited', { vm, reason: 'disabled' }), 1);
    assert.ok(series(samples, 'kvm_vcpu_exits_total', { vm }).length > 0);
  }
  assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'bpf' }), 1);
});

test('a damaged file of rows is one failure, and everything comes from the other sources', async (context) => {
  const { root } = host(context);
  const expected = values(await withoutRows(root));
  const lost = (samples: Samples): string[] =>
    [...expected].filter(([name, value]) => samples.get(name) !== value).map(([name]) => name);
  const whole = new Map(
    readdirSync(join(root, 'bpf')).map((name) => [name, readFileSync(join(root, 'bpf', name))]),
  );
  const damage = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    bytes: fc.uint8Array({ maxLength: 64 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...whole.keys()), damage, async (name, { at, bytes }) => {
      const good = whole.get(name) ?? Buffer.alloc(0);
      const keep = good.subarray(0, Math.floor(good.length * at));
      writeFileSync(join(root, 'bpf', name), Buffer.concat([keep, bytes]));
      try {
        const samples = await once(root);
        // A file that ends with a whole row is not damaged.
        fc.pre(sample(samples, 'kvm_telemetry_collector_success', { collector: 'bpf' }) === 0);
        assert.deepEqual(lost(samples), []);
      } finally {
        writeFileSync(join(root, 'bpf', name), good);
      }
    }),
    { numRuns: 12 },
  );
});
