import { SourceError, sourceError } from '../../../probes/errors.ts';
import { readBalloon } from '../../../probes/qmp-balloon.ts';
import { type QmpBlock, readBlock } from '../../../probes/qmp-block.ts';
import { readBlockstats } from '../../../probes/qmp-blockstats.ts';
import { QmpConnection, type QmpEndings } from '../../../probes/qmp-connection.ts';
import { readCpus } from '../../../probes/qmp-cpus.ts';
import { readIothreads } from '../../../probes/qmp-iothreads.ts';
import { isIncoming, type QmpMigration, readMigration } from '../../../probes/qmp-migrate.ts';
import { type QmpPciDevice, readPci } from '../../../probes/qmp-pci.ts';
import {
  type Controllers,
  devicePath,
  type QmpDiskQueues,
  readDiskQueues,
  readDriver,
} from '../../../probes/qmp-qom.ts';
import {
  type QmpStatistics,
  type QmpVcpuStatistics,
  readStatsSchemas,
  readVcpuStats,
  readVmStats,
  type StatisticType,
} from '../../../probes/qmp-stats.ts';
import { readStatus } from '../../../probes/qmp-status.ts';
import { readUuid } from '../../../probes/qmp-uuid.ts';
import { readVersion } from '../../../probes/qmp-version.ts';
import type { Migration, Storage, VmStatistics } from '../../model/vm-statistics.ts';
import { Backoff } from '../../schedule/backoff.ts';
import type { Facts } from './facts.ts';
import { storageOf, vmStatistics } from './statistics.ts';

/** Interval for reading the facts again: `qom-set` can change the polling parameters at any time. */
const FACTS_MS = 30_000;
const FIRST_BACKOFF_MS = 5_000;
/** Only the monitor shows `poll-max-ns`. After a busy time a verdict must not wait longer than this for it. */
const MAX_BACKOFF_MS = 60_000;
/** Time limit for one round, as a multiple of the timeout per response. The first round has many requests. */
const PATIENCE = 10;

const NONE: ReadonlySet<string> = new Set();

/** One VM's monitor. Connects at the first request, keeps the connection, and backs off after a failure. */
export class QmpSession {
  #connection: QmpConnection | undefined;
  #facts: Facts | undefined;
  #factsAt = Number.NEGATIVE_INFINITY;
  readonly #backoff: Backoff;
  #failure: SourceError | undefined;
  #asking: Promise<VmStatistics> | undefined;
  #askedAt = 0;
  #ended = false;

  /** @param uuid UUID from the VM's command line; a monitor with another UUID belongs to another VM */
  constructor(
    readonly path: string,
    private readonly uuid: string,
    private readonly timeoutMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#backoff = new Backoff(FIRST_BACKOFF_MS, MAX_BACKOFF_MS, now);
  }

  /** As last read; undefined before the first response. */
  get facts(): Facts | undefined {
    return this.#facts;
  }

