import { NSEC_PER_SEC } from '../../../kernel/units.ts';
import { SourceError, sourceError } from '../../../probes/errors.ts';
import { inTime } from '../../../probes/in-time.ts';
import type { Domstats, VirshDomain, VirshOperation } from '../../../probes/virsh-domstats.ts';
import { NOTHING, type RemoteResult } from '../../model/remote.ts';
import { vcpuTable } from '../../model/vcpu-table.ts';
import type { Vm } from '../../model/vm.ts';
import { truncateName } from '../../model/vm-names.ts';
import {
  type DiskOperation,
  hasEnded,
  type Migration,
  UniqueNames,
  type VmStatistics,
} from '../../model/vm-statistics.ts';
import { Yielder } from '../../schedule/yielder.ts';
import { Jobs } from './jobs.ts';
import { STRETCH_MS, type Virsh } from './virsh.ts';

export interface LibvirtSettings {
  readonly uri: string;
  readonly timeoutMs: number;
}

interface Answer extends Domstats {
  readonly migrations: ReadonlyMap<string, Migration>;
}

/** Delay before the next call after a failure: clients must not pile up in front of a libvirtd that hangs. */
const BACKOFF_MS = 30_000;
/** Time for a killed virsh to exit. */
const GRACE_MS = 200;
/** VIR_DOMAIN_RUNNING. */
const RUNNING = 1;
/** VIR_DOMAIN_PAUSED. */
const PAUSED = 3;

/** virDomainState, include/libvirt/libvirt-domain.h. */
const STATES = ['nostate', 'running', 'blocked', 'paused', 'shutdown', 'shutoff', 'crashed', 'pmsuspended'];

/** Statistics of the VMs that libvirt manages, with one call for all of them. */
export class Libvirt {
  #retryAt = Number.NEGATIVE_INFINITY;
  #failure: SourceError | undefined;
  #asking: Promise<Answer> | undefined;
  readonly #jobs: Jobs;
  /** VMs that had KVM's statistics before. If the statistics are missing now, the domain is busy. */
  #withStatistics: ReadonlySet<string> = new Set();

  constructor(
    private settings: LibvirtSettings,
    private readonly virsh: Pick<Virsh, 'domstats' | 'domjobinfo'>,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#jobs = new Jobs((uuid, completed, timeoutMs) =>
      virsh.domjobinfo(this.settings.uri, uuid, completed, timeoutMs),
    );
  }

  configure(settings: LibvirtSettings): void {
    this.settings = settings;
  }

  /** The VM's last live migration. Does no I/O. */
  migrationOf(vm: Vm): Migration | undefined {
    return this.#jobs.of(vm);
  }

  /** @param vms VMs that libvirt manages and that have no other source; if empty, libvirt is not called */
  async query(vms: readonly Vm[]): Promise<RemoteResult> {
    if (vms.length === 0) return NOTHING;
    const queried = new Set(vms.map(({ key }) => key));
    if (this.#failure !== undefined && this.now() < this.#retryAt) {
      return { statistics: new Map(), queried, problems: [this.#failure] };
    }
    const { uri, timeoutMs } = this.settings;
    try {
      const { domains, problems, migrations } = await this.#answer(vms, uri, timeoutMs);
      this.#failure = undefined;
      const statistics = new Map<string, VmStatistics>();
      const withStatistics = new Set<string>();
      const arriving = new Set<string>();
      const yielder = new Yielder(STRETCH_MS);
      for (const { key, domain: name } of vms) {
        if (yielder.isDue()) await yielder.yield();
        const domain = domains.get(name);
        const had = this.#withStatistics.has(key);
        if (had || (domain !== undefined && domain.vcpus.size > 0)) withStatistics.add(key);
        if (domain !== undefined && hasAnswered(domain, had)) statistics.set(key, toStatistics(domain));
        else if (domain?.state === PAUSED && isArriving(migrations.get(key))) arriving.add(key);
      }
      this.#withStatistics = withStatistics;
      return { statistics, queried, problems, migrations, arriving };
    } catch (error) {
      this.#failure = sourceError(error, uri);
      this.#retryAt = this.now() + BACKOFF_MS;
      return { statistics: new Map(), queried, problems: [this.#failure] };
    }
  }

  /** Concurrent scrapes share a call. No call starts before the previous one has ended. */
  #answer(vms: readonly Vm[], uri: string, timeoutMs: number): Promise<Answer> {
    this.#asking ??= this.#ask(vms, uri, timeoutMs).finally(() => {
      this.#asking = undefined;
    });
    // Do not wait for a child that does not exit even after SIGKILL because it is blocked in the kernel.
    const late = (): SourceError =>
      new SourceError('timeout', uri, `virsh did not exit in ${Math.round(timeoutMs)} ms`);
    return inTime(this.#asking, timeoutMs + GRACE_MS, late);
  }

  async #ask(vms: readonly Vm[], uri: string, timeoutMs: number): Promise<Answer> {
    const [{ domains, problems }, jobs] = await Promise.all([
      this.virsh.domstats(uri, timeoutMs),
      this.#jobs.query(vms, timeoutMs),
    ]);
    return { domains, problems: [...problems, ...jobs.problems], migrations: jobs.migrations };
  }
}

/**
 * Whether the statistics are complete. For a busy domain libvirt reports no data that it must query from QEMU: no
 * statistics of disks, IOThreads or KVM. libvirt before 8.9 and QEMU before 7.1 never report KVM's statistics.
 */
function hasAnswered(
  { vcpus, disks, iothreads, hasDisks, state }: VirshDomain,
  hadStatistics: boolean,
): boolean {
  if (vcpus.size > 0) return true;
  if (hadStatistics) return false;
  return disks.length > 0 || iothreads.length > 0 || (!hasDisks && state === RUNNING);
}

function isArriving(migration: Migration | undefined): boolean {
  return migration?.direction === 'incoming' && !hasEnded(migration.status);
}

function toStatistics(domain: VirshDomain): VmStatistics {
  const names = new UniqueNames();
  return {
    source: 'libvirt',
    vm: new Map(),
    vcpus: vcpuTable(domain.vcpus),
    histograms: new Map(),
    types: domain.types,
    state: STATES[domain.state ?? 0] ?? 'nostate',
    disks: domain.disks.map((disk) => ({
      name: names.of(truncateName(disk.name)),
      read: operation(disk.read),
      write: operation(disk.write),
      flush: disk.flush && operation(disk.flush),
      discard: undefined,
      file: truncateName(disk.path),
      driver: '',
      iothreads: undefined,
      queues: undefined,
    })),
    iothreads: domain.iothreads.map(({ id, pollMaxNs, pollGrow, pollShrink, pollWeight }) => ({
      id: `iothread${id}`,
      pollMaxSeconds: pollMaxNs / NSEC_PER_SEC,
      pollGrow,
      pollShrink,
      pollWeight,
      aioMaxBatch: undefined,
    })),
  };
}

function operation({ operations, bytes, timeNs }: VirshOperation): DiskOperation {
  return {
    operations,
    bytes,
    seconds: timeNs / NSEC_PER_SEC,
    merged: undefined,
    failed: undefined,
    latency: undefined,
  };
}
