import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { writeInitramfs } from './initramfs.ts';
import { packages as getPackages, type Packages } from './packages.ts';

const INSIDE = fileURLToPath(new URL('../../lab/inside/', import.meta.url));
const PLUGIN = fileURLToPath(new URL('../../lab/instructions.c', import.meta.url));
const HOST_MODULES = [
  'virtio_pci',
  '9p',
  '9pnet_virtio',
  'overlay',
  'virtio_net',
  'kvm_amd',
  'vhost_net',
  'tun',
  'nvme',
  'loop',
];
const GUEST_MODULES = ['virtio_pci', 'virtio_blk', 'virtio_net'];
/** Options that avoid faults of the emulation. A panic ends the machine (QEMU's -no-reboot) instead of hanging it. */
const KERNEL_OPTIONS =
  'console=ttyS0 quiet mitigations=off tsc=reliable clocksource=tsc panic=1 oops=panic nokaslr nowatchdog audit=0 apparmor=0';

const PREFIX = 'kvm-telemetry-lab-';
const BOOT_MS = 180_000;
/** A guest boots in 40 to 80 s on two idle cores. */
const GUEST_MS = 300_000;
const COMMAND_MS = 120_000;
const TICK_MS = 200;
const POLL_MS = 50;
/** An empty command takes this long only if the host is dead. */
const SIGN_OF_LIFE_MS = 60_000;
/** One of the host's two CPUs runs the guests, the other runs everything else. */
const GUEST_CPU = 1;

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The emulated host panicked, hung or exited. This is a fault of the emulation, not of the command that ran
 * in it.
 */
export class HostDied extends Error {}

export interface BootOptions {
  /**
   * TCP ports on 127.0.0.1 of this machine, by the host's port that they forward to. 0 picks a free port (see
   * `portOf`).
   */
  readonly forward?: Readonly<Record<number, number>>;
  /**
   * Counts the instructions that each CPU of the host executes: `/lab/instructions` has one line per CPU, at
   * most milliseconds old.
   */
  readonly countInstructions?: boolean;
}

