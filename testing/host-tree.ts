import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { rootsOf } from '../exporter/config/roots.ts';
import { type Descriptor, writeProcess } from '../lab/simhost/files/process.ts';
import { type Task, writeTask } from '../lab/simhost/files/task.ts';
import { createHost, type Host } from '../probes/host.ts';
import { temporaryFolder } from './folder.ts';

/** A folder with kernel files, for cases that cannot be captured: faults, other VMMs, other disk stacks. */
export interface HostTree {
  readonly folder: string;
  readonly host: Host;
  write(path: string, content: string | Buffer): void;
  link(path: string, target: string): void;
  remove(path: string): void;
  process(process: FakeProcess): void;
  /** A block device. @param path of its folder in sysfs: `devices/pci0/sda` */
  disk(name: string, number: string, path?: string): void;
}

export interface FakeThread {
  readonly tid: number;
  readonly comm: string;
  readonly startTime?: number;
  readonly utime?: number;
  /** The CPU of its last run; 0 by default. */
  readonly cpu?: number;
}

export interface FakeProcess {
  readonly pid: number;
  readonly comm: string;
  readonly startTime?: number;
  readonly state?: Task['state'];
  readonly flags?: number;
  readonly argv?: readonly string[];
  readonly executable?: string;
  /** Open files by number: the target of the link, or more. */
  readonly fds?: Readonly<Record<number, string | Descriptor>>;
  /** Threads besides the first. */
  readonly threads?: readonly FakeThread[];
}

/** @param context removes the folder when the test ends */
export function hostTree(context: Pick<TestContext, 'after'>): HostTree {
  const folder = temporaryFolder(context);
  const host = createHost(rootsOf({ 'path.rootfs': folder }));

  function write(path: string, content: string | Buffer): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, 'latin1');
  }

  function link(path: string, target: string): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    rmSync(join(folder, path), { force: true });
    symlinkSync(target, join(folder, path));
  }

  const directory = (path: string): void => void mkdirSync(join(folder, path), { recursive: true });
  const files = { put: write, link, directory };

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
    process(process) {
      const { pid, comm, argv = [], executable, fds = {}, threads = [] } = process;
      const descriptors = Object.entries(fds).map(([fd, open]): [number, Descriptor] => [
        Number(fd),
        typeof open === 'string' ? { target: open } : open,
      ]);
      const identity = { pid, comm, argv, descriptors: new Map(descriptors) };
      writeProcess(files, executable === undefined ? identity : { ...identity, executable });
      writeTask(files, `proc/${pid}`, taskOf(process, { ...process, tid: pid }));
      for (const thread of [{ ...process, tid: pid }, ...threads])
        writeTask(files, `proc/${pid}/task/${thread.tid}`, taskOf(process, thread));
    },
    disk(name, number, path = `devices/pci0/${name}`) {
      write(`sys/${path}/dev`, `${number}\n`);
      link(`sys/block/${name}`, `../${path}`);
    },
  };
}

/** A thread that has run a little, on a host with two CPUs. */
function taskOf({ pid, flags = 0, ...process }: FakeProcess, thread: FakeThread): Task {
  return {
    pid,
    tid: thread.tid,
    comm: thread.comm,
    state: thread.tid === pid ? (process.state ?? 'S') : 'S',
    flags,
    threads: 1 + (process.threads?.length ?? 0),
    startTicks: thread.startTime ?? 1000,
    user: thread.utime ?? 5,
    system: 0,
    guest: 0,
    runNs: 1_000_000_000,
    waitNs: 2_000_000,
    slices: 30,
    voluntary: 7,
    involuntary: 2,
    migrations: 4,
    cpu: thread.cpu ?? 0,
    node: 0,
    allowed: [0, 1],
    cpus: 2,
    nodes: 1,
  };
}
