import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { SourceError, sourceError } from '../../../probes/errors.ts';
import { parseDomjobinfo, type VirshJob } from '../../../probes/virsh-domjobinfo.ts';
import { type Domstats, DomstatsParser } from '../../../probes/virsh-domstats.ts';
import { Yielder } from '../../schedule/yielder.ts';

/** 500 domains with 16 vCPUs each print 42 MB. */
const MAX_OUTPUT = 64 * 1024 * 1024;
const MAX_SHORT = 4096;
/** Parsing a piece of this size takes a quarter of a millisecond. */
const SLICE = 16_384;
/** Shorter than elsewhere, because a garbage collection may add 3 ms. */
export const STRETCH_MS = 1;

/** Reads the output to its end. The caller requests the result only if virsh succeeded. */
type Parsed<T> = (stdout: Readable | null, uri: string) => Promise<() => T>;

const ARGUMENTS = ['domstats', '--raw', '--state', '--vcpu', '--block', '--list-active'];
/** Require libvirt 4.5 and 4.10. */
const NEWER = ['--nowait', '--iothread'];

/**
 * Runs `virsh domstats` for all domains over a read-only connection. `--nowait` skips what a busy domain
 * cannot report at once. virsh hangs if libvirtd hangs, so it is killed after the timeout.
 */
export class Virsh {
  /** Options that this virsh does not support. */
  readonly #unknown = new Set<string>();

  /** @throws SourceError absent (no virsh), timeout, too_large, malformed, failed */
  domstats(uri: string, timeoutMs: number): Promise<Domstats> {
    return this.#run(uri, ARGUMENTS, NEWER, timeoutMs, parsedDomstats);
  }

  /**
   * The job of one domain. The connection is read-only and libvirt keeps what it reports.
   *
   * @param completed whether to ask for the last job that ended instead. Fails if libvirt would forget it then (before 6.0).
   * @returns undefined if there is none
   * @throws SourceError as above
   */
  domjobinfo(
    uri: string,
    uuid: string,
    completed: boolean,
    timeoutMs: number,
  ): Promise<VirshJob | undefined> {
    const args = ['domjobinfo', uuid, ...(completed ? ['--completed', '--keep-completed'] : [])];
    return this.#run(uri, args, ['--rawstats'], timeoutMs, parsedJob);
  }

  /** @param newer options to leave out if this virsh does not support them */
  async #run<T>(
    uri: string,
    args: readonly string[],
    newer: readonly string[],
    timeoutMs: number,
    parsed: Parsed<T>,
  ): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const options = newer.filter((option) => !this.#unknown.has(option));
      const all = ['--quiet', '--readonly', '--connect', uri, ...args, ...options];
      try {
        return await run(uri, all, Math.max(1, deadline - performance.now()), timeoutMs, parsed);
      } catch (error) {
        const option = unknownOption(error);
        if (option === undefined || !options.includes(option)) throw error;
        this.#unknown.add(option);
      }
    }
  }
}

/** `error: command 'domstats' doesn't support option --nowait`, tools/vsh.c vshCmddefGetOption(). */
function unknownOption(error: unknown): string | undefined {
  const reason = error instanceof SourceError && error.kind === 'failed' ? error.reason : '';
  return /support option (--[a-z]+)/.exec(reason)?.[1];
}

async function run<T>(
  uri: string,
  args: readonly string[],
  withinMs: number,
  timeoutMs: number,
  parse: Parsed<T>,
): Promise<T> {
  const child = start(args);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end(child);
  }, withinMs);
  const exit = new Promise<number | string>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new SourceError('absent', 'virsh', 'not installed')
          : sourceError(error, 'virsh'),
      ),
    );
    // Not `close`, which also waits for grandchildren that hold the pipe.
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  exit.catch(() => undefined);
  try {
    const [complaint, parsed, code] = await Promise.all([head(child.stderr), parse(child.stdout, uri), exit]);
    if (isLate) throw late(uri, timeoutMs);
    if (code === 0) return parsed();
    throw new SourceError('failed', uri, firstLine(complaint) || `virsh exited with ${code}`);
  } catch (error) {
    throw isLate ? late(uri, timeoutMs) : error;
  } finally {
    clearTimeout(timer);
    end(child);
  }
}

/** @throws SourceError if the process cannot be started */
function start(args: readonly string[]): ChildProcess {
  try {
    // The wording of the output depends on the locale. virsh needs nothing else from the environment.
    return spawn('virsh', args, {
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    throw sourceError(error, 'virsh');
  }
}

function end(child: ChildProcess): void {
  child.kill('SIGKILL');
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function late(uri: string, timeoutMs: number): SourceError {
  return new SourceError('timeout', uri, `no response from libvirt in ${Math.round(timeoutMs)} ms`);
}

/** Parses in pieces, so that the whole output neither fills the memory nor blocks the event loop. */
async function parsedDomstats(stdout: Readable | null, uri: string): Promise<() => Domstats> {
  const parser = new DomstatsParser();
  const yielder = new Yielder(STRETCH_MS);
  let size = 0;
  for await (const chunk of stdout?.setEncoding('utf8') ?? []) {
    const text = String(chunk);
    size += text.length;
    if (size > MAX_OUTPUT) throw new SourceError('too_large', uri, `virsh printed over ${MAX_OUTPUT} bytes`);
    for (let at = 0; at < text.length; at += SLICE) {
      parser.push(text.slice(at, at + SLICE));
      if (yielder.isDue()) await yielder.yield();
    }
  }
  return () => parser.end();
}

async function parsedJob(stdout: Readable | null): Promise<() => VirshJob | undefined> {
  const text = await head(stdout);
  return () => parseDomjobinfo(text);
}

/** The first bytes of a short text; reads it to its end. */
async function head(stream: Readable | null): Promise<string> {
  let text = '';
  for await (const chunk of stream?.setEncoding('utf8') ?? []) {
    if (text.length < MAX_SHORT) text += String(chunk).slice(0, MAX_SHORT);
  }
  return text;
}

function firstLine(text: string): string {
  return (/^\s*(.{0,200})/.exec(text)?.[1] ?? '').trim();
}
