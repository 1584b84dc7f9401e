import { type SourceError, sourceError } from '../../../probes/errors.ts';
import type { VirshJob } from '../../../probes/virsh-domjobinfo.ts';
import type { Vm } from '../../model/vm.ts';
import { hasEnded, type Migration } from '../../model/vm-statistics.ts';

/** @param completed whether to ask for the last job instead of the present one */
export type Domjobinfo = (
  uuid: string,
  completed: boolean,
  timeoutMs: number,
) => Promise<VirshJob | undefined>;

/**
 * Jobs of libvirt that are a live migration to QEMU. A snapshot with memory and a save are migrations to a file; so is a dump, if
 * QEMU does not dump itself.
 */
const DIRECTIONS: ReadonlyMap<string, Migration['direction']> = new Map([
  ['migration in', 'incoming'],
  ['migration out', 'outgoing'],
  ['save', 'outgoing'],
  ['snapshot', 'outgoing'],
  ['dump', 'outgoing'],
]);
/** Calls at a time. A host sends a few VMs at once; for further VMs only the status is known. */
const MAX_CALLS = 8;

const UNKNOWN = { memory: undefined, expectedDowntime: undefined, duration: undefined, downtime: undefined };

/**
 * Live migrations of the VMs that libvirt manages. Its state files name a domain's job, so that virsh runs only for a domain that
 * has one, and once after it ended.
 */
export class Jobs {
  #known: ReadonlyMap<string, Migration> = new Map();

  constructor(private readonly domjobinfo: Domjobinfo) {}

  /** The last migration of the VM. Does no I/O. */
  of({ key }: Vm): Migration | undefined {
    return this.#known.get(key);
  }

  /** @param vms all VMs whose jobs are to be known; others are forgotten */
  async query(
    vms: readonly Vm[],
    timeoutMs: number,
  ): Promise<{ migrations: ReadonlyMap<string, Migration>; problems: readonly SourceError[] }> {
    const problems: SourceError[] = [];
    const known = new Map<string, Migration>();
    let calls = 0;
    const current = async (vm: Vm): Promise<void> => {
      const before = this.#known.get(vm.key);
      const mayCall = calls < MAX_CALLS;
      if (this.#needsCall(vm)) calls++;
      const now = await this.#migrationOf(vm, before, mayCall ? timeoutMs : 0, problems);
      if (now !== undefined) known.set(vm.key, now);
    };
    await Promise.all(vms.map(current));
    this.#known = known;
    return { migrations: known, problems };
  }

  #needsCall({ key, job = '' }: Vm): boolean {
    return DIRECTIONS.get(job) === 'outgoing' || isRunning(this.#known.get(key));
  }

  async #migrationOf(
    { job = '', uuid }: Vm,
    before: Migration | undefined,
    timeoutMs: number,
    problems: SourceError[],
  ): Promise<Migration | undefined> {
    const direction = DIRECTIONS.get(job);
    // libvirt has no numbers at the destination.
    if (direction === 'incoming') return { ...UNKNOWN, direction, status: 'active' };
    if (direction === undefined && !isRunning(before)) return before;
    const unanswered =
      before ??
      (job === 'migration out' ? { ...UNKNOWN, direction: 'outgoing', status: 'active' } : undefined);
    if (timeoutMs <= 0) return unanswered;
    try {
      if (direction === 'outgoing') {
        const running = await this.domjobinfo(uuid, false, timeoutMs);
        if (running?.status === 'active') {
          const isMigration = job === 'migration out' || running.hasPages;
          return isMigration && running.memory !== undefined ? { ...running, direction } : unanswered;
        }
      }
      // libvirt's state file may be older than the end of the job.
      return isRunning(before) ? ended(await this.domjobinfo(uuid, true, timeoutMs), before) : before;
    } catch (error) {
      const problem = sourceError(error, uuid);
      // The domain ended, or QEMU has not started the job. libvirt itself works.
      if (problem.kind !== 'failed') problems.push(problem);
      return direction === undefined ? undefined : unanswered;
    }
  }
}

function isRunning(migration: Migration | undefined): migration is Migration {
  return migration !== undefined && !hasEnded(migration.status);
}

/** libvirt keeps the statistics of a completed job only. The result of any other job is unknown. */
function ended(job: VirshJob | undefined, { direction }: Migration): Migration | undefined {
  if (job === undefined || !hasEnded(job.status)) return undefined;
  if (job.operation !== undefined && job.operation !== 'other' && job.operation !== direction)
    return undefined;
  return { ...job, direction };
}
