/** The folder that files are written to: that of a simulated host, or of a test. */
export interface Files {
  put(name: string, text: string, mode?: number): void;
  link(name: string, target: string): void;
  directory(name: string): void;
}

/** An open file of a process. */
export interface Descriptor {
  readonly target: string;
  /** Octal: `0100002` is O_RDWR. Read and write by default. */
  readonly flags?: string;
  /** Its mount in /proc/<pid>/mountinfo. Without one, the process has no fdinfo of it. */
  readonly mount?: number;
}

/** Everything in /proc/<pid> that does not change while the process runs. */
export interface Process {
  readonly pid: number;
  readonly comm: string;
  readonly argv: readonly string[];
  readonly executable?: string;
  readonly descriptors: ReadonlyMap<number, Descriptor>;
  /** `mnt:[4026531841]`. */
  readonly mountNamespace?: string;
  readonly mountinfo?: string;
  /** Its path in the cgroup v2 hierarchy. */
  readonly cgroup?: string;
}

const O_RDWR = '02000002';

export function writeProcess(files: Files, process: Process): void {
  const folder = `proc/${process.pid}`;
  const { executable, mountNamespace, mountinfo, cgroup } = process;
  files.put(`${folder}/cmdline`, process.argv.map((argument) => `${argument}\0`).join(''));
  files.put(`${folder}/comm`, `${process.comm}\n`);
  if (executable !== undefined) files.link(`${folder}/exe`, executable);
  if (mountNamespace !== undefined) files.link(`${folder}/ns/mnt`, mountNamespace);
  if (mountinfo !== undefined) files.put(`${folder}/mountinfo`, mountinfo);
  if (cgroup !== undefined) files.put(`${folder}/cgroup`, cgroupText(cgroup));
  files.directory(`${folder}/fd`);
  for (const [fd, { target, flags = O_RDWR, mount }] of process.descriptors) {
    files.link(`${folder}/fd/${fd}`, target);
    if (mount === undefined) continue;
    files.put(`${folder}/fdinfo/${fd}`, `pos:\t0\nflags:\t${flags}\nmnt_id:\t${mount}\nino:\t${1000 + fd}\n`);
  }
}

/** `/proc/<pid>/cgroup` of the cgroup v2 hierarchy. */
export function cgroupText(path: string): string {
  return `0::${path}\n`;
}

/** `/proc/<pid>/net/unix`, net/unix/af_unix.c: sockets that listen. */
export function netUnixText(sockets: readonly (readonly [path: string, inode: number])[]): string {
  const lines = sockets.map(
    ([path, inode]) => `0000000000000000: 00000002 00000000 00010000 0001 01 ${inode} ${path}\n`,
  );
  return `Num       RefCount Protocol Flags    Type St Inode Path\n${lines.join('')}`;
}
