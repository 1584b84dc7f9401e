import { append } from '../kernel/maps.ts';
import type { Options } from './qemu-options.ts';

/** Devices with a SCSI bus: hw/scsi/, hw/usb/dev-storage-*.c, hw/usb/dev-uas.c. */
const CONTROLLER =
  /^(?:virtio-scsi|vhost-user-scsi|vhost-scsi|lsi|megasas|mptsas|am53c974|dc390|pvscsi|spapr-vscsi|usb-(?:storage|uas|bot))/;
/** Without CD-ROMs, which do not matter for I/O performance. QEMU before 6.0 has `scsi-disk` for both. */
const DISK = /^scsi-(?:hd|block|disk|generic)$/;

/**
 * Maps SCSI disks to controllers. A controller with an id has the bus `ID.0`. Buses of controllers without an
 * id are numbered from `scsi.0` (hw/core/bus.c qbus_init_internal()). A disk without a bus goes to the last
 * created controller.
 */
export class ScsiBuses {
  readonly #disks = new Map<Options, Options[]>();
  readonly #buses = new Map<string, Options>();
  /** False if a disk may be on one of several controllers. */
  readonly areCertain: boolean;

  /** @param devices in order of creation */
  constructor(devices: readonly Options[]) {
    const controllers: Options[] = [];
    let unnamed = 0;
    let areCertain = true;
    let hasBridge = false;
    for (const device of devices) {
      const driver = device.get('driver') ?? '';
      if (CONTROLLER.test(driver)) {
        const id = device.get('id');
        this.#buses.set(id === undefined || id === '' ? `scsi.${unnamed++}` : `${id}.0`, device);
        controllers.push(device);
        hasBridge ||= device.has('bus');
      } else if (DISK.test(driver)) {
        const bus = device.get('bus');
        // With bridges, QEMU searches the buses in another order.
        if (bus === undefined && controllers.length > 1 && hasBridge) areCertain = false;
        this.#put(device, bus === undefined ? controllers.at(-1) : this.#buses.get(bus));
      }
    }
    this.areCertain = areCertain;
  }

  disksOn(controller: Options): readonly Options[] {
    return this.#disks.get(controller) ?? [];
  }

  #put(disk: Options, controller: Options | undefined): void {
    if (controller !== undefined) append(this.#disks, controller, disk);
  }
}
