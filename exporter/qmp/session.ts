import { SourceError, sourceError } from '../../probes/errors.ts';
import { readBlock } from '../../probes/qmp-block.ts';
import { readBlockstats } from '../../probes/qmp-blockstats.ts';
import { QmpConnection } from '../../probes/qmp-connection.ts';
import { readCpus } from '../../probes/qmp-cpus.ts';
import { readIothreads } from '../../probes/qmp-iothreads.ts';
import { type QmpPciDevice, readPci } from '../../probes/qmp-pci.ts';
import { type Controllers, devicePath, type QmpDiskQueues, readDiskQueues } from '../../probes/qmp-qom.ts';
import {
  type QmpStatistics,
  type QmpVcpuStatistics,
  readStatsSchemas,
  readVcpuStats,
  readVmStats,
  type StatisticType,
} from '../../probes/qmp-stats.ts';
import { readStatus } from '../../probes/qmp-status.ts';
import { readUuid } from '../../probes/qmp-uuid.ts';
import { readVersion } from '../../probes/qmp-version.ts';
import { iosOf, type VmStatistics } from '../model/vm-statistics.ts';
import type { Facts } from './facts.ts';
import { isNamed, vmStatistics } from './statistics.ts';

/** Polling can be changed with `qom-set` at any time: looked at again this often. */
const FACTS_MS = 30_000;
const FIRST_BACKOFF_MS = 5_000;
const MAX_BACKOFF_MS = 300_000;
/** All answers of one round may take this many times as long as one: the first round puts many questions. */
const PATIENCE = 10;

/** One VM's monitor: connected when first asked, kept open, left alone for a while after it failed. */
export class QmpSession {
  #connection: QmpConnection | undefined;
  #facts: Facts | undefined;
  #factsAt = Number.NEGATIVE_INFINITY;
  #backoffMs = 0;
  #retryAt = Number.NEGATIVE_INFINITY;
  #failure: SourceError | undefined;
  #asking: Promise<VmStatistics> | undefined;
  #askedAt = 0;
  #ended = false;

