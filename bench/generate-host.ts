import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mountinfo } from './mountinfo.ts';
import { retargetSched, retargetSchedstat, retargetStat, retargetStatus, type Task } from './task-files.ts';

/**
 * The VM of the captured host that serves as the template, its threads, and the kernel threads that KVM
 * created for it.
 */
const TEMPLATE = {
  pid: 244,
  kvmFd: 16,
  vcpu: 252,
  iothread: 246,
  callRcu: 245,
  kernelThreads: [247, 249, 264],
};
const FIRST_PID = 10_000;
const PIDS_PER_VM = 100;
export const VCPUS = 8;
export const IOTHREADS = 2;
const WORKERS = 2;
/** Descriptors after the template's own: the other vCPUs, and one or two eventfds per queue. */
const FIRST_NEW_FD = 33;
const NEW_EVENTFDS = 8;

interface Thread {
  readonly tid: number;
  readonly comm: string;
  /** The template's thread whose files are copied. */
  readonly like: number;
}

/**
 * Writes a host as plain files: a captured real host whose one VM is repeated `vms` times. Each copy has its
 * own process ids, names, times and counters.
 * @param template a folder with `proc` and `sys` of the capture
 */
export function generateHost(template: string, to: string, vms: number): void {
  copyHost(template, to);
  for (let index = 0; index < vms; index++) writeVm(template, to, index);
}

export function vmName(index: number): string {
  return `vm-${String(index).padStart(4, '0')}`;
}

function copyHost(template: string, to: string): void {
  const ofTemplate = new RegExp(
    `^/(proc/(${[TEMPLATE.pid, ...TEMPLATE.kernelThreads].join('|')})|sys/kernel/debug/kvm/${TEMPLATE.pid}-.*|qmp)$`,
  );
  cpSync(template, to, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (source) => !ofTemplate.test(source.slice(template.length)),
  });
  mkdirSync(`${to}/proc/1`);
  writeFileSync(`${to}/proc/1/mountinfo`, mountinfo);
  mkdirSync(`${to}/sys/kernel/security`, { recursive: true });
  writeFileSync(`${to}/sys/kernel/security/lockdown`, '[none] integrity confidentiality\n');
}

export function pidOf(index: number): number {
  return FIRST_PID + index * PIDS_PER_VM;
}

export function uuidOf(index: number): string {
  return `22222222-2222-3333-4444-${String(index).padStart(12, '0')}`;
}

/** Removes a VM: its process, its kernel threads and its debugfs folder. */
export function removeVm(to: string, index: number): void {
  const pid = pidOf(index);
  const kernelThreads = TEMPLATE.kernelThreads.map((_, i) => `proc/${pid + 50 + i}`);
  for (const path of [`proc/${pid}`, ...kernelThreads, `sys/kernel/debug/kvm/${pid}-${TEMPLATE.kvmFd}`]) {
    rmSync(`${to}/${path}`, { recursive: true });
  }
}

export function writeVm(template: string, to: string, index: number): void {
  const pid = pidOf(index);
  const threads = threadsOf(pid);
  const task = (thread: Thread, order: number): Task => ({
    tid: thread.tid,
    pid,
    comm: thread.comm,
    threads: threads.length,
    startTime: 617 + index * 97 + order,
    processor: (index + order) % 2,
    factor: 1 + ((index * 31 + order * 7) % 50),
  });
  const process = `${to}/proc/${pid}`;
  const from = `${template}/proc/${TEMPLATE.pid}`;
  writeTask(from, process, task(threads[0] as Thread, 0));
  for (const [order, thread] of threads.entries()) {
    writeTask(`${from}/task/${thread.like}`, `${process}/task/${thread.tid}`, task(thread, order));
  }
  writeKernelThreads(template, to, pid, index);
  writeIdentity(from, process, index);
  writeDescriptors(from, process, index);
  writeDebugfs(template, to, pid, threads, index);
}

function threadsOf(pid: number): Thread[] {
  const made: Omit<Thread, 'tid'>[] = [
    { comm: 'qemu-system-x86', like: TEMPLATE.pid },
    { comm: 'call_rcu', like: TEMPLATE.callRcu },
  ];
  for (let i = 0; i < IOTHREADS; i++) made.push({ comm: `IO io${i}`, like: TEMPLATE.iothread });
  for (let i = 0; i < VCPUS; i++) made.push({ comm: `CPU ${i}/KVM`, like: TEMPLATE.vcpu });
  for (let i = 0; i < WORKERS; i++) made.push({ comm: 'worker', like: TEMPLATE.callRcu });
  return made.map((thread, i) => ({ ...thread, tid: pid + i }));
}

