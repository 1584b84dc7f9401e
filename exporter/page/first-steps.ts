// Generated from alerts/runbooks/*.md by `npm run rules`; do not edit.

/** What to run in the first minute of an alert, by its name. `usesVm`: the commands use the VM's name as `$vm`. */
export const FIRST_STEPS: Readonly<
  Record<string, { readonly usesVm: boolean; readonly lines: readonly string[] }>
> = {
  "KvmExitStorm": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "pid=$(kvm-telemetry doctor --vm \"$vm\" --json | jq .pid)",
      "perf kvm stat record -p \"$pid\" sleep 5 && perf kvm stat report          # the reason with the most exits"
    ]
  },
  "KvmExitStormAgainstBaseline": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "pid=$(kvm-telemetry doctor --vm \"$vm\" --json | jq .pid)",
      "perf kvm stat record -p \"$pid\" sleep 5 && perf kvm stat report          # the reason that grew is the cause"
    ]
  },
  "KvmExitLatencyHigh": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "pid=$(kvm-telemetry doctor --vm \"$vm\" --json | jq .pid)",
      "perf kvm stat record -p \"$pid\" sleep 5 && perf kvm stat report          # the reason with the highest Max Time",
      "grep -E \"VmSwap|VmRSS\" /proc/\"$pid\"/status          # swapped memory delays exits"
    ]
  },
  "KvmAffinityDrift": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "# Read \"drift:\", then run the commands under \"plan\". Each has its undo below it.",
      "journalctl -u kvm-telemetry --since -1h | grep \"affinity drift\"          # since when, and which thread",
      "kvm-telemetry accept \"$vm\"          # instead: the present placement is the intended one"
    ]
  },
  "KvmThreadsShareCpu": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "# Run the commands under \"plan\". It takes no CPU from another VM."
    ]
  },
  "KvmCrossNodeIo": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "# Run the commands under \"plan\". It never moves memory to a node without memory.",
      "pid=$(kvm-telemetry doctor --vm \"$vm\" --json | jq .pid)",
      "numastat -p \"$pid\""
    ]
  },
  "KvmVcpuStarved": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "ps -eLo psr,pcpu,tid,comm --sort=-pcpu | head -20          # the threads on the CPUs of its vCPUs",
      "uptime"
    ]
  },
  "KvmVmThrottled": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "curl -s localhost:9954/metrics | grep -E \"^kvm_vm_(throttled|quota).*vm=\\\"$vm\\\"\"     # which cgroup, which quota"
    ]
  },
  "KvmIoThreadSaturated": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "pid=$(kvm-telemetry doctor --vm \"$vm\" --json | jq .pid)",
      "top -H -b -n 1 -p \"$pid\" | head -20          # the thread at 100%"
    ]
  },
  "KvmPollingRegressed": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "# Read \"features\" (+iothread_polling, +sqpoll) and run the commands under \"plan\".",
      "pid=$(kvm-telemetry doctor --vm \"$vm\" --json | jq .pid)",
      "perf kvm stat record -p \"$pid\" sleep 5 && perf kvm stat report          # kicks are EPT_MISCONFIG or IO_INSTRUCTION (AMD: npf, io)"
    ]
  },
  "KvmHaltPollWaste": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "grep . /sys/module/kvm/parameters/halt_poll_ns*"
    ]
  },
  "KvmQueueImbalance": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "# The line \"disk\" shows the number of queues and their IOThreads. In the guest:",
      "grep . /sys/block/vd*/mq/*/cpu_list"
    ]
  },
  "KvmDiskLatencyHigh": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "iostat -x 1 3          # the devices in the lines \"device\" of doctor: %util, aqu-sz, r_await, w_await",
      "dmesg -T | grep -iE 'nvme|I/O error|timeout|reset' | tail"
    ]
  },
  "KvmIoStalled": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "grep . /sys/block/*/inflight          # requests in flight of the devices in the lines \"device\"",
      "dmesg -T | grep -iE 'nvme|I/O error|timeout|hung|reset' | tail",
      "cat /sys/class/nvme/nvme*/state          # live, resetting, connecting, dead"
    ]
  },
  "KvmTechniqueLost": {
    "usesVm": true,
    "lines": [
      "kvm-telemetry doctor --vm \"$vm\"",
      "# Read the lines under \"stage\" for the state of each technique. Run the commands under \"plan\".",
      "journalctl -u kvm-telemetry --since -6h | grep -E \" of $vm: |affinity drift of $vm \"          # when, and with which number"
    ]
  },
  "KvmApicvLost": {
    "usesVm": true,
    "lines": [
      "curl -s localhost:9954/metrics | grep -E \"^kvm_v(cpu_apicv_active|m_apicv_inhibited).*vm=\\\"$vm\\\"\"     # which vCPUs, and why",
      "kvm-telemetry doctor --vm \"$vm\""
    ]
  },
  "KvmTelemetryCollectorFailing": {
    "usesVm": false,
    "lines": [
      "kvm-telemetry doctor          # on the host, as root: FAIL lines, each with why and fix",
      "journalctl -u kvm-telemetry -n 50"
    ]
  },
  "KvmTelemetryTraceDrops": {
    "usesVm": false,
    "lines": [
      "kvm-telemetry doctor          # the line \"trace\"",
      "tail -qn 4 /sys/kernel/tracing/instances/kvm-telemetry-*/events/kvm/*/hist          # Entries, Dropped"
    ]
  },
  "KvmTelemetryTaskStalled": {
    "usesVm": false,
    "lines": [
      "journalctl -u kvm-telemetry --since -1h | grep failed",
      "kvm-telemetry doctor",
      "uptime          # a host without free CPU time delays the daemon"
    ]
  },
  "KvmTelemetrySeriesLimited": {
    "usesVm": false,
    "lines": [
      "kvm-telemetry doctor          # series of each source",
      "journalctl -u kvm-telemetry --since -2h | grep -i series          # the VMs that are cut"
    ]
  },
  "KvmTelemetrySeriesBudget": {
    "usesVm": false,
    "lines": [
      "kvm-telemetry doctor          # series of each source",
      "curl -fsS localhost:9954/metrics | grep -v '^#' | sed 's/[{ ].*//' | sort | uniq -c | sort -n | tail          # series by metric"
    ]
  },
  "KvmTelemetrySamplesLost": {
    "usesVm": false,
    "lines": [
      "kvm-telemetry doctor          # on a host of the agent: check its sources",
      "curl -fsS http://localhost:8429/metrics | grep -E 'dropped|retries_count|pending_data_bytes'          # vmagent",
      "curl -fsS http://localhost:9090/metrics | grep -E 'remote_storage_samples_(failed|retried|pending)'          # Prometheus",
      "journalctl -u vmagent -u prometheus -g 'dropped|400|out of order|too old' | tail          # responses of the store"
    ]
  },
  "KvmTelemetryTwoWriters": {
    "usesVm": false,
    "lines": [
      "kvm-telemetry doctor          # on the host: its name and its port",
      "grep -r kvm1 /etc/kvm-telemetry/targets          # on the agents: who scrapes a host of this name, at which address",
      "curl -fsS http://localhost:9090/api/v1/status/config | grep -A4 external_labels          # on each Prometheus",
      "journalctl -u vmagent -u prometheus -g 'external_labels|duplicate' | tail          # on each agent"
    ]
  },
  "KvmTelemetryStoreDiskFull": {
    "usesVm": false,
    "lines": [
      "kvm-telemetry doctor          # on a host: check its sources",
      "df -h /var/lib/victoria-metrics          # on the store",
      "du -xsh /var/lib/* | sort -h | tail          # other programs on that disk",
      "curl -fsS http://localhost:8428/metrics | grep -E 'free_disk_space|storage_is_read_only|data_size_bytes'"
    ]
  },
  "KvmTelemetryHostLagging": {
    "usesVm": false,
    "lines": [
      "kvm-telemetry doctor          # on the host",
      "curl -fsS http://localhost:8429/metrics | grep vmagent_remotewrite_pending_data_bytes          # vmagent: bytes in the queue",
      "curl -fsS http://localhost:9090/metrics | grep prometheus_remote_storage_samples_pending       # Prometheus"
    ]
  },
  "KvmTelemetryHostMissing": {
    "usesVm": false,
    "lines": [
      "kvm-telemetry doctor          # on the host: does it still run VMs?",
      "systemctl status kvm-telemetry",
      "promtool check config /etc/prometheus/prometheus.yml          # on the Prometheus that scrapes it"
    ]
  },
  "KvmTelemetryDown": {
    "usesVm": false,
    "lines": [
      "systemctl status kvm-telemetry",
      "journalctl -u kvm-telemetry -n 50",
      "kvm-telemetry doctor          # works without the daemon",
      "curl -fsS http://localhost:9954/-/ready"
    ]
  }
};
