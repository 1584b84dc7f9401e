/** The disks below a file. */
export interface Carriers {
  readonly disks: readonly string[];
  /** The reason why further disks, or all of them, are unknown. */
  readonly unknown: readonly string[];
}

export const NONE: Carriers = { disks: [], unknown: [] };

export function only(disk: string | undefined): Carriers {
  return disk === undefined ? NONE : { disks: [disk], unknown: [] };
}

export function unknown(why: string): Carriers {
  return { disks: [], unknown: [why] };
}

export function together(all: readonly Carriers[]): Carriers {
  return {
    disks: [...new Set(all.flatMap(({ disks }) => disks))],
    unknown: [...new Set(all.flatMap((each) => each.unknown))],
  };
}