/** Boots a Linux KVM host: an emulated machine with AMD SVM, two CPUs on two NUMA nodes, and an NVMe disk. */
export async function boot(options: BootOptions = {}): Promise<LabHost> {
  const packages = await getPackages();
  removeLeftovers();
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  try {
    prepare(folder, packages);
    const host = new LabHost(folder, packages, startQemu(folder, packages, options));
    await host.ready();
    return host;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** A process that was killed leaves its folder behind. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function prepare(folder: string, packages: Packages): void {
  mkdirSync(join(folder, 'share'));
  writeFileSync(join(folder, 'share/agent.sh'), readFileSync(join(INSIDE, 'agent.sh')));
  writeFileSync(join(folder, 'nvme'), '');
  truncateSync(join(folder, 'nvme'), 2 ** 30);
  const iogen = join(folder, 'iogen');
  execFileSync('gcc', ['-O2', '-static', '-o', iogen, join(INSIDE, 'iogen.c')]);
  writeInitramfs(join(folder, 'host.cpio'), packages, join(INSIDE, 'host-init.sh'), HOST_MODULES);
  writeInitramfs(join(folder, 'share/guest.cpio'), packages, join(INSIDE, 'guest-init.sh'), GUEST_MODULES, [
    iogen,
  ]);
}

function startQemu(
  folder: string,
  packages: Packages,
  { forward = {}, countInstructions = false }: BootOptions,
): ChildProcess {
  const forwards = Object.entries(forward).map(
    ([inner, outer]) => `,hostfwd=tcp:127.0.0.1:${outer}-:${inner}`,
  );
  const folders = (tag: string, path: string, more = ''): string[] => [
    ...['-fsdev', `local,id=${tag},path=${path},security_model=none${more}`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ];
  const [program, ...options] = packages.qemu;
  if (countInstructions) options.push('-plugin', instructionCounter(folder));
  return spawn(
    'setpriv',
    [
      // The machine ends with this process, however this process ends.
      ...['--pdeathsig', 'KILL', program, ...options],
      ...['-name', 'kvm-telemetry-lab,debug-threads=on', '-nodefaults', '-display', 'none', '-no-reboot'],
      ...['-machine', 'q35,hpet=off', '-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', 'EPYC', '-m', '4G'],
      ...['-smp', '2,sockets=2,cores=1,threads=1'],
      ...[0, 1].flatMap((node) => [
        ...['-object', `memory-backend-ram,id=m${node},size=2G`],
        ...['-numa', `node,nodeid=${node},cpus=${node},memdev=m${node}`],
      ]),
      ...['-kernel', packages.kernel, '-initrd', join(folder, 'host.cpio'), '-append', KERNEL_OPTIONS],
      ...['-serial', `file:${join(folder, 'console')}`],
      ...[
        '-chardev',
        `socket,id=agent,path=${join(folder, 'agent')},server=on,wait=off`,
        '-serial',
        'chardev:agent',
      ],
      ...['-drive', `file=${join(folder, 'nvme')},format=raw,if=none,id=nvme,cache=unsafe`],
      ...['-device', 'nvme,serial=LAB0,drive=nvme,max_ioqpairs=2'],
      ...['-netdev', `user,id=net,restrict=on${forwards.join('')}`, '-device', 'virtio-net-pci,netdev=net'],
      ...folders('outer', '/', ',readonly=on,multidevs=remap'),
      ...folders('lab', join(folder, 'share')),
    ],
    // A process group of its own: Ctrl-C in a terminal then reaches only this process, which shuts the
    // machine down.
    { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  );
}

function instructionCounter(folder: string): string {
  const plugin = join(folder, 'instructions.so');
  execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', plugin, PLUGIN]);
  const at = (name: string): string => join(folder, 'share', name);
  return `${plugin},counts=${at('instructions')},watch=${at('watch')}`;
}

/**
 * A running host. Its root is this machine's root, read-only under an overlay in memory, so node and the
 * working tree are available.
 */
export class LabHost {
  readonly #folder: string;
  readonly #packages: Packages;
  readonly #qemu: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #kill = (): void => {
    this.#qemu.kill('SIGKILL');
  };
  #agent: Socket | undefined;
  #ticks: NodeJS.Timeout | undefined;
  #errors = '';
  #dead = false;
  #commands = 0;
  #guests = 0;

  constructor(folder: string, packages: Packages, qemu: ChildProcess) {
    this.#folder = folder;
    this.#packages = packages;
    this.#qemu = qemu;
    process.on('exit', this.#kill);
    qemu.stderr?.on('data', (chunk) => {
      this.#errors += String(chunk);
    });
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.#dead = true;
        resolve();
      };
      qemu.once('error', end).once('exit', end);
    });
  }

  /** The process that emulates the host. Its thread `CPU n/TCG` is the host's CPU n. */
  get pid(): number {
    return this.#qemu.pid ?? 0;
  }

  /** Whether the emulated machine has ended. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Resolves when the machine has ended. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Waits until the host accepts commands. */
  async ready(): Promise<void> {
    const deadline = Date.now() + BOOT_MS;
    while (!existsSync(this.#shared('ready'))) {
      if (this.#dead || Date.now() > deadline) {
        const died = this.#died('the host did not boot');
        await this.stop();
        throw died;
      }
      if (this.#agent === undefined && existsSync(join(this.#folder, 'agent'))) this.#connect();
      await sleep(POLL_MS);
    }
  }

  /**
   * Runs a command in bash.
   * @throws HostDied
   * @throws Error when the command times out although the host is alive
   */
  async run(command: string, timeoutMs = COMMAND_MS): Promise<Output> {
    const output = await this.#ask(command, timeoutMs);
    if (output !== undefined) return output;
    if ((await this.#ask('true', SIGN_OF_LIFE_MS)) === undefined) throw this.#died('the host hangs');
    throw new Error(`no end of this command after ${timeoutMs} ms: ${command}`);
  }

  /** Output of a command. The command must succeed. */
  async output(command: string, timeoutMs?: number): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, timeoutMs);
    if (code !== 0) throw new Error(`exit ${code} of ${command}\n${stderr}${stdout}`);
    return stdout;
  }

  /**
   * Starts a Linux guest. Its two vCPUs do random I/O on the host's NVMe disk through an IOThread.
   * @returns its process id in the host
   */
  async startGuest(name: string, disk = '/dev/nvme0n1'): Promise<number> {
    const args = [name, ++this.#guests, GUEST_CPU, disk, this.#packages.kernel, '/lab/guest.cpio'];
    await this.output(`bash ${INSIDE}guest.sh ${args.map((arg) => `'${arg}'`).join(' ')}`, GUEST_MS);
    return Number(await this.output(`cat /run/lab/${name}.pid`));
  }

  /** Sends a command to the monitor of the guest's QEMU: `stop`, `cont`, ... */
  async monitor(name: string, command: string): Promise<void> {
    await this.output(`echo '${command}' > /run/lab/${name}.in`);
  }

  /** Changes the guest's I/O: the queue depth of each vCPU, and reads only or one write in four. */
  async load(name: string, depth: number, kind: 'read' | 'mixed'): Promise<void> {
    await this.output(`echo '${depth} ${kind}' > /run/lab/${name}-load.in`);
  }

  /** Stops the machine and removes all files that it created. */
  async stop(): Promise<void> {
    clearInterval(this.#ticks);
    this.#agent?.destroy();
    this.#kill();
    await this.#ended;
    process.off('exit', this.#kill);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #shared(name: string): string {
    return join(this.#folder, 'share', name);
  }

  #connect(): void {
    this.#agent = createConnection(join(this.#folder, 'agent'));
    this.#agent.on('error', () => {
      this.#agent = undefined;
    });
    clearInterval(this.#ticks);
    this.#ticks = setInterval(() => this.#agent?.write('\n'), TICK_MS);
  }

  /** @returns undefined on a timeout */
  async #ask(command: string, timeoutMs: number): Promise<Output | undefined> {
    const name = `c${++this.#commands}`;
    writeFileSync(this.#shared(`${name}.sh.new`), `${command}\n`);
    renameSync(this.#shared(`${name}.sh.new`), this.#shared(`${name}.sh`));
    this.#agent?.write(`${name}\n`);
    const deadline = Date.now() + timeoutMs;
    while (!existsSync(this.#shared(`${name}.rc`))) {
      if (this.#dead) throw this.#died('the host died');
      if (Date.now() > deadline) return undefined;
      await sleep(POLL_MS);
    }
    const read = (kind: string): string => readFileSync(this.#shared(`${name}.${kind}`), 'utf8');
    return { code: Number(read('rc')), stdout: read('out'), stderr: read('err') };
  }

  #died(what: string): HostDied {
    let console = '';
    try {
      console = readFileSync(join(this.#folder, 'console'), 'utf8').split('\n').slice(-20).join('\n');
    } catch {
      // The machine was not started.
    }
    const errors = this.#errors.replace(/^.*warning: TCG doesn't support.*\n/gm, '').slice(-2000);
    return new HostDied(`${what}\n${errors}${console}`);
  }
}
