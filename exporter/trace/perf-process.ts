import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { SourceError, sourceError } from '../../probes/errors.ts';
import { type PerfCounts, PerfIntervals, PerfStatLines } from '../../probes/perf-stat.ts';

/** Time for perf to print the last interval. After that perf is killed. */
const END_TIMEOUT_MS = 2_000;
/**
 * Bytes kept from each end of stderr. perf prints the reason first, and after it sometimes a long usage text.
 */
const MAX_STDERR = 2 * 1024;

export interface PerfEvent {
  /** Such as `kvm:kvm_pio`. */
  readonly event: string;
  /** In the kernel's filter syntax, such as `port == 0x80`. */
  readonly filter: string | undefined;
}

export interface PerfListener {
  /** The counts of one interval, in the order of the events. */
  counted(counts: PerfCounts): void;
  /**
   * Called once, as the last call, when perf has ended for any reason. `absent` means that perf itself is
   * unusable, not only for these threads.
   */
  ended(problem: SourceError): void;
}

export interface PerfProcess {
  /** Makes perf report the counts since the last interval, and exit. */
  end(): void;
}

export type StartPerf = (
  events: readonly PerfEvent[],
  tids: readonly number[],
  listener: PerfListener,
) => PerfProcess;

/**
 * Starts `perf stat` for threads. If this process is killed, perf dies of SIGPIPE when it prints the next
 * interval.
 *
 * @param intervalMs a shorter interval disturbs vCPUs more: reading a counter of a running thread interrupts
 * its CPU
 */
export function perfStarter(intervalMs: number): StartPerf {
  return (events, tids, listener) => {
    let child: ChildProcess;
    try {
      child = spawnPerf(intervalMs, events, tids);
    } catch (error) {
      // Node.js throws errors that it does not expect, such as E2BIG or ENOMEM.
      setImmediate(() => listener.ended(spawnFailure(error)));
      return { end: () => undefined };
    }
    const { stdout, stderr } = child;
    if (!stdout || !stderr) {
      // If no descriptors are left for the pipes, Node.js returns a child without streams and reports the
      // error later.
      child.once('error', (error) => listener.ended(spawnFailure(error)));
      return { end: () => undefined };
    }
    const intervals = new PerfIntervals(events.map(({ event }) => event));
    return supervise({ child, stdout, stderr }, intervals, listener);
  };
}

function spawnPerf(intervalMs: number, events: readonly PerfEvent[], tids: readonly number[]): ChildProcess {
  const args = [
    'stat',
    '--json-output',
    // A child of a vCPU thread is not a vCPU, or has its own id in the list.
    '--no-inherit',
    `--interval-print=${intervalMs}`,
    // stdout belongs to the profiled command, and there is none. stderr is for warnings.
    '--log-fd=1',
    ...events.flatMap(({ event, filter }) => [
      '-e',
      event,
      ...(filter === undefined ? [] : ['--filter', filter]),
    ]),
    `--tid=${tids.join(',')}`,
  ];
  // The host's and the user's perf configuration can change the output format.
  const env = { PATH: process.env['PATH'], LC_ALL: 'C', PERF_CONFIG: '/dev/null' };
  // A session of its own protects perf from the terminal's Ctrl-C.
  return spawn('perf', args, { env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], detached: true });
}

interface Started {
  readonly child: ChildProcess;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

function supervise(
  { child, stdout, stderr: errors }: Started,
  intervals: PerfIntervals,
  listener: PerfListener,
): PerfProcess {
  const lines = new PerfStatLines();
  let stderr = '';
  let failure: SourceError | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  stdout.setEncoding('utf8').on('data', (chunk: string) => {
    for (const reading of lines.push(chunk)) {
      for (const counts of intervals.push(reading)) listener.counted(counts);
    }
  });
  errors.setEncoding('utf8').on('data', (chunk: string) => {
    stderr = bothEnds(stderr + chunk);
  });
  child.on('error', (error) => {
    failure = spawnFailure(error);
  });
  child.on('close', (code, signal) => {
    clearTimeout(killTimer);
    for (const counts of intervals.end()) listener.counted(counts);
    listener.ended(failure ?? perfFailure(stderr, signal ?? `exit ${code}`));
  });
  return {
    end() {
      if (killTimer !== undefined) return;
      child.kill('SIGINT');
      killTimer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
    },
  };
}

function bothEnds(text: string): string {
  return text.length <= 2 * MAX_STDERR ? text : text.slice(0, MAX_STDERR) + text.slice(-MAX_STDERR);
}

function spawnFailure(error: unknown): SourceError {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
    return new SourceError('absent', 'perf', 'not installed');
  }
  return sourceError(error, 'perf');
}

/** @param end how perf ended, in case stderr is empty */
function perfFailure(stderr: string, end: string): SourceError {
  // Ubuntu's wrapper, which selects the perf of the running kernel.
  const wrapper = /perf not found for kernel \S{1,100}/.exec(stderr)?.[0];
  if (wrapper !== undefined) return new SourceError('absent', 'perf', clean(wrapper));
  if (/unknown (switch `j'|option `json-output')/.test(stderr)) {
    return new SourceError('absent', 'perf', 'too old: it cannot print JSON (perf stat -j)');
  }
  if (stderr.trim() === '' && end === 'exit 0') {
    return new SourceError('vanished', 'perf', 'its threads have exited');
  }
  const line = clean(/Error:\s*([^\n]+)/.exec(stderr)?.[1] ?? stderr.trim().split('\n').at(-1) ?? '');
  const reason = line || `ended without a message (${end})`;
  if (/No such process/.test(line)) return new SourceError('vanished', 'perf', reason);
  if (/permission|is limited/i.test(line)) return new SourceError('denied', 'perf', reason);
  return new SourceError('failed', 'perf', reason);
}

function clean(text: string): string {
  return text.slice(0, 200).trim();
}