function writeTask(from: string, to: string, task: Task): void {
  mkdirSync(to, { recursive: true });
  const rewrite = (name: string, retarget: (text: string, task: Task) => string): void =>
    writeFileSync(`${to}/${name}`, retarget(readFileSync(`${from}/${name}`, 'latin1'), task), 'latin1');
  rewrite('stat', retargetStat);
  rewrite('status', retargetStatus);
  rewrite('sched', retargetSched);
  rewrite('schedstat', retargetSchedstat);
  writeFileSync(`${to}/comm`, `${task.comm}\n`);
}

function writeKernelThreads(template: string, to: string, pid: number, index: number): void {
  for (const [i, like] of TEMPLATE.kernelThreads.entries()) {
    const tid = pid + 50 + i;
    const from = `${template}/proc/${like}`;
    const comm = readFileSync(`${from}/comm`, 'latin1').trim().replace(String(TEMPLATE.pid), String(pid));
    const startTime = 639 + index * 97 + i;
    writeTask(from, `${to}/proc/${tid}`, {
      tid,
      pid: tid,
      comm,
      threads: 1,
      startTime,
      processor: 0,
      factor: 1,
    });
  }
}

function writeIdentity(from: string, process: string, index: number): void {
  const iothreads = Array.from({ length: IOTHREADS }, (_, i) => `-object\0iothread,id=io${i}\0`).join('');
  const cmdline = readFileSync(`${from}/cmdline`, 'latin1')
    .replaceAll('vm-a', vmName(index))
    .replace(/22222222-2222-3333-4444-[0-9a-f]{12}/, uuidOf(index))
    .replace('-smp\x002\0', `-smp\0${VCPUS}\0`)
    .replace('-object\0iothread,id=io0\0', iothreads);
  writeFileSync(`${process}/cmdline`, cmdline, 'latin1');
  symlinkSync('/usr/bin/qemu-system-x86_64', `${process}/exe`);
  writeFileSync(`${process}/mountinfo`, mountinfo);
}

function writeDescriptors(from: string, process: string, index: number): void {
  mkdirSync(`${process}/fd`);
  mkdirSync(`${process}/fdinfo`);
  const add = (fd: number, target: string, like: number | string): void => {
    symlinkSync(target, `${process}/fd/${fd}`);
    copyFileSync(`${from}/fdinfo/${like}`, `${process}/fdinfo/${fd}`);
  };
  for (const name of readdirSync(`${from}/fd`)) {
    add(Number(name), readlinkSync(`${from}/fd/${name}`).replace('vm-a', vmName(index)), name);
  }
  let fd = FIRST_NEW_FD;
  for (let vcpu = 2; vcpu < VCPUS; vcpu++) add(fd++, `anon_inode:kvm-vcpu:${vcpu}`, TEMPLATE.kvmFd);
  for (let i = 0; i < NEW_EVENTFDS; i++) add(fd++, 'anon_inode:[eventfd]', 10);
}

function writeDebugfs(
  template: string,
  to: string,
  pid: number,
  threads: readonly Thread[],
  index: number,
): void {
  const from = `${template}/sys/kernel/debug/kvm/${TEMPLATE.pid}-${TEMPLATE.kvmFd}`;
  const directory = `${to}/sys/kernel/debug/kvm/${pid}-${TEMPLATE.kvmFd}`;
  mkdirSync(directory, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const text = readFileSync(`${from}/${entry.name}`, 'latin1');
    const value = /^\d+\n$/.test(text) ? `${Number(text) * (1 + (index % 50))}\n` : text;
    writeFileSync(`${directory}/${entry.name}`, value, 'latin1');
    chmodSync(`${directory}/${entry.name}`, statSync(`${from}/${entry.name}`).mode);
  }
  for (const thread of threads) {
    const vcpu = /^CPU (\d+)\/KVM$/.exec(thread.comm)?.[1];
    if (vcpu === undefined) continue;
    cpSync(`${from}/vcpu0`, `${directory}/vcpu${vcpu}`, { recursive: true });
    chmodSync(`${directory}/vcpu${vcpu}/pid`, 0o644);
    writeFileSync(`${directory}/vcpu${vcpu}/pid`, `${thread.tid}\n`);
    chmodSync(`${directory}/vcpu${vcpu}/pid`, 0o444);
  }
}
