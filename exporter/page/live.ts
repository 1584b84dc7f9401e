/**
 * Messages of the live page, shared by the server and the browser. Types only, without Node's types, because
 * the browser code is compiled without Node. Counters are as in /metrics, never rates.
 */

/** Totals by a name: a role, a step of the I/O path, an exit reason. */
export type Counts = Readonly<Record<string, number>>;

/** One VM in the table. */
export interface LiveVm {
  /** The `vm` label. */
  readonly vm: string;
  /** Another pid under the same name is another VM, whose counters start from zero. */
  readonly pid: string;
  readonly vmm: string;
  /** QEMU's run state, if the monitor reports it. */
  readonly state: string | undefined;
  /** `qmp` or `libvirt` if it did not respond. */
  readonly silent: readonly string[];
  readonly vcpus: number;
  readonly exits: { readonly total: number; readonly from: string } | undefined;
  /** kvm_vm_io_path_events_total by step; undefined if tracing is off. */
  readonly path: Counts | undefined;
  readonly io: { readonly total: number; readonly from: string } | undefined;
  /** Block devices of the host that hold its disks. */
  readonly devices: readonly LiveDevice[];
  /** Seconds on a CPU by role. */
  readonly run: Counts;
  /** The roles of `run` that do the VM's I/O. */
  readonly ioRoles: readonly string[];
  /** Seconds in run queues by role; empty without CONFIG_SCHEDSTATS. */
  readonly wait: Counts;
  /** The parts of its I/O that the host does not see, one entry for each reason. */
  readonly hidden: readonly LiveHidden[];
  /** CPU seconds for which a CPU quota stopped it, by cgroup: kvm_vm_throttled_seconds_total. */
  readonly throttled: Counts;
  /** undefined if affinity is not checked. */
  readonly drift: { readonly threads: number; readonly kinds: readonly string[] } | undefined;
  /** The paper's stage, if the techniques in force are those of a stage. */
  readonly stage: string | undefined;
  /** The techniques in words: `affinity; polling unknown`. undefined if techniques are not judged. */
  readonly inForce: string | undefined;
  /** Number of techniques in force: the position of a stage in the paper's order. */
  readonly stageRank: number | undefined;
  readonly techniques: readonly LiveTechnique[];
  readonly phase: string | undefined;
}

export interface LiveHidden {
  /** As in the label of kvm_vm_visibility. */
  readonly reason: string;
  readonly whats: readonly string[];
  readonly text: string;
}

/** The data of a VM for rates and conditions. The daemon's own history has no other. */
export type LiveCounters = Pick<
  LiveVm,
  'pid' | 'vcpus' | 'exits' | 'path' | 'io' | 'devices' | 'run' | 'ioRoles' | 'wait' | 'throttled'
> & { readonly hidden: readonly Pick<LiveHidden, 'whats'>[] };

/** The verdict on one technique of the paper. */
export interface LiveTechnique {
  readonly technique: string;
  /** `in_force`, `partly`, `lost`, `off`, `unknown`. */
  readonly state: string;
  /** Seconds of the epoch. */
  readonly since: number;
  /** Decisive numbers, by name. */
  readonly evidence: Counts;
  /** The number that decided when the technique was last in force, by name. */
  readonly was: Counts;
  /** The reason why the state is unknown. */
  readonly reason: string | undefined;
  /** For how long the state holds although nothing could be judged; without seconds: since the exporter started. */
  readonly unjudged: { readonly seconds?: number | undefined } | undefined;
  /** Whether the declared phase includes the technique, and it is not in force. */
  readonly contradictsPhase: boolean;
}

export interface LiveDevice {
  readonly device: string;
  /** Requests in flight, of all users of the device. */
  readonly inFlight: number;
  /** Requests completed since boot. */
  readonly completed: number;
}

/** Sent at each collection. */
export interface LiveVms {
  /** Milliseconds of the epoch at the end of the collection. */
  readonly at: number;
  /** Maximum time until the next collection. */
  readonly everyMs: number;
  readonly vms: readonly LiveVm[];
  /** In the order of LiveHost.cpus. */
  readonly cpus: readonly LiveCpuLoad[];
}

export interface LiveCpuLoad {
  /** kvm_cpu_run_seconds_total; undefined without CONFIG_SCHEDSTATS. */
  readonly run: number | undefined;
  /** Threads of VMs that last ran on this CPU. */
  readonly threads: number;
}

export interface LiveCpu {
  readonly cpu: number;
  /** Empty if the kernel has no NUMA. */
  readonly node: string;
  readonly package: string;
  readonly core: string;
  readonly siblings: string;
  readonly isolated: boolean;
}

/** One source as evaluated by doctor. */
export interface LiveSource {
  readonly source: string;
  readonly usable: boolean;
  readonly series: number;
  readonly findings: readonly { readonly why: string; readonly fix: string | undefined }[];
}

/** Sent when the stream opens, and on changes. */
export interface LiveHost {
  /** Undefined for a copy of a host that lacks the file. */
  readonly name: string | undefined;
  readonly kernel: string | undefined;
  /** Whether KVM may use APICv or AVIC (`enable_apicv`, `avic`); undefined if the module does not say. */
  readonly apicv: boolean | undefined;
  readonly version: string;
  readonly simulated: boolean;
  readonly lockdown: string;
  /** Backend of the trace events: bpf, tracefs or perf; undefined if none are counted. */
  readonly traceBackend: string | undefined;
  /** Share of the time in which exits are timed. */
  readonly timedRatio: number | undefined;
  readonly grafanaUrl: string | undefined;
  readonly sources: readonly LiveSource[];
  readonly cpus: readonly LiveCpu[];
}

