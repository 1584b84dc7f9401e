import type { LiveDetail } from '../exporter/page/live.ts';
import type { Daemon } from './daemon.ts';
import { liveFrame } from './live-frame.ts';

/** Waits until the daemon expects these CPUs, such as `0-1`, of these threads of the VM. */
export async function untilExpected(
  daemon: Daemon,
  vm: string,
  cpus: Readonly<Record<string, string>>,
): Promise<void> {
  await liveFrame<LiveDetail>(daemon, 'detail', { vm }, ({ report }) => {
    const expected = new Map(report?.threads.map((each) => [each.thread, each.expected.split(' ')[0]]));
    return Object.entries(cpus).every(([thread, list]) => expected.get(thread) === list);
  });
}
