import type { LiveDetail } from '../exporter/page/live.ts';
import type { Daemon } from './daemon.ts';
import { until } from './patience.ts';

/** The CPUs that the daemon expects of each thread of the VM, such as `0`; empty until it has a baseline. */
async function expectedCpus(daemon: Daemon, vm: string): Promise<ReadonlyMap<string, string>> {
  const stop = new AbortController();
  const response = await fetch(`${daemon.url}/api/v1/live?${new URLSearchParams({ vm })}`, {
    signal: stop.signal,
  });
  try {
    let text = '';
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      const data = /^event: detail\ndata: (.+)\n\n/m.exec(text)?.[1];
      if (data === undefined) continue;
      const { report } = JSON.parse(data) as LiveDetail;
      return new Map(report?.threads.map(({ thread, expected }) => [thread, expected.split(' ')[0] ?? '']));
    }
    return new Map();
  } finally {
    stop.abort();
  }
}

/** Waits until the daemon expects these CPUs of these threads. */
export async function untilExpected(
  daemon: Daemon,
  vm: string,
  cpus: Readonly<Record<string, string>>,
): Promise<void> {
  await until(
    async () => {
      const expected = await expectedCpus(daemon, vm);
      return Object.entries(cpus).every(([thread, list]) => expected.get(thread) === list);
    },
    `${JSON.stringify(cpus)} is the expected affinity of ${vm}`,
  );
}
