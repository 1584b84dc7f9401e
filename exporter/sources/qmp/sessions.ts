import { setTimeout as sleep } from 'node:timers/promises';
import { isGone, SourceError, sourceError, TimeIsUp } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { inTime } from '../../../probes/in-time.ts';
import { livesOn } from '../../../probes/proc-task-stat.ts';
import { signsOfDriver } from '../../../probes/qemu-io-path.ts';
import { filesOfBlocks, signsOfBlocks } from '../../../probes/qmp-block.ts';
import type { RemoteResult } from '../../model/remote.ts';
import type { MonitorHints, Vm } from '../../model/vm.ts';
import type { Storage, VmStatistics } from '../../model/vm-statistics.ts';
import type { Facts } from './facts.ts';
import { QmpSession } from './session.ts';
import { locateSockets, type SocketRules } from './sockets.ts';

export interface QmpSettings {
  readonly rules: SocketRules;
  /** For one command, and for one VM in one scrape. */
  readonly timeoutMs: number;
}

/** Errors of a connection whose peer has closed it or exited. */
const CLOSED: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE']);
/** Delays before each check whether the process has exited, after its monitor closed the connection. */
const DYING_MS = [0, 20, 80];

interface Held {
  readonly session: QmpSession;
  /** The facts from which the hints were derived. */
  facts: Facts | undefined;
  hints: MonitorHints | undefined;
  queried: boolean;
}

/** One session per VM with a monitor in an allowed place, from the VM's discovery to its exit. */
export class QmpSessions {
  readonly #held = new Map<string, Held>();
  readonly #seen = new Set<string>();
  /** Failures of VMs that kept running: during back-off a session returns the same failure again. */
  readonly #judged = new WeakSet<SourceError>();
  #problems: SourceError[] = [];

  constructor(
    private readonly host: Host,
    private settings: QmpSettings,
    private readonly now: () => number = () => performance.now(),
  ) {}

  configure(settings: QmpSettings): void {
    this.settings = settings;
  }

