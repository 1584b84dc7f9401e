/** What a QEMU command line says about who the VM is; every part is the claim of whoever started it. */
export interface QemuIdentity {
  readonly name: string | undefined;
  readonly uuid: string | undefined;
  /** `kvm`, `tcg`, ...: the accelerator asked for first, which need not be the one in use. */
  readonly accel: string | undefined;
  /** Machine type, such as `q35` or `pc-q35-9.2`. */
  readonly machine: string | undefined;
  /** Ids of `-object iothread,id=...`, in order. */
  readonly iothreads: readonly string[];
  /** Paths of the Unix sockets on which it says it listens for QMP. */
  readonly monitors: readonly string[];
}

/**
 * QEMU's options: `-name guest=vm,debug-threads=on`, `-uuid`, `-machine q35,accel=kvm`, `-object` in its key=value
 * and JSON forms. A comma inside a value is doubled.
 *
 * @see https://www.qemu.org/docs/master/system/invocation.html
 */
export function parseQemuCommandLine(argv: readonly string[]): QemuIdentity {
  let name: string | undefined;
  let uuid: string | undefined;
  let accel: string | undefined;
  let machine: string | undefined;
  const iothreads: string[] = [];
  const monitors: string[] = [];
  const sockets = new Map<string, string>();
  for (let i = 1; i < argv.length; i++) {
    const option = (argv[i] ?? '').replace(/^--?/, '-');
    const value = argv[i + 1] ?? '';
    if (option === '-name') name = keyval(value, 'guest').get('guest');
    else if (option === '-uuid') uuid = value;
    else if (option === '-accel') accel ??= keyval(value, 'accel').get('accel');
    else if (option === '-machine' || option === '-M') {
      const machineOptions = keyval(value, 'type');
      machine = machineOptions.get('type') ?? machine;
      accel = machineOptions.get('accel') ?? accel;
    } else if (option === '-object') {
      const object = value.startsWith('{') ? json(value) : keyval(value, 'qom-type');
      const id = object.get('id');
      if (object.get('qom-type') === 'iothread' && id !== undefined) iothreads.push(id);
    } else if (option === '-qmp' || option === '-qmp-pretty') {
      const path = /^unix:([^,]+)/.exec(value.replaceAll(',,', '\0'))?.[1];
      if (path !== undefined) monitors.push(path.replaceAll('\0', ','));
    } else if (option === '-chardev') {
      const chardev = keyval(value, 'backend');
      const path = chardev.get('path');
      if (chardev.get('backend') === 'socket' && path !== undefined)
        sockets.set(chardev.get('id') ?? '', path);
    } else if (option === '-mon') {
      const monitor = keyval(value, 'chardev');
      const path = sockets.get(monitor.get('chardev') ?? '');
      if (monitor.get('mode') === 'control' && path !== undefined) monitors.push(path);
    } else if (option === '-enable-kvm') {
      accel = 'kvm';
      continue;
    } else continue;
    i++;
  }
  return {
    name: name === '' ? undefined : name,
    uuid,
    accel: accel?.split(':')[0],
    machine,
    iothreads,
    monitors,
  };
}

/** `a,b=c`: the first part without `=` belongs to `implied`. */
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

function json(text: string): Map<string, string> {
  try {
    const object: unknown = JSON.parse(text);
    if (typeof object !== 'object' || object === null) return new Map();
    return new Map(
      Object.entries(object).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return new Map();
  }
}
