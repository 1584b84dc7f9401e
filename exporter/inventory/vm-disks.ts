import { isGone, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { type Descriptor, readDescriptors } from '../../probes/proc-pid-fd.ts';
import { livesOn } from '../../probes/proc-task-stat.ts';
import type { OtherFiles } from '../../probes/qemu-files.ts';
import type { Vm } from '../model/vm.ts';
import { Yielder } from '../schedule/yielder.ts';
import { blockDevicesOf } from './block-devices.ts';
import type { Entry } from './entry.ts';
import { FileLookups } from './file-lookups.ts';
import type { HostFacts } from './host-facts.ts';
import { MountCache } from './mount-cache.ts';
import { areSame, otherFilesNow } from './other-files.ts';
import { passthroughOf, tapsOf } from './passthrough.ts';
import type { Problems } from './problems.ts';

/** Each VM's open disks are read in every sixth full pass: hot-plug is rare and the read is expensive. */
const PASSES_PER_DISK_READ = 6;

/** The data that one pass reads once for all VMs. */
interface PassReads {
  readonly mounts: MountCache;
  readonly lookups: FileLookups;
}

/** Finds the host's disks below each VM's open files. */
export class VmDisks {
  constructor(
    private readonly host: Host,
    private readonly facts: HostFacts,
    private readonly problems: Problems,
  ) {}

  /** Reads the disks of new VMs, of those whose turn it is, and of those whose media changed. */
  async refresh(entries: readonly Entry[], pass: number): Promise<void> {
    const mounts = new MountCache(this.host);
    const lookups = new FileLookups(this.host);
    const yielder = new Yielder();
    for (const entry of entries) {
      const { pid } = entry.vm;
      const { identity, files, hints } = entry;
      const otherFiles = otherFilesNow(this.host, identity.otherFiles, [files, hints?.files]);
      const isDue = (pid + pass) % PASSES_PER_DISK_READ === 0;
      if (!isDue && entry.otherFiles !== undefined && areSame(entry.otherFiles, otherFiles)) continue;
      if (yielder.isDue()) await yielder.yield();
      const descriptors = this.problems.attempt(
        'inventory',
        () => readDescriptors(this.host, pid),
        undefined,
        () => livesOn(this.host, entry.vm),
      );
      entry.otherFiles = otherFiles;
      const passthrough = this.problems.attempt(
        'inventory',
        () => descriptors && passthroughOf(this.host, descriptors),
        undefined,
      );
      const taps = this.problems.attempt('inventory', () => tapsOf(this.host, pid, descriptors ?? []), []);
      // Read the VM again: a hint may have changed it during the wait.
      const found = await this.#blockDevices(pid, descriptors ?? [], { mounts, lookups }, otherFiles);
      // A failed read changes nothing and is repeated in the next full pass.
      if (found === undefined) entry.otherFiles = undefined;
      entry.vm = { ...entry.vm, ...found, passthrough, taps };
    }
  }

  /** Disks are optional. @returns undefined if the VM's mounts cannot be read in time */
  async #blockDevices(
    pid: number,
    descriptors: readonly Descriptor[],
    { mounts, lookups }: PassReads,
    otherFiles: OtherFiles,
  ): Promise<Pick<Vm, 'blockDevices' | 'unknownDevices'> | undefined> {
    const { disksByName: disks, fileSystems } = this.facts;
    try {
      const devices = { host: this.host, disks, fileSystems, hostMounts: await mounts.of(1) };
      const open = { pid, descriptors, mounts: await mounts.of(pid), otherFiles };
      const found = await blockDevicesOf(devices, lookups, open);
      return { blockDevices: found.devices, unknownDevices: found.unknown };
    } catch (error) {
      if (!isGone(error)) this.problems.note('block', sourceError(error, `${this.host.roots.procfs}/${pid}`));
      return undefined;
    }
  }
}
