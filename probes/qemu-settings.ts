import { getOrInsert } from '../kernel/maps.ts';
import { keyval, type Options, PLAIN, type QemuOption } from './qemu-options.ts';

/** `-set <group>.<id>.<key>=<value>`: system/vl.c qemu_set_option(). */
const SET = /^([^.]{1,63})\.([^.]{1,63})\.([^=]{1,63})=(.*)$/s;
/** `-global <driver>.<property>=<value>`: system/qdev-monitor.c qemu_global_option(). */
const GLOBAL = /^([^.=]{1,63})\.([^=]{1,63})=(.*)$/s;

/** For all devices together. A real command line has dozens; a hostile one may give thousands to each of thousands. */
const MAX_DEFAULTS = 262_144;

/**
 * Applies `-set`, which changes an option before it, and `-global`, which gives the devices of a driver a default.
 *
 * @see https://www.qemu.org/docs/master/system/invocation.html
 * @example withSettings(parseQemuOptions(['qemu', '-device', 'virtio-blk-pci,id=a', '-set', 'device.a.num-queues=4']).options)
 */
export function withSettings(all: readonly QemuOption[]): QemuOption[] {
  const byId = new Map<string, Map<string, string>>();
  const defaults = new Map<string, Map<string, string>>();
  const options = all.map(({ name, options: given }) => {
    const values = new Map(given);
    const id = values.get('id');
    if (id !== undefined) byId.set(`${name}.${id}`, values);
    if (name === 'set') {
      const [, group = '', of = '', key = '', value = ''] = SET.exec(values.get(PLAIN) ?? '') ?? [];
      byId.get(`${group}.${of}`)?.set(key, value);
    } else if (name === 'global') {
      const { driver, property, value } = globalOf(values);
      getOrInsert(defaults, driver, () => new Map<string, string>()).set(property, value);
    }
    return { name, options: values };
  });
  let room = MAX_DEFAULTS;
  for (const { name, options: values } of options) {
    const own = name === 'device' ? defaults.get(values.get('driver') ?? '') : undefined;
    room -= own?.size ?? 0;
    if (room < 0) break;
    for (const [property, value] of own ?? []) if (!values.has(property)) values.set(property, value);
  }
  return options;
}

/** A configuration file has the keys `driver`, `property` and `value`. */
function globalOf(given: Options): { driver: string; property: string; value: string } {
  const plain = given.get(PLAIN) ?? '';
  const short = GLOBAL.exec(plain);
  if (short !== null) {
    const [, driver = '', property = '', value = ''] = short;
    return { driver, property, value };
  }
  const values = given.has(PLAIN) ? keyval(plain, 'driver') : given;
  const of = (key: string): string => values.get(key) ?? '';
  return { driver: of('driver'), property: of('property'), value: of('value') };
}
