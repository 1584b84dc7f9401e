/** A sum over a fleet at one evaluation of the rules, in seconds since the epoch. */
export interface FleetSum {
  readonly at: number;
  readonly sum: number;
  /** The sum over the series of the hosts at the same time. */
  readonly ofHosts: number | undefined;
}

interface Past {
  /** When the VM moved. */
  readonly movedAt: number;
  /** Times at which a host's last scrape had failed. Its VMs are unknown at these times, and in no sum. */
  readonly down: readonly number[];
  /** Seconds within which the rules of a cluster must show a change of a host. */
  readonly settles: number;
  readonly vms: number;
}

interface Judged {
  readonly right: readonly FleetSum[];
  readonly wrong: readonly FleetSum[];
  /** Soon after the VM moved. */
  readonly moving: readonly FleetSum[];
  /** Soon after a scrape that failed. */
  readonly withoutHost: readonly FleetSum[];
}

/** Sorts sums by whether they must be the number of VMs and the sum over the hosts. */
export function judgeSums(sums: readonly FleetSum[], { movedAt, down, settles, vms }: Past): Judged {
  const isSoonAfter = ({ at }: FleetSum, since: number): boolean => at >= since && at - since <= settles;
  const moving = sums.filter((each) => isSoonAfter(each, movedAt));
  const withoutHost = sums.filter(
    (each) => !moving.includes(each) && down.some((at) => isSoonAfter(each, at)),
  );
  const steady = sums.filter((each) => !moving.includes(each) && !withoutHost.includes(each));
  const isRight = ({ sum, ofHosts }: FleetSum): boolean => sum === vms && ofHosts === vms;
  return {
    right: steady.filter(isRight),
    wrong: steady.filter((each) => !isRight(each)),
    moving,
    withoutHost,
  };
}
