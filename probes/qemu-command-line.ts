import { flag, keyval, type Options, PLAIN, type QemuOption } from './qemu-options.ts';

/** Identity from QEMU's options. Untrusted: the user who starts QEMU chooses them. */
export interface QemuIdentity {
  readonly name: string | undefined;
  readonly uuid: string | undefined;
  /** `kvm`, `tcg`, ...: the accelerators that QEMU tries, in order; empty for QEMU's default. */
  readonly accels: readonly string[];
  /** Number of the VM in Proxmox VE; undefined elsewhere. */
  readonly vmid: number | undefined;
  /** Machine type, such as `q35` or `pc-q35-9.2`. */
  readonly machine: string | undefined;
  /** Ids of `-object iothread,id=...`, in order. */
  readonly iothreads: readonly string[];
  /** Paths of the Unix sockets for QMP, according to the command line. */
  readonly monitors: readonly string[];
  /** Path of the human monitor's socket, or of the pid file: the same after a restart. */
  readonly ownPath: string | undefined;
  /** QEMU prints its version or a list, and runs no guest. */
  readonly onlyAnswers: boolean;
}

/** QEMU prints, and exits. */
const ANSWERS = new Set(['audio-help', 'h', 'help', 'version']);
/** Options that print a list if their value, or a part of it, is `help` or `?`. */
const WITH_HELP = new Set([
  'accel',
  'action',
  'audio',
  'audiodev',
  'boot',
  'chardev',
  'cpu',
  'd',
  'device',
  'display',
  'global',
  'L',
  'machine',
  'msg',
  'netdev',
  'object',
  'rtc',
  'smp',
  'soundhw',
  'spice',
  'tpmdev',
  'trace',
  'vga',
  'vnc',
  'watchdog',
]);
/** Parts of other options of which QEMU prints a list: `-drive format=help`, `-nic model=help`. */
const VALUES = new Set(['format', 'model']);

/** Reads QEMU's name, UUID, machine, accelerator, IOThreads and monitors. */
export function parseQemuCommandLine(all: readonly QemuOption[]): QemuIdentity {
  const merged = (name: string): Options =>
    new Map(all.filter((option) => option.name === name).flatMap(({ options }) => [...options]));
  const machine = merged('machine');
  const plain = (option: string): string | undefined =>
    all.findLast(({ name }) => name === option)?.options.get(PLAIN);
  const name = merged('name').get('guest') ?? plain('avd');
  return {
    name: name === '' ? undefined : name,
    uuid: uuidOf(all),
    accels: accelsOf(all, machine),
    vmid: vmidOf(all),
    machine: machine.get('type'),
    iothreads: all.flatMap(({ name: option, options }) => {
      const id = options.get('id');
      return option === 'object' && options.get('qom-type') === 'iothread' && id !== undefined ? [id] : [];
    }),
    monitors: monitorsOf(all),
    ownPath: unixPath(plain('monitor')) ?? plain('pidfile'),
    onlyAnswers: all.some(isQuestion),
  };
}

/** `-uuid` and `-smbios type=1,uuid=` set the same UUID; the last one applies (hw/smbios/smbios.c). */
function uuidOf(all: readonly QemuOption[]): string | undefined {
  let uuid: string | undefined;
  for (const { name, options } of all) {
    if (name === 'uuid') uuid = options.get(PLAIN);
    else if (name === 'smbios' && options.get('type') === '1') uuid = options.get('uuid') ?? uuid;
  }
  return uuid;
}

/** `-id 101`: from 100 to 999999999. */
function vmidOf(all: readonly QemuOption[]): number | undefined {
  const id = all.findLast(({ name }) => name === 'id')?.options.get(PLAIN) ?? '';
  return /^[1-9]\d{2,8}$/.test(id) ? Number(id) : undefined;
}

/** `-machine accel=kvm:tcg`, or one `-accel` for each: system/vl.c configure_accelerators(). */
function accelsOf(all: readonly QemuOption[], machine: Options): string[] {
  const list = machine.get('accel');
  if (list !== undefined) return list.split(':').filter((accel) => accel !== '');
  const each = all.flatMap(({ name, options }) => (name === 'accel' ? (options.get('accel') ?? []) : []));
  if (each.length > 0) return each;
  if (all.some(({ name }) => name === 'enable-kvm')) return ['kvm'];
  // In Xen's first domain QEMU only has the devices: the machines xenfv and xenpv have this accelerator.
  return all.some(({ name }) => name === 'xen-domid') ? ['xen'] : [];
}

/** The option of a monitor may precede the option of its socket. */
function monitorsOf(all: readonly QemuOption[]): string[] {
  const sockets = new Map<string, string | undefined>();
  for (const { name, options } of all) {
    if (name === 'chardev' && options.get('backend') === 'socket')
      sockets.set(options.get('id') ?? '', listeningPath(options));
  }
  return all.flatMap(({ name, options }) => {
    if (name === 'qmp' || name === 'qmp-pretty') {
      const [, socket] = /^unix:(.*)$/s.exec(options.get(PLAIN) ?? '') ?? [];
      return (socket === undefined ? undefined : listeningPath(keyval(socket, 'path'))) ?? [];
    }
    if (name !== 'mon' || options.get('mode') !== 'control') return [];
    return sockets.get(options.get('chardev') ?? '') ?? [];
  });
}

/** Path of a socket on which QEMU listens: Proxmox VE has another monitor that connects to its event daemon. */
function listeningPath(socket: Options): string | undefined {
  const isPath = flag(socket, 'server') === true && flag(socket, 'abstract') !== true;
  return isPath ? socket.get('path') : undefined;
}

/** @example unixPath('unix:/run/a,,b.sock,server=on') // '/run/a,b.sock' */
export function unixPath(device: string | undefined): string | undefined {
  const path = /^unix:([^,]+)/.exec((device ?? '').replaceAll(',,', '\0'))?.[1];
  return path?.replaceAll('\0', ',');
}

/**
 * QEMU prints the values of an option, or its properties (`virtio-blk-pci,help`), and exits: system/vl.c
 * qemu_process_help_options(). A VM, a file or a keyboard may be called help.
 */
function isQuestion({ name, options }: QemuOption): boolean {
  if (ANSWERS.has(name)) return true;
  if (!WITH_HELP.has(name)) return [...options].some(([key, value]) => VALUES.has(key) && isHelp(value));
  const [first] = options.values();
  return isHelp(first) || options.has('help') || options.has('?');
}

function isHelp(value: string | undefined): boolean {
  return value === 'help' || value === '?';
}
