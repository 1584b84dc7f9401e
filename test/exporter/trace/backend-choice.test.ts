import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { TraceSettings } from '../../../exporter/trace/backend-choice.ts';
import { Trace } from '../../../exporter/trace/trace.ts';
import { SourceError } from '../../../probes/errors.ts';
import { type SimulatedTracefsOptions, simulatedTracefs } from '../../../testing/simulated-tracefs.ts';
import { fakeTraceObjects } from '../../../testing/trace-objects.ts';

const REFUSED = new SourceError('failed', 'BPF object trace-exits', 'EINVAL', 'EINVAL');

async function started(
  context: TestContext,
  settings: Partial<TraceSettings>,
  tracefsOptions: SimulatedTracefsOptions = {},
) {
  const tracefs = simulatedTracefs(context, tracefsOptions);
  const kernel = fakeTraceObjects();
  const clock = { seconds: 0 };
  const loads: string[] = [];
  const trace = new Trace(
    {
      host: tracefs.host,
      writer: tracefs.writer,
      pid: 7,
      now: () => clock.seconds * 1000,
      sinceBoot: () => 100,
      repeat: () => ({ stop: () => undefined }),
      startPerf: () => ({ end: () => undefined }),
      loadTraceObject: (name) => {
        loads.push(name);
        return kernel.load(name);
      },
    },
    { backend: 'auto', sets: ['exits', 'interrupts'], budget: 1, bpf: 'auto', ...settings },
    { vms: [], threadsOf: () => [] },
  );
  context.after(() => trace.stop());
  const tick = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      clock.seconds++;
      await trace.tick();
    }
  };
  return { tracefs, kernel, trace, tick, loads };
}

test('BPF comes first, and its objects are gone after stop()', async (context) => {
  const { tracefs, kernel, trace } = await started(context, {});
  await trace.start();
  const { backend, missing, limits, problems } = trace.read();
  assert.deepEqual([backend, missing, limits, problems, tracefs.instances()], ['bpf', [], [], [], []]);
  await trace.stop();
  assert.deepEqual([kernel.loaded.size, kernel.attached.size], [0, 0]);
});

test('hist triggers are better than BPF for some of the sets, which is better than perf', async (context) => {
  const triggers = await started(context, {});
  triggers.kernel.refused.set('trace-exits', REFUSED);
  await triggers.trace.start();
  const reading = triggers.trace.read();
  assert.deepEqual([reading.backend, reading.missing], ['tracefs', [REFUSED]]);
  assert.equal(triggers.kernel.loaded.size, 0);

  const partial = await started(context, {}, { hist: false });
  partial.kernel.refused.set('trace-exits', REFUSED);
  await partial.trace.start();
  const { backend, missing, limits, problems } = partial.trace.read();
  assert.deepEqual([backend, missing, problems], ['bpf', [REFUSED], []]);
  assert.match(
    limits.join(),
    /only some sets are counted, because tracefs is not usable: .*no hist triggers/,
  );

  const perf = await started(context, { bpf: 'off' }, { hist: false });
  await perf.trace.start();
  assert.deepEqual([perf.trace.read().backend, perf.trace.read().missing], ['perf', []]);
});

test('a named backend is the only one', async (context) => {
  const only = await started(context, { backend: 'bpf' });
  only.kernel.refused.set('trace-exits', REFUSED);
  await only.trace.start();
  assert.deepEqual([only.trace.read().backend, only.trace.read().problems], ['bpf', [REFUSED]]);

  const off = await started(context, { backend: 'bpf', bpf: 'off' });
  await off.trace.start();
  assert.match(String(off.trace.read().problems[0]?.message), /--bpf=off/);

  const tracefs = await started(context, { backend: 'tracefs' });
  await tracefs.trace.start();
  assert.deepEqual([tracefs.trace.read().backend, tracefs.kernel.loaded.size], ['tracefs', 0]);
});

test('auto returns to BPF when all objects can be loaded, and tries less and less often', async (context) => {
  const { tracefs, kernel, trace, tick, loads } = await started(context, {});
  kernel.refused.set('trace-exits', REFUSED);
  await trace.start();
  await tick(60);
  assert.deepEqual([trace.read().backend, kernel.loaded.size], ['tracefs', 0], 'the try leaves nothing');
  kernel.refused.clear();
  await tick(119);
  assert.equal(trace.read().backend, 'tracefs');
  loads.length = 0;
  await tick(1);
  const { backend, missing, limits, problems } = trace.read();
  assert.deepEqual([backend, missing, limits, problems, tracefs.instances()], ['bpf', [], [], [], []]);
  assert.deepEqual(
    loads,
    ['trace-exits', 'trace-interrupts'],
    'the objects of the try are the ones that count',
  );
});

test('a reason that only a restart can change causes no further try', async (context) => {
  const { kernel, trace, tick, loads } = await started(context, { sets: ['exits'] });
  const refused = new SourceError('absent', 'koffi', 'not installed', 'until_restart');
  kernel.refused.set('trace-exits', refused);
  await trace.start();
  await tick(3600);
  assert.deepEqual([trace.read().backend, loads], ['tracefs', ['trace-exits']]);
});

test('BPF for some of the sets becomes BPF for all, without a message about tracefs', async (context) => {
  const { kernel, trace, tick } = await started(context, {}, { hist: false });
  kernel.refused.set('trace-exits', REFUSED);
  await trace.start();
  assert.equal(trace.read().limits.length, 1);
  kernel.refused.clear();
  await tick(61);
  const { backend, missing, limits } = trace.read();
  assert.deepEqual([backend, missing, limits, kernel.loaded.size], ['bpf', [], [], 2]);
});

test('the objects are loaded again when the types of KVM change', async (context) => {
  const { tracefs, kernel, trace, tick } = await started(context, { backend: 'bpf' });
  kernel.refused.set('trace-exits', REFUSED);
  await trace.start();
  await tick(420);
  kernel.refused.clear();
  await tick(60);
  assert.deepEqual(trace.read().problems, [REFUSED], 'the next try is due after fifteen minutes');
  tracefs.tree.write('sys/kernel/btf/kvm_amd', '');
  await tick(60);
  assert.deepEqual([trace.read().backend, trace.read().problems], ['bpf', []]);
});
