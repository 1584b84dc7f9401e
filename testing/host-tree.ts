import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { createHost, type Host } from '../probes/host.ts';

/** A folder with kernel files, for cases that cannot be captured: faults, other VMMs, other disk stacks. */
export interface HostTree {
  readonly folder: string;
  readonly host: Host;
  write(path: string, content: string | Buffer): void;
  link(path: string, target: string): void;
  remove(path: string): void;
  process(process: FakeProcess): void;
}

export interface FakeThread {
  readonly tid: number;
  readonly comm: string;
  readonly startTime?: number;
  readonly utime?: number;
}

export interface FakeProcess {
  readonly pid: number;
  readonly comm: string;
  readonly startTime?: number;
  readonly state?: string;
  readonly flags?: number;
  readonly argv?: readonly string[];
  readonly executable?: string;
  /** Targets of the file descriptors, by number. */
  readonly fds?: Readonly<Record<number, string>>;
  /** Threads besides the first. */
  readonly threads?: readonly FakeThread[];
}

/** @param context removes the folder when the test ends */
export function hostTree(context: Pick<TestContext, 'after'>): HostTree {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-host-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const host = createHost({
    procfs: join(folder, 'proc'),
    sysfs: join(folder, 'sys'),
    debugfs: join(folder, 'sys/kernel/debug'),
    tracefs: join(folder, 'sys/kernel/tracing'),
    libvirt: join(folder, 'run/libvirt/qemu'),
    libvirtConfig: join(folder, 'etc/libvirt/qemu'),
  });

  function write(path: string, content: string | Buffer): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, 'latin1');
  }

  function link(path: string, target: string): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    rmSync(join(folder, path), { force: true });
    symlinkSync(target, join(folder, path));
  }

  function task(path: string, thread: FakeThread, state: string, flags: number): void {
    const { tid, comm, startTime = 1000, utime = 5 } = thread;
    const fields = Array.from({ length: 52 }, () => '0');
    fields[0] = String(tid);
    fields[1] = `(${comm})`;
    fields[2] = state;
    fields[8] = String(flags);
    fields[13] = String(utime);
    fields[21] = String(startTime);
    fields[38] = '0';
    write(`${path}/stat`, `${fields.join(' ')}\n`);
    write(`${path}/schedstat`, '1000000000 2000000 30\n');
    write(
      `${path}/status`,
      `Name:\t${comm}\nCpus_allowed_list:\t0-1\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t2\n`,
    );
    write(`${path}/sched`, `${comm} (${tid}, #threads: 1)\n${'-'.repeat(67)}\nse.nr_migrations  :  4\n`);
  }

  mkdirSync(join(folder, 'proc'));
  write('proc/stat', 'cpu  0 0\nbtime 1700000000\n');
  write('proc/schedstat', 'version 15\ntimestamp 1\n');
  write('proc/interrupts', '           CPU0       CPU1\n');
  write('sys/devices/system/cpu/online', '0-1\n');
  mkdirSync(join(folder, 'sys/block'), { recursive: true });
  mkdirSync(join(folder, 'sys/kernel/debug/kvm'), { recursive: true });

  return {
    folder,
    host,
    write,
    link,
    remove(path) {
      rmSync(join(folder, path), { recursive: true, force: true });
    },
    process({
      pid,
      comm,
      startTime = 1000,
      state = 'S',
      flags = 0,
      argv = [],
      executable,
      fds = {},
      threads = [],
    }) {
      const path = `proc/${pid}`;
      task(path, { tid: pid, comm, startTime }, state, flags);
      task(`${path}/task/${pid}`, { tid: pid, comm, startTime }, state, flags);
      for (const thread of threads) task(`${path}/task/${thread.tid}`, thread, 'S', flags);
      write(`${path}/cmdline`, argv.map((argument) => `${argument}\0`).join(''));
      mkdirSync(join(folder, path, 'fd'), { recursive: true });
      if (executable !== undefined) link(`${path}/exe`, executable);
      for (const [fd, target] of Object.entries(fds)) link(`${path}/fd/${fd}`, target);
    },
  };
}
