import type { CpuTimes } from './cpu-times.ts';
import { kvmRows, threadRows } from './files/bpf-rows.ts';
import { QMP_FOLDER, socketOf } from './files/cmdline.ts';
import { debugfsFolder, writeDebugfs, writeDebugfsTotals } from './files/debugfs.ts';
import type { HostFacts } from './files/facts.ts';
import { monitorSockets, processStat, writeProcLive, writeProcStatic } from './files/host-proc.ts';
import { writeSysLive, writeSysStatic } from './files/host-sys.ts';
import { domstatusText } from './files/libvirt.ts';
import { netUnixText } from './files/process.ts';
import { Tree } from './files/tree.ts';
import { removeVmFiles, writeVmLive } from './files/vm-live.ts';
import { writeVmStatic } from './files/vm-static.ts';
import { HANGS } from './qmp/faults.ts';
import { repliesOf } from './qmp/replies.ts';
import { QmpServer } from './qmp/server.ts';
import { Tracefs } from './trace/tracefs.ts';
import type { SimVm } from './vm.ts';

/** A simulated host as files in a folder, with the QMP sockets of its VMs. */
export class HostTree {
  readonly tree: Tree;
  readonly tracefs: Tracefs;
  readonly #monitors = new Map<SimVm, QmpServer>();
  readonly #shown = new Set<SimVm>();
  #isServing = false;

  /** @param isAlone true if nobody reads the files while they are written */
  constructor(
    folder: string,
    facts: HostFacts,
    parameters: Readonly<Record<string, string>>,
    isAlone = false,
  ) {
    this.tree = new Tree(folder, isAlone);
    writeProcStatic(this.tree, facts);
    writeSysStatic(this.tree, facts, parameters);
    this.tree.directory('run/libvirt/qemu');
    this.tree.directory(QMP_FOLDER.slice(1));
    this.tree.directory('sys/kernel/debug/kvm');
    this.tracefs = new Tracefs(this.tree);
  }

  /** Writes the files that have changed. */
  update(facts: HostFacts, vms: readonly SimVm[], times: CpuTimes): void {
    for (const vm of this.#shown) if (!vms.includes(vm)) this.#hide(vm);
    for (const vm of vms) {
      if (!this.#shown.has(vm)) this.#show(vm, facts);
      writeVmLive(this.tree, vm, facts);
      writeDebugfs(this.tree, vm, facts);
      if (vm.spec.libvirt === true) this.tree.put(`run/libvirt/qemu/${vm.name}.xml`, domstatusText(vm));
    }
    writeDebugfsTotals(this.tree, vms, facts);
    if (facts.hasBpf) {
      this.tree.put('bpf/kvm', kvmRows(vms));
      this.tree.put('bpf/threads', threadRows(vms, facts));
    }
    this.tree.put('proc/1/net/unix', netUnixText(monitorSockets(vms)), 0o444);
    writeProcLive(this.tree, facts, times);
    writeSysLive(this.tree, facts, times);
    this.tracefs.update();
  }

  /** Adds a process that is not a VM, such as the exporter. */
  addProcess(pid: number, comm: string): void {
    this.tree.put(`proc/${pid}/stat`, processStat(pid, comm), 0o444);
    this.tree.put(`proc/${pid}/comm`, `${comm}\n`);
    this.tree.directory(`proc/${pid}/fd`);
  }

  #show(vm: SimVm, facts: HostFacts): void {
    this.#shown.add(vm);
    writeVmStatic(this.tree, vm, facts);
    if (this.#isServing) void this.#listen(vm);
  }

  #hide(vm: SimVm): void {
    this.#shown.delete(vm);
    void this.#monitors.get(vm)?.close();
    this.#monitors.delete(vm);
    removeVmFiles(this.tree, vm);
    this.tree.remove(debugfsFolder(vm));
    this.tree.remove(`run/libvirt/qemu/${vm.name}.xml`);
  }

  /** Starts the monitors and, if `watches`, reacts to lines written into tracefs. */
  async serve(watches: boolean): Promise<void> {
    this.#isServing = true;
    if (watches) this.tracefs.serve();
    for (const vm of this.#shown) await this.#listen(vm);
  }

  async #listen(vm: SimVm): Promise<void> {
    if (vm.spec.qmp === false || this.#monitors.has(vm)) return;
    const monitor = new QmpServer(this.tree.path(socketOf(vm).slice(1)), repliesOf(vm), () =>
      vm.faults.monitorHangs === true ? HANGS : undefined,
    );
    this.#monitors.set(vm, monitor);
    await monitor.listen();
  }

  close(): void {
    for (const monitor of this.#monitors.values()) void monitor.close();
    this.#monitors.clear();
    this.tracefs.close();
    this.tree.close();
  }
}
