import { setTimeout as sleep } from 'node:timers/promises';
import { ifThere, isGone, SourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readTraceErrorLog } from '../../probes/tracefs-error-log.ts';
import { readEventFormat } from '../../probes/tracefs-format.ts';
import { type HistBlock, readHist } from '../../probes/tracefs-hist.ts';
import { NOT_IN_THIS_KERNEL } from '../model/trace-reading.ts';
import type { TracefsWriter } from './writer.ts';

const PREFIX = 'kvm-telemetry-';
/** All event systems that any version of this program has traced. */
const SYSTEMS = ['kvm', 'block', 'sched', 'lock', 'synthetic'];
/** A trigger whose variables other triggers use can be removed only after them. */
const PASSES = 4;
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
    for (const name of stale) problems.push(...(await this.#demolish(`${this.#instances}/${name}`)));
    problems.push(...(await this.#removeSynthetic((pid) => pid === this.pid || !this.#isAlive(pid))));
    await writer.makeDirectory(this.#path);
    if (!(await this.#appears(() => this.exists))) {
      await writer.removeDirectory(this.#path);
      throw new SourceError(
        'absent',
        host.roots.tracefs,
        'not a tracefs: an instance made in it stays empty',
      );
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
      throw new SourceError('absent', event, 'no such tracepoint in this kernel', NOT_IN_THIS_KERNEL);
    const missing = fields.find((field) => !format.fields.has(field));
    if (missing !== undefined) {
      const reason = `the tracepoint has no field ${missing} in this kernel`;
      throw new SourceError('absent', event, reason, NOT_IN_THIS_KERNEL);
    }
  }

  /** @param fields `pid_t pid; u64 lat` */
  async define(name: string, fields: string): Promise<void> {
    const { tracefs } = this.host.roots;
    const event = `${this.syntheticPrefix}${name}`;
    await this.#write(`${tracefs}/synthetic_events`, `${event} ${fields}`, tracefs);
    await this.#appears(() => this.#isThere(`${this.#path}/events/synthetic/${event}/trigger`));
  }

  async add(event: string, spec: string): Promise<void> {
    await this.#write(this.#trigger(event), spec, this.#path);
  }

  async remove(event: string, spec: string): Promise<void> {
    await this.writer.append(this.#trigger(event), `!${spec}`);
  }

  /** Clears the map of a trigger. The trigger must not have variables: the kernel would not find it. */
  async clear(event: string, spec: string): Promise<void> {
    const [trigger, filter] = spec.split(/ if (.*)/s);
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
    const problems = await this.#demolish(this.#path);
    return [...problems, ...(await this.#removeSynthetic((pid) => pid === this.pid))];
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

  async #demolish(instance: string): Promise<SourceError[]> {
    try {
      for (let pass = 0; pass < PASSES; pass++) {
        if ((await this.#removeTriggers(instance)) === 0) break;
      }
      await this.writer.removeDirectory(instance);
      return [];
    } catch (error) {
      if (isGone(error)) return [];
      return [error as SourceError];
    }
  }

  /** @returns number of triggers that others still need */
  async #removeTriggers(instance: string): Promise<number> {
    let left = 0;
    for (const file of this.#triggerFiles(instance)) {
      const specs = this.host
        .text(file)
        .split('\n')
        .filter((line) => line.startsWith('hist:'));
      for (const spec of specs.reverse()) {
        try {
          await this.writer.append(file, `!${spec.replace(/ \[\w+\]$/, '')}`);
        } catch {
          left++;
        }
      }
    }
    return left;
  }

  #triggerFiles(instance: string): string[] {
    return SYSTEMS.flatMap((system) => {
      const events = `${instance}/events/${system}`;
      const names = ifThere(() => this.host.entries(events)) ?? [];
      return names
        .map((name) => `${events}/${name}/trigger`)
        .filter((file) => ifThere(() => this.host.text(file))?.includes('hist:') === true);
    });
  }

  /** synthetic_events is shared with other programs: remove only our own events, one by one. */
  async #removeSynthetic(ofPid: (pid: number) => boolean): Promise<SourceError[]> {
    const file = `${this.host.roots.tracefs}/synthetic_events`;
    const problems: SourceError[] = [];
    for (const [, name = '', pid] of (ifThere(() => this.host.text(file)) ?? '').matchAll(
      /^(kvm_telemetry_(\d{1,10})_\w+)/gm,
    )) {
      if (!ofPid(Number(pid))) continue;
      try {
        await this.writer.append(file, `!${name}`);
      } catch (error) {
        if (!isGone(error)) problems.push(error as SourceError);
      }
    }
    return problems;
  }
}
