/** An option. Nested JSON has dotted keys: `cache.direct`, `iothread-vq-mapping.0.vqs.1`. */
export type Options = ReadonlyMap<string, string>;

/** One option of QEMU, from its command line or from a configuration file. */
export interface QemuOption {
  /** `device`, `machine`, ...: without dashes, and with aliases reduced to one name. */
  readonly name: string;
  readonly options: Options;
}

/** Key of a value that is not `key=value`. */
export const PLAIN = '';

const MAX_DEPTH = 8;
const MAX_KEYS = 4096;
/** A VM with 2,000 disks has 6,000 nodes and devices. */
const MAX_OPTIONS = 16_384;

/** Options that are parsed, each with the key of a first value without `=`. */
const IMPLIED: Readonly<Record<string, string>> = {
  accel: 'accel',
  action: PLAIN,
  audio: 'driver',
  audiodev: 'driver',
  blockdev: 'driver',
  boot: 'order',
  chardev: 'backend',
  cpu: 'model',
  device: 'driver',
  display: 'type',
  drive: 'file',
  fsdev: 'fsdriver',
  machine: 'type',
  mon: 'chardev',
  msg: PLAIN,
  name: 'guest',
  net: 'type',
  netdev: 'type',
  nic: 'type',
  object: 'qom-type',
  // It has no such key.
  overcommit: PLAIN,
  rtc: PLAIN,
  smbios: 'file',
  smp: 'cpus',
  spice: PLAIN,
  tpmdev: 'type',
  virtfs: 'fsdriver',
  vnc: 'vnc',
};
/** `append` is a kernel's command line, which may begin with a dash. */
const PLAIN_OPTIONS = new Set([
  'append',
  'avd',
  'bios',
  'd',
  'dtb',
  'global',
  // Only in the QEMU of Proxmox VE.
  'id',
  'initrd',
  'kernel',
  'L',
  'mem-path',
  'monitor',
  'pidfile',
  'qmp',
  'qmp-pretty',
  'readconfig',
  'set',
  'soundhw',
  'trace',
  'uuid',
  'vga',
  'watchdog',
  'xen-domid',
]);
/** Short forms of `-drive`, whose value is a file name with literal commas: system/vl.c drive_add(). */
const DRIVES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  cdrom: { index: '2', media: 'cdrom' },
  fda: { if: 'floppy', index: '0' },
  fdb: { if: 'floppy', index: '1' },
  hda: { index: '0', media: 'disk' },
  hdb: { index: '1', media: 'disk' },
  hdc: { index: '2', media: 'disk' },
  hdd: { index: '3', media: 'disk' },
  mtdblock: { if: 'mtd' },
  pflash: { if: 'pflash' },
  sd: { if: 'sd' },
};
/** Options that may be JSON. A name may begin with a brace. */
const JSON_OPTIONS = new Set(['audiodev', 'blockdev', 'chardev', 'device', 'display', 'netdev', 'object']);
const FLAGS = new Set(['audio-help', 'daemonize', 'enable-kvm', 'h', 'help', 'version']);
const ALIASES: Readonly<Record<string, string>> = { M: 'machine' };

/**
 * Parses the options of a QEMU command line that define identity and devices, in order.
 *
 * @returns the options, and the number of further options that were dropped
 * @see https://www.qemu.org/docs/master/system/invocation.html
 * @example parseQemuOptions(['qemu', '-machine', 'q35,accel=kvm']) // machine: type q35, accel kvm
 */
export function parseQemuOptions(argv: readonly string[]): { options: QemuOption[]; dropped: number } {
  const options: QemuOption[] = [];
  let dropped = 0;
  const add = (option: QemuOption): void => {
    if (options.length < MAX_OPTIONS) options.push(option);
    else dropped++;
  };
  for (let i = 1; i < argv.length; i++) {
    const word = /^--?(.+)$/s.exec(argv[i] ?? '')?.[1];
    if (word === undefined) continue;
    const name = ALIASES[word] ?? word;
    if (FLAGS.has(name)) {
      add({ name, options: new Map() });
      continue;
    }
    const implied = Object.hasOwn(IMPLIED, name) ? IMPLIED[name] : undefined;
    const drive = Object.hasOwn(DRIVES, name) ? DRIVES[name] : undefined;
    if (implied === undefined && drive === undefined && !PLAIN_OPTIONS.has(name)) continue;
    i++;
    const value = argv[i] ?? '';
    if (drive !== undefined)
      add({ name: 'drive', options: new Map(Object.entries({ file: value, ...drive })) });
    else if (implied === undefined) add({ name, options: new Map([[PLAIN, value]]) });
    else {
      const isJson = JSON_OPTIONS.has(name) && value.startsWith('{');
      add({ name, options: isJson ? jsonOptions(value) : keyval(value, implied) });
    }
  }
  return { options, dropped };
}

function jsonOptions(text: string): Options {
  const map = new Map<string, string>();
  try {
    flatten(JSON.parse(text), '', 0, map);
  } catch {
    map.clear();
  }
  return map;
}

/** Parses `a,b=c`. A first value without `=` gets the key `implied`. A doubled comma is a literal comma. */
export function keyval(text: string, implied: string): Map<string, string> {
  const parts = text.replaceAll(',,', '\0').split(',');
  const map = new Map<string, string>();
  parts.forEach((part, i) => {
    const equals = part.indexOf('=');
    const key = equals < 0 ? (i === 0 ? implied : part) : part.slice(0, equals);
    map.set(key, (equals < 0 && i > 0 ? 'on' : part.slice(equals + 1)).replaceAll('\0', ','));
  });
  return map;
}

/** Converts nested JSON to dotted keys, as in the key=value syntax. */
function flatten(value: unknown, key: string, depth: number, map: Map<string, string>): void {
  if (depth > MAX_DEPTH || map.size >= MAX_KEYS || value === null) return;
  if (typeof value === 'object') {
    for (const [name, inner] of Object.entries(value)) {
      flatten(inner, key === '' ? name : `${key}.${name}`, depth + 1, map);
    }
  } else map.set(key, typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value));
}

/** Parses a boolean like qapi/qobject-input-visitor.c; undefined if it is missing or malformed. */
export function flag(options: Options, key: string): boolean | undefined {
  const value = options.get(key);
  if (value === 'on' || value === 'yes' || value === 'true' || value === 'y') return true;
  return value === 'off' || value === 'no' || value === 'false' || value === 'n' ? false : undefined;
}