export interface LiveThread {
  readonly thread: string;
  readonly role: string;
  readonly cpu: number;
  readonly node: number | undefined;
  readonly run: number | undefined;
  readonly wait: number | undefined;
  readonly migrations: number | undefined;
}

/** Cumulative counts; the last bound is Infinity, written as null. */
export interface LiveHistogram {
  readonly buckets: readonly (readonly [le: number | null, count: number])[];
  readonly sum: number | undefined;
  readonly count: number;
}

/** Result of `doctor --vm`. */
export interface LiveReport {
  readonly threads: readonly {
    readonly thread: string;
    readonly tid: number;
    readonly allowed: string;
    readonly expected: string;
  }[];
  readonly disks: readonly {
    readonly disk: string;
    readonly queues: number | undefined;
    readonly iothreads: readonly string[];
  }[];
  readonly devices: readonly { readonly device: string; readonly node: number | undefined }[];
  readonly features: Counts;
  readonly techniques: readonly {
    readonly technique: string;
    readonly state: string;
    readonly text: string;
  }[];
  readonly drifts: readonly {
    readonly thread: string;
    readonly kind: string;
    readonly why: string;
    readonly fix: string | undefined;
  }[];
  /** The reason why the expected affinity of some threads is unknown. */
  readonly unknown: string | undefined;
  readonly plan: {
    readonly steps: readonly {
      readonly what: string;
      readonly command: string;
      readonly undo: string | undefined;
      readonly vm: string;
      readonly threads: readonly string[];
    }[];
    /** In the order to run. */
    readonly undo: readonly string[];
    /** Drifts that no command repairs. */
    readonly left: readonly { readonly thread: string; readonly why: string }[];
  };
  readonly next:
    | {
        readonly stage: string;
        readonly section: string;
        readonly steps: readonly { readonly missing: string; readonly fixes: readonly string[] }[];
      }
    | undefined;
}

/** One VM whose page is open. */
export interface LiveDetail {
  readonly vm: string;
  readonly at: number;
  readonly threads: readonly LiveThread[];
  readonly reasons: Counts;
  /** kvm_vm_exit_duration_seconds by reason. */
  readonly durations: Readonly<Record<string, LiveHistogram>>;
  readonly kicks: readonly { readonly queue: string; readonly vcpu: string; readonly count: number }[];
  readonly queues: readonly { readonly queue: string; readonly address: string; readonly device: string }[];
  readonly report: LiveReport | undefined;
}

/** The last hour of one VM, as the daemon recorded it: `GET /api/v1/history?vm=`. */
export interface LiveHistory {
  readonly vm: string;
  /** Seconds of the epoch, some ten seconds apart. */
  readonly times: readonly number[];
  /** As many values as times; null if unknown. Rates per second, I/Os, cores or seconds. */
  readonly series: Readonly<Record<string, readonly (number | null)[]>>;
}

/** The last hour of all VMs: `GET /api/v1/history`. */
export interface LiveOverview {
  /** Ends of the minutes, in seconds of the epoch. */
  readonly times: readonly number[];
  /** Means by VM and series. */
  readonly vms: Readonly<Record<string, Readonly<Record<string, readonly (number | null)[]>>>>;
}

/** The changes in the minutes in which a VM's I/O became worse: `GET /api/v1/causes?vm=`. */
export interface LiveCauses {
  readonly vm: string;
  /** Process of the VM that has the name now; null if there is none. */
  readonly pid: string | null;
  /** Whether enough I/Os were counted to see a worsening. */
  readonly isKnown: boolean;
  /** Absent if its I/O is not worse than before. */
  readonly worsening?:
    | {
        /** I/Os per second, or seconds of an I/O. */
        readonly metric: 'iops' | 'latency';
        readonly from: number;
        readonly to: number;
        /** Seconds of the epoch. */
        readonly since: number;
      }
    | undefined;
  /** Strongest first. */
  readonly causes: readonly {
    readonly cause: string;
    /** null if nothing was measured. */
    readonly before: number | null;
    readonly after: number | null;
    /** `ratio`, `seconds`, `hertz`. */
    readonly unit: string | null;
    /** Largest share of the lost time that the change could explain. */
    readonly explains: number;
    readonly text: string;
  }[];
  /** Causes that are unknown. */
  readonly unknown: readonly string[];
}

export interface LiveEvent {
  readonly id: number;
  /** Milliseconds of the epoch. */
  readonly at: number;
  readonly vm: string;
  readonly kind: string;
  /** The kind in words, and its subject. */
  readonly what: string;
  readonly evidence: string;
}

/** Sent when the stream opens, and after an event. */
export interface LiveEvents {
  readonly events: readonly LiveEvent[];
}

/** Firing alerts of the Prometheus given with `--web.prometheus-url`. Sent when they change. */
export interface LiveAlerts {
  readonly alerts: readonly {
    readonly name: string;
    /** undefined for an alert of the host. */
    readonly vm: string | undefined;
    readonly severity: string;
    readonly summary: string;
    /** Milliseconds of the epoch. */
    readonly since: number | undefined;
    /** Lines of shell for the first minute, from its runbook. */
    readonly steps: readonly string[];
  }[];
  /** The reason why the alerts are unknown. */
  readonly problem: string | undefined;
}
