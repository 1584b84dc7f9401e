import { setTimeout as sleep } from 'node:timers/promises';
import { ifThere, SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readTraceErrorLog } from '../../probes/tracefs-error-log.ts';
import { readEventFormat } from '../../probes/tracefs-format.ts';
import { type HistBlock, readHist } from '../../probes/tracefs-hist.ts';
import { removeInstance, removeSyntheticEvents } from './leftovers.ts';
import type { TracefsWriter } from './writer.ts';

const PREFIX = 'kvm-telemetry-';
const APPEARANCE_TRIES = 10;
const APPEARANCE_MS = 20;

/**
 * Our own tracefs instance, which does not share triggers and maps with other users. Its name has the pid, so
 * that doctor can have one next to the daemon's. On start, a process removes the instances of processes that
 * are gone.
 *
 * @see https://docs.kernel.org/trace/ftrace.html#instances
 */
export class TraceInstance {
  /** Prefix of its synthetic events, whose names are global in the kernel. */
  readonly syntheticPrefix: string;
  readonly #path: string;

  constructor(
    private readonly host: Host,
    private readonly writer: TracefsWriter,
    private readonly pid: number,
  ) {
    this.#path = `${this.#instances}/${PREFIX}${pid}`;
    this.syntheticPrefix = `kvm_telemetry_${pid}_`;
  }

  /**
   * Creates the instance, and removes what crashed processes left behind.
   *
   * @returns leftovers that could not be removed
   * @throws SourceError if tracefs cannot be used
   */
  async create(): Promise<SourceError[]> {
    const { host, writer } = this;
    const problems: SourceError[] = [];
    const stale = (ifThere(() => host.entries(this.#instances)) ?? []).filter((name) => this.#isStale(name));
    for (const name of stale)
      problems.push(...(await removeInstance(host, writer, `${this.#instances}/${name}`)));
    const isStale = (pid: number): boolean => pid === this.pid || !this.#isAlive(pid);
    problems.push(...(await removeSyntheticEvents(host, writer, isStale)));
    await writer.makeDirectory(this.#path);
    if (!(await this.#appears(() => this.exists))) {
      await writer.removeDirectory(this.#path);
      throw new SourceError('absent', host.roots.tracefs, 'not a tracefs: a new instance in it stays empty');
    }
    return problems;
  }

  /** Whether the instance still exists. */
  get exists(): boolean {
    return this.#isThere(`${this.#path}/events`);
  }

  /** A kernel without CONFIG_HIST_TRIGGERS has `trigger` files, but no `hist` files. */
  get hasHistTriggers(): boolean {
    return this.#isThere(`${this.#path}/events/sched/sched_switch/hist`);
  }

  /** @throws SourceError absent if this kernel does not have the event, or the event does not have a field */
  checkEvent(event: string, fields: readonly string[]): void {
    const [system = '', name = ''] = event.split('/');
    const format = ifThere(() => readEventFormat(this.host, system, name));
    if (format === undefined)
      throw new SourceError('absent', event, 'no such tracepoint in this kernel', 'not_in_this_kernel');
    const missing = fields.find((field) => !format.fields.has(field));
    if (missing !== undefined) {
      const reason = `the tracepoint has no field ${missing} in this kernel`;
      throw new SourceError('absent', event, reason, 'not_in_this_kernel');
    }
  }

  /** @param fields `pid_t pid; u64 lat` */
  async define(name: string, fields: string): Promise<void> {
    const { tracefs } = this.host.roots;
    const event = `${this.syntheticPrefix}${name}`;
    await this.#write(`${tracefs}/synthetic_events`, `${event} ${fields}`, tracefs);
    await this.#appears(() => this.#isThere(`${this.#path}/events/synthetic/${event}/trigger`));
  }

  /** Adds a trigger with an empty map. One whose removal failed still exists, with its counts: replaces it. */
  async add(event: string, line: string): Promise<void> {
    const add = (): Promise<void> => this.#write(this.#trigger(event), line, this.#path);
    try {
      await add();
    } catch (error) {
      if (sourceError(error, event).code !== 'EEXIST') throw error;
      await this.remove(event, line);
      await add();
    }
  }

  async remove(event: string, line: string): Promise<void> {
    await this.writer.append(this.#trigger(event), `!${line}`);
  }

  /** Clears the map of a trigger. The trigger must not have variables: the kernel would not find it. */
  async clear(event: string, line: string): Promise<void> {
    const [trigger, filter] = line.split(/ if (.*)/s);
    await this.writer.append(
      this.#trigger(event),
      `${trigger}:clear${filter === undefined ? '' : ` if ${filter}`}`,
    );
  }

  /** @throws SourceError */
  read(event: string): HistBlock[] {
    return readHist(this.host, `${this.#path}/events/${event}/hist`);
  }

  /**
   * Removes triggers, instance and synthetic events.
   *
   * @returns leftovers that could not be removed
   */
  async destroy(): Promise<SourceError[]> {
    const { host, writer, pid } = this;
    const problems = await removeInstance(host, writer, this.#path);
    return [...problems, ...(await removeSyntheticEvents(host, writer, (each) => each === pid))];
  }

  get #instances(): string {
    return `${this.host.roots.tracefs}/instances`;
  }

  #trigger(event: string): string {
    return `${this.#path}/events/${event}/trigger`;
  }

  /**
   * Writes a line. If the kernel refuses it, adds the reason from the folder's error_log, as the errno is
   * often just EINVAL.
   */
  async #write(path: string, line: string, folder: string): Promise<void> {
    try {
      await this.writer.append(path, line);
    } catch (error) {
      if (!(error instanceof SourceError) || error.kind !== 'failed') throw error;
      const reason = ifThere(() => readTraceErrorLog(this.host, folder));
      const why = `${error.reason}: ${reason ?? 'no reason in error_log'}: ${line}`;
      throw new SourceError('failed', path, why, error.code);
    }
  }

  /**
   * Waits for files to appear. The kernel creates them before the call returns, a simulated tracefs soon
   * after, and an ordinary directory never.
   */
  async #appears(isThere: () => boolean): Promise<boolean> {
    for (let tries = 0; !isThere() && tries < APPEARANCE_TRIES; tries++) await sleep(APPEARANCE_MS);
    return isThere();
  }

  #isThere(path: string): boolean {
    return ifThere(() => this.host.stat(path)) !== undefined;
  }

  #isStale(name: string): boolean {
    const pid = Number(/^kvm-telemetry-(\d{1,10})$/.exec(name)?.[1] ?? Number.NaN);
    return pid === this.pid || (Number.isInteger(pid) && !this.#isAlive(pid));
  }

  #isAlive(pid: number): boolean {
    return this.#isThere(`${this.host.roots.procfs}/${pid}`);
  }
}
