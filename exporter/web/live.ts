/**
 * What the live page is told: the vocabulary that the server and the browser share. Types only, and of nothing else, as the
 * browser's code is compiled without Node. Counters are as in /metrics, never rates.
 */

/** Totals by a name: a role, a stage of the I/O path, an exit reason. */
export type Counts = Readonly<Record<string, number>>;

/** One VM in the table. */
export interface LiveVm {
  /** The `vm` label. */
  readonly vm: string;
  /** Another one under the same name is another VM, whose counters have begun anew. */
  readonly pid: string;
  readonly vmm: string;
  /** QEMU's run state, where its monitor tells. */
  readonly state: string | undefined;
  /** `qmp` or `libvirt` that did not answer. */
  readonly silent: readonly string[];
  readonly vcpus: number;
  readonly exits: { readonly total: number; readonly from: string } | undefined;
  /** kvm_vm_io_path_events_total by stage; undefined while nobody traces. */
  readonly path: Counts | undefined;
  readonly io: { readonly total: number; readonly from: string } | undefined;
  /** Seconds on a CPU by role. */
  readonly run: Counts;
  /** Seconds in run queues by role; empty without CONFIG_SCHEDSTATS. */
  readonly wait: Counts;
  /** undefined where nobody judges affinity. */
  readonly drift: { readonly threads: number; readonly kinds: readonly string[] } | undefined;
  readonly stage: string | undefined;
  readonly stageDeclared: boolean;
  readonly phase: string | undefined;
}

/** At each collection. */
export interface LiveVms {
  /** Milliseconds of the epoch at the end of the collection. */
  readonly at: number;
  /** When the next one is due, at the latest. */
  readonly everyMs: number;
  readonly vms: readonly LiveVm[];
  /** In the order of LiveHost.cpus. */
  readonly cpus: readonly LiveCpuLoad[];
}

export interface LiveCpuLoad {
  /** kvm_cpu_run_seconds_total; undefined without CONFIG_SCHEDSTATS. */
  readonly run: number | undefined;
  /** Threads of VMs that ran here last. */
  readonly threads: number;
}

export interface LiveCpu {
  readonly cpu: number;
  /** Empty where the kernel has no NUMA. */
  readonly node: string;
  readonly package: string;
  readonly core: string;
  readonly siblings: string;
  readonly isolated: boolean;
}

/** One source as doctor judges it. */
export interface LiveSource {
  readonly source: string;
  readonly usable: boolean;
  readonly series: number;
  readonly findings: readonly { readonly why: string; readonly fix: string | undefined }[];
}

/** At the beginning, and when it has changed. */
export interface LiveHost {
  readonly version: string;
  readonly simulated: boolean;
  readonly lockdown: string;
  /** Of trace events: tracefs or perf; undefined where none are counted. */
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

/** What doctor --vm says. */
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
  readonly drifts: readonly {
    readonly thread: string;
    readonly kind: string;
    readonly why: string;
    readonly fix: string | undefined;
  }[];
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
