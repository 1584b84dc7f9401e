import type { Options } from './qemu-options.ts';

/** Devices with a SCSI bus: hw/scsi/, hw/usb/dev-storage-*.c, hw/usb/dev-uas.c. */
const CONTROLLER =
  /^(?:virtio-scsi|vhost-user-scsi|vhost-scsi|lsi|megasas|mptsas|am53c974|dc390|pvscsi|spapr-vscsi|usb-(?:storage|uas|bot))/;
/** A CD-ROM is no disk whose way matters. */
const DISK = /^scsi-(?:hd|block|generic)$/;

/**
 * Which SCSI disk is on which controller. A controller with an id has the bus `ID.0`; those without are numbered from
 * `scsi.0` (hw/core/bus.c qbus_init_internal()). A disk that names no bus goes to the controller that was made last.
 */
export class ScsiBuses {
  readonly #disks = new Map<Options, Options[]>();
  readonly #buses = new Map<string, Options>();
  /** False where a disk may be on one of several controllers. */
  readonly areCertain: boolean;

  /** @param devices in the order in which they are made */
  constructor(devices: readonly Options[]) {
    const controllers: Options[] = [];
    let unnamed = 0;
    let areCertain = true;
    for (const device of devices) {
      const driver = device.get('driver') ?? '';
      if (CONTROLLER.test(driver)) {
        const id = device.get('id');
        this.#buses.set(id === undefined || id === '' ? `scsi.${unnamed++}` : `${id}.0`, device);
        controllers.push(device);
      } else if (DISK.test(driver)) {
        const bus = device.get('bus');
        // Behind bridges the order in which QEMU searches is another one.
        if (bus === undefined && controllers.length > 1 && controllers.some((each) => each.has('bus')))
          areCertain = false;
        this.#put(device, bus === undefined ? controllers.at(-1) : this.#buses.get(bus));
      }
    }
    this.areCertain = areCertain;
  }

  disksOn(controller: Options): readonly Options[] {
    return this.#disks.get(controller) ?? [];
  }

  #put(disk: Options, controller: Options | undefined): void {
    if (controller === undefined) return;
    const disks = this.#disks.get(controller);
    if (disks === undefined) this.#disks.set(controller, [disk]);
    else disks.push(disk);
  }
}