  /**
   * Finds the monitors of VMs.
   *
   * @param full also check VMs that had no monitor when they were first seen, and those whose monitor
   *   failed: the socket at that path may now belong to another VM
   */
  locate(vms: readonly Vm[], full: boolean): void {
    const alive = new Set(vms.map(({ key }) => key));
    for (const [key, { session }] of this.#held) {
      if (alive.has(key)) continue;
      session.close();
      this.#held.delete(key);
    }
    for (const key of this.#seen) if (!alive.has(key)) this.#seen.delete(key);
    const missing = vms.filter(({ key, vmm }) => {
      if (vmm !== 'qemu') return false;
      const held = this.#held.get(key);
      return held === undefined ? full || !this.#seen.has(key) : full && !held.session.isUp;
    });
    if (full) this.#problems = [];
    if (missing.length === 0) return;
    for (const { key } of missing) this.#seen.add(key);
    const { rules, timeoutMs } = this.settings;
    const uuids = new Map(missing.map(({ key, uuid }) => [key, uuid]));
    const note = (problem: SourceError): void => {
      if (this.#problems.length < 16) this.#problems.push(problem);
    };
    const located = locateSockets(this.host, missing, rules, note);
    for (const { key } of missing) {
      const held = this.#held.get(key);
      if (held === undefined || held.session.path === located.get(key)) continue;
      held.session.close();
      this.#held.delete(key);
    }
    for (const [key, path] of located) {
      if (this.#held.has(key)) continue;
      const session = new QmpSession(path, uuids.get(key) ?? '', timeoutMs, this.now);
      this.#held.set(key, { session, facts: undefined, hints: undefined, queried: false });
    }
  }

  /**
   * Queries all VMs in parallel. A VM that does not respond in time is left out.
   *
   * @param withinMs the caller's deadline, if it is shorter than the timeout per VM
   * @param knownOf names of the KVM statistics that the kernel has given for a VM
   */
  async query(
    vms: readonly Vm[],
    withinMs = Number.POSITIVE_INFINITY,
    knownOf: (vm: Vm) => ReadonlySet<string> | undefined = () => undefined,
  ): Promise<RemoteResult> {
    const statistics = new Map<string, VmStatistics>();
    const queried = new Set<string>();
    const problems = [...this.#problems];
    const { timeoutMs } = this.settings;
    await Promise.all(
      vms.map(async (vm) => {
        const { key } = vm;
        const held = this.#held.get(key);
        if (held === undefined) return;
        held.queried = true;
        queried.add(key);
        try {
          const { path } = held.session;
          // A monitor that answers each command just before its timeout must not delay the scrape.
          const late = (): SourceError =>
            withinMs < timeoutMs
              ? new TimeIsUp(path)
              : new SourceError('timeout', path, `no statistics in ${Math.round(timeoutMs)} ms`);
          statistics.set(
            key,
            await inTime(held.session.statistics(knownOf(vm)), Math.min(timeoutMs, withinMs), late),
          );
        } catch (error) {
          const problem = sourceError(error, held.session.path);
          if (!(await this.#isDeath(vm, problem))) problems.push(problem);
        }
      }),
    );
    return { statistics, queried, problems };
  }

  /** QEMU closes its monitor shortly before it exits, so after a new failure check whether it exits. */
  async #isDeath(vm: Vm, problem: SourceError): Promise<boolean> {
    if (!isGone(problem) && !CLOSED.has(problem.code ?? '')) return false;
    const waits = this.#judged.has(problem) ? [0] : DYING_MS;
    this.#judged.add(problem);
    for (const ms of waits) {
      if (ms > 0) await sleep(ms);
      if (!livesOn(this.host, vm)) return true;
    }
    return false;
  }

  /** The disks of the VMs by key, without VMs whose monitor does not respond in time. */
  async storage(vms: readonly Vm[]): Promise<Map<string, Storage>> {
    const storage = new Map<string, Storage>();
    const { timeoutMs } = this.settings;
    await Promise.all(
      vms.map(async ({ key }) => {
        const session = this.#held.get(key)?.session;
        if (session === undefined) return;
        const late = (): SourceError =>
          new SourceError('timeout', session.path, `no block statistics in ${Math.round(timeoutMs)} ms`);
        try {
          storage.set(key, await inTime(session.storage(), timeoutMs, late));
        } catch {
          // The next scrape reports the error.
        }
      }),
    );
    return storage;
  }

  /** The same object until the facts change; undefined before the first response. */
  hintsOf(key: string): MonitorHints | undefined {
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    const { facts } = held.session;
    if (facts !== held.facts) {
      held.facts = facts;
      held.hints = facts === undefined ? undefined : hints(facts);
    }
    return held.hints;
  }

  versionOf(key: string): string | undefined {
    return this.#held.get(key)?.session.facts?.version;
  }

  /** Facts as last read; undefined before the first response. */
  factsOf(key: string): Facts | undefined {
    return this.#held.get(key)?.session.facts;
  }

  /** Whether its monitor has not been queried yet. */
  isNew(key: string): boolean {
    return this.#held.get(key)?.queried === false;
  }

  has(key: string): boolean {
    return this.#held.has(key);
  }

  close(): void {
    for (const { session } of this.#held.values()) session.close();
    this.#held.clear();
  }
}

function hints({ cpus, iothreads, blocks, driversWithoutBlock }: Facts): MonitorHints {
  return {
    vcpus: new Map(cpus.map(({ threadId, index }) => [threadId, index])),
    iothreads: new Map(iothreads.map(({ threadId, id }) => [threadId, id])),
    files: filesOfBlocks(blocks),
    signs: new Set([...driversWithoutBlock.flatMap(signsOfDriver), ...signsOfBlocks(blocks)]),
  };
}