  /**
   * Shares one request between concurrent callers.
   *
   * @param elsewhere names of the KVM statistics that the kernel has given. If these are all, QEMU gets no request
   *   for them, because it would wake each vCPU.
   * @throws SourceError, immediately during back-off
   */
  statistics(elsewhere: ReadonlySet<string> = NONE): Promise<VmStatistics> {
    if (this.#asking !== undefined && this.#isLate()) return Promise.reject(this.#tooLate());
    this.#asking ??= this.#query(elsewhere).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /**
   * The disks with their counters, IOThreads and the live migration: short requests that interrupt no vCPU, and the
   * facts if they are old. @throws SourceError
   */
  async storage(): Promise<Storage> {
    const qmp = this.#connection;
    if (qmp?.isOpen !== true) return this.statistics();
    try {
      const facts = await this.#currentFacts(qmp);
      const [disks, migration] = await Promise.all([
        readBlockstats(qmp, this.timeoutMs),
        readMigration(qmp, this.timeoutMs),
      ]);
      const state = migration === undefined ? '' : await readStatus(qmp, this.timeoutMs);
      return { ...storageOf(facts, disks), migration: directed(migration, state, qmp.endings) };
    } catch (error) {
      this.#disconnect();
      throw this.#fail(sourceError(error, this.path));
    }
  }

  /** False from a failure until the next successful request. */
  get isUp(): boolean {
    return this.#failure === undefined;
  }

  /** Closes the session permanently: the VM has exited, or its monitor is no longer ours. */
  close(): void {
    this.#ended = true;
    this.#disconnect();
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #query(elsewhere: ReadonlySet<string>): Promise<VmStatistics> {
    if (this.#ended) throw new SourceError('vanished', this.path, 'the VM is gone');
    if (this.#failure !== undefined && !this.#backoff.isOver) throw this.#failure;
    this.#askedAt = this.now();
    // Each response may arrive just before its timeout, so the whole round has a limit as well.
    const patience = setTimeout(() => this.#disconnect(), this.timeoutMs * PATIENCE);
    patience.unref();
    let result: VmStatistics;
    try {
      result = await this.#queryOpen(elsewhere);
    } catch (error) {
      this.#disconnect();
      throw this.#fail(sourceError(error, this.path));
    } finally {
      clearTimeout(patience);
    }
    // All callers have timed out. Fail, so that the next ones do not wait too. Facts that were read are kept.
    if (this.#isLate()) throw this.#fail(this.#tooLate());
    this.#failure = undefined;
    this.#backoff.succeeded();
    return result;
  }

  #isLate(): boolean {
    return this.now() - this.#askedAt > this.timeoutMs;
  }

  #tooLate(): SourceError {
    return new SourceError('timeout', this.path, `no statistics in ${Math.round(this.timeoutMs)} ms`);
  }

  #fail(failure: SourceError): SourceError {
    this.#failure = failure;
    this.#backoff.failed();
    return failure;
  }

  async #queryOpen(elsewhere: ReadonlySet<string>): Promise<VmStatistics> {
    if (this.#connection?.isOpen !== true) {
      const opened = await QmpConnection.open(this.path, this.timeoutMs);
      // The VM exited during the connect: nothing else would close this connection.
      if (this.#ended) opened.close();
      this.#connection = opened;
      this.#factsAt = Number.NEGATIVE_INFINITY;
      await this.#checkIdentity(this.#connection);
    }
    const qmp = this.#connection;
    const facts = await this.#currentFacts(qmp);
    const none: QmpStatistics = { values: new Map(), histograms: new Map() };
    const hasMore = [...(facts.types?.keys() ?? [])].some((name) => !elsewhere.has(name));
    const [vm, vcpus, disks, state, migration, balloon] = await Promise.all([
      hasMore ? readVmStats(qmp, this.timeoutMs) : none,
      hasMore ? readVcpuStats(qmp, this.timeoutMs) : ([] as QmpVcpuStatistics[]),
      readBlockstats(qmp, this.timeoutMs),
      readStatus(qmp, this.timeoutMs),
      readMigration(qmp, this.timeoutMs),
      facts.hasBalloon ? readBalloon(qmp, this.timeoutMs) : undefined,
    ]);
    const known = new Set(facts.cpus.map(({ qomPath }) => qomPath));
    const isNew = vcpus.some(({ qomPath }) => !known.has(qomPath));
    const latest = isNew ? await this.#readFacts(qmp) : facts;
    return {
      ...vmStatistics(latest, vm, vcpus, disks, state),
      migration: directed(migration, state, qmp.endings),
      balloon,
    };
  }

  async #checkIdentity(qmp: QmpConnection): Promise<void> {
    const uuid = await readUuid(qmp, this.timeoutMs);
    if (this.uuid !== '' && uuid !== this.uuid) {
      throw new SourceError('denied', this.path, `the monitor belongs to VM ${uuid}, not ${this.uuid}`);
    }
  }

  async #currentFacts(qmp: QmpConnection): Promise<Facts> {
    if (this.#facts !== undefined && this.now() - this.#factsAt < FACTS_MS) return this.#facts;
    return this.#readFacts(qmp);
  }

  async #readFacts(qmp: QmpConnection): Promise<Facts> {
    const { timeoutMs } = this;
    const [version, cpus, iothreads, blocks, pci, types, balloon] = await Promise.all([
      readVersion(qmp, timeoutMs),
      readCpus(qmp, timeoutMs),
      readIothreads(qmp, timeoutMs),
      readBlock(qmp, timeoutMs),
      pciOrNone(qmp, timeoutMs),
      this.#facts?.types ?? typesOrNone(qmp, timeoutMs),
      readBalloon(qmp, timeoutMs),
    ]);
    const queues = new Map<string, QmpDiskQueues>();
    const controllers: Controllers = new Map();
    for (const { qdev } of blocks) {
      const device = devicePath(qdev);
      if (device !== undefined) queues.set(device, await readDiskQueues(qmp, device, timeoutMs, controllers));
    }
    const driversWithoutBlock = await driversOf(qmp, pci, blocks, timeoutMs);
    const hasBalloon = balloon !== undefined;
    this.#facts = { version, types, cpus, iothreads, blocks, queues, pci, driversWithoutBlock, hasBalloon };
    this.#factsAt = this.now();
    return this.#facts;
  }
}

function directed(
  migration: QmpMigration | undefined,
  state: string,
  endings: QmpEndings,
): Migration | undefined {
  const direction = migration !== undefined && isIncoming(migration, state) ? 'incoming' : 'outgoing';
  return migration && { ...migration, direction, endings };
}

/** A disk of vhost-user has no block node, and one that was plugged in later is in no command line. */
async function driversOf(
  qmp: QmpConnection,
  pci: readonly QmpPciDevice[],
  blocks: readonly QmpBlock[],
  timeoutMs: number,
): Promise<string[]> {
  const known = new Set(blocks.map(({ qdev }) => devicePath(qdev)));
  const drivers: string[] = [];
  for (const { name, isVirtioStorage } of pci) {
    if (!isVirtioStorage || known.has(devicePath(name))) continue;
    const driver = await readDriver(qmp, name, timeoutMs);
    if (driver !== undefined) drivers.push(driver);
  }
  return drivers;
}

/** PCI is needed only for names of virtqueues, and a machine such as microvm has none. */
async function pciOrNone(qmp: QmpConnection, timeoutMs: number): Promise<QmpPciDevice[]> {
  try {
    return await readPci(qmp, timeoutMs);
  } catch (error) {
    if (error instanceof SourceError && (error.kind === 'absent' || error.kind === 'failed')) return [];
    throw error;
  }
}

/** `query-stats-schemas` requires QEMU 7.1. */
async function typesOrNone(
  qmp: QmpConnection,
  timeoutMs: number,
): Promise<Map<string, StatisticType> | undefined> {
  try {
    return await readStatsSchemas(qmp, timeoutMs);
  } catch (error) {
    if (error instanceof SourceError && error.kind === 'absent') return undefined;
    throw error;
  }
}