  /** @param uuid what the VM's command line says; a monitor that says otherwise speaks for another VM */
  constructor(
    readonly path: string,
    private readonly uuid: string,
    private readonly timeoutMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** As last read; undefined before the first answer. */
  get facts(): Facts | undefined {
    return this.#facts;
  }

  /** Asks once, however many want to know. @throws SourceError, at once while the monitor is left alone */
  statistics(): Promise<VmStatistics> {
    if (this.#asking !== undefined && this.#isLate()) return Promise.reject(this.#tooLate());
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Requests that completed on all its disks: one short question, which no vCPU has to answer. @throws SourceError */
  async ios(): Promise<number> {
    if (this.#connection?.isOpen !== true) return iosOf((await this.statistics()).disks);
    try {
      return iosOf((await readBlockstats(this.#connection, this.timeoutMs)).filter(isNamed));
    } catch (error) {
      this.#disconnect();
      throw this.#fail(sourceError(error, this.path));
    }
  }

  /** Whether its last question was answered, or is being asked. */
  get isUp(): boolean {
    return this.#failure === undefined;
  }

  /** For good: the VM is gone, or its monitor is none of ours any more. */
  close(): void {
    this.#ended = true;
    this.#disconnect();
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #ask(): Promise<VmStatistics> {
    if (this.#ended) throw new SourceError('vanished', this.path, 'the VM is gone');
    if (this.#failure !== undefined && this.now() < this.#retryAt) throw this.#failure;
    this.#askedAt = this.now();
    // Each answer may come just in time: together they must come to an end as well.
    const patience = setTimeout(() => this.#disconnect(), this.timeoutMs * PATIENCE);
    patience.unref();
    let result: VmStatistics;
    try {
      result = await this.#askOpen();
    } catch (error) {
      this.#disconnect();
      throw this.#fail(sourceError(error, this.path));
    } finally {
      clearTimeout(patience);
    }
    // Nobody waited for it, and nobody shall wait again so soon; what was learnt on the way is kept.
    if (this.#isLate()) throw this.#fail(this.#tooLate());
    this.#failure = undefined;
    this.#backoffMs = 0;
    return result;
  }

  #isLate(): boolean {
    return this.now() - this.#askedAt > this.timeoutMs;
  }

  #tooLate(): SourceError {
    return new SourceError('timeout', this.path, `no statistics in ${this.timeoutMs} ms`);
  }

  #fail(failure: SourceError): SourceError {
    this.#failure = failure;
    this.#backoffMs = Math.min(MAX_BACKOFF_MS, this.#backoffMs * 2 || FIRST_BACKOFF_MS);
    this.#retryAt = this.now() + this.#backoffMs;
    return failure;
  }

  async #askOpen(): Promise<VmStatistics> {
    if (this.#connection?.isOpen !== true) {
      const opened = await QmpConnection.open(this.path, this.timeoutMs);
      // The VM went while its monitor was connected to: nobody would close this one any more.
      if (this.#ended) opened.close();
      this.#connection = opened;
      this.#factsAt = Number.NEGATIVE_INFINITY;
      await this.#checkIdentity(this.#connection);
    }
    const qmp = this.#connection;
    const facts = await this.#currentFacts(qmp);
    const none: QmpStatistics = { values: new Map(), histograms: new Map() };
    const [vm, vcpus, disks, state] = await Promise.all([
      facts.types === undefined ? none : readVmStats(qmp, this.timeoutMs),
      facts.types === undefined ? ([] as QmpVcpuStatistics[]) : readVcpuStats(qmp, this.timeoutMs),
      readBlockstats(qmp, this.timeoutMs),
      readStatus(qmp, this.timeoutMs),
    ]);
    const known = new Set(facts.cpus.map(({ qomPath }) => qomPath));
    const isNew = vcpus.some(({ qomPath }) => !known.has(qomPath));
    return vmStatistics(isNew ? await this.#readFacts(qmp) : facts, vm, vcpus, disks, state);
  }

  async #checkIdentity(qmp: QmpConnection): Promise<void> {
    const uuid = await readUuid(qmp, this.timeoutMs);
    if (this.uuid !== '' && uuid !== this.uuid) {
      throw new SourceError('denied', this.path, `the monitor speaks for VM ${uuid}, not ${this.uuid}`);
    }
  }

  async #currentFacts(qmp: QmpConnection): Promise<Facts> {
    if (this.#facts !== undefined && this.now() - this.#factsAt < FACTS_MS) return this.#facts;
    return this.#readFacts(qmp);
  }

  async #readFacts(qmp: QmpConnection): Promise<Facts> {
    const { timeoutMs } = this;
    const [version, cpus, iothreads, blocks, pci, types] = await Promise.all([
      readVersion(qmp, timeoutMs),
      readCpus(qmp, timeoutMs),
      readIothreads(qmp, timeoutMs),
      readBlock(qmp, timeoutMs),
      pciOrNone(qmp, timeoutMs),
      this.#facts?.types ?? typesOrNone(qmp, timeoutMs),
    ]);
    const queues = new Map<string, QmpDiskQueues>();
    const controllers: Controllers = new Map();
    for (const { qdev } of blocks) {
      const device = devicePath(qdev);
      if (device !== undefined) queues.set(device, await readDiskQueues(qmp, device, timeoutMs, controllers));
    }
    this.#facts = { version, types, cpus, iothreads, blocks, queues, pci };
    this.#factsAt = this.now();
    return this.#facts;
  }
}

/** Only names of virtqueues depend on it, and a machine such as microvm has no PCI. */
async function pciOrNone(qmp: QmpConnection, timeoutMs: number): Promise<QmpPciDevice[]> {
  try {
    return await readPci(qmp, timeoutMs);
  } catch (error) {
    if (error instanceof SourceError && (error.kind === 'absent' || error.kind === 'failed')) return [];
    throw error;
  }
}

/** `query-stats-schemas` came with QEMU 7.1. */
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
