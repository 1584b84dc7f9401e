import { choice, counter, gauge, histogram, sum } from './definition.ts';

const VMM = choice("after a change of the source it grows by the new source's growth");

const DISKS = 'QMP query-blockstats, virsh domstats';

const disk = (help: string) => counter(['vm', 'disk'], help, DISKS, VMM);
const iothread = (help: string) => gauge(['vm', 'iothread'], help, 'QMP query-iothreads, virsh domstats');
const halt = (help: string) =>
  histogram(['vm'], help, 'BPF, QMP query-stats', sum('over vCPUs, bucket by bucket'));

/** Metrics from the VMM itself. */
export const vmmMetrics = {
  kvm_vcpu_halt_poll_seconds: gauge(
    ['vm', 'vcpu'],
    'Current window of halt polling: how long KVM polls before it blocks the vCPU. KVM adapts it between 0 and halt_poll_ns.',
    'BPF',
  ),
  kvm_vcpu_apicv_active: gauge(
    ['vm', 'vcpu'],
    '1 if the CPU virtualizes the APIC of the vCPU (APICv, AVIC), so that interrupts and EOIs need no exit. KVM may disable it for a moment.',
    'BPF: kvm_lapic.apicv_active',
  ),
  kvm_vm_apicv_inhibited: gauge(
    ['vm', 'reason'],
    'Why KVM does not use APICv or AVIC for the VM, by the names of enum kvm_apicv_inhibit. Always 1; without a reason there is no series.',
    'BPF: kvm_arch.apicv_inhibit_reasons',
  ),
  kvm_vm_confidential_info: gauge(
    ['vm', 'type'],
    'Type of a confidential VM: sev, sev_es, sev_snp or tdx, as of Linux 6.8. Always 1.',
    'BPF: kvm_arch.vm_type',
  ),
  kvm_vm_source_info: gauge(
    ['vm', 'source'],
    "Source of the VM's KVM statistics in this scrape: bpf, qmp, libvirt or debugfs. Always 1.",
    'exporter',
  ),
  kvm_vm_source_up: gauge(
    ['vm', 'source'],
    '1 if the kernel (bpf), the VMM (qmp) or its manager (libvirt) responded for this VM in this scrape. 0 if not, for example because the VM is busy, migrating, hanging or shutting down.',
    'exporter',
  ),
  kvm_vm_state_info: gauge(
    ['vm', 'state'],
    "QEMU's run state: running, paused, inmigrate, ... Always 1.",
    'QMP query-status, virsh domstats',
  ),
  kvm_vm_qemu_version_info: gauge(
    ['vm', 'version'],
    'Version of the QEMU process of the VM, which can be older than the installed QEMU. Always 1.',
    'QMP query-version',
  ),
  kvm_vm_disk_info: gauge(
    ['vm', 'disk', 'file', 'driver', 'iothread'],
    'Properties of a disk: image or host device, block driver, and the IOThreads that serve it (empty: the main loop). Always 1.',
    'QMP query-block, qom-get',
  ),
  kvm_vm_disk_reads_completed_total: disk('Reads completed, as issued by the guest.'),
  kvm_vm_disk_reads_merged_total: disk('Reads that QEMU merged.'),
  kvm_vm_disk_read_bytes_total: disk('Bytes read.'),
  kvm_vm_disk_read_time_seconds_total: disk('Total time spent by all reads in QEMU.'),
  kvm_vm_disk_writes_completed_total: disk('Writes completed.'),
  kvm_vm_disk_writes_merged_total: disk('Writes that QEMU merged.'),
  kvm_vm_disk_written_bytes_total: disk('Bytes written.'),
  kvm_vm_disk_write_time_seconds_total: disk('Total time spent by all writes in QEMU.'),
  kvm_vm_disk_flush_requests_total: disk('Flushes completed.'),
  kvm_vm_disk_flush_requests_time_seconds_total: disk('Total time spent by all flushes in QEMU.'),
  kvm_vm_disk_discards_completed_total: disk('Discards completed.'),
  kvm_vm_disk_discards_merged_total: disk('Discards that QEMU merged.'),
  kvm_vm_disk_discarded_bytes_total: disk('Bytes discarded.'),
  kvm_vm_disk_discard_time_seconds_total: disk('Total time spent by all discards in QEMU.'),
  kvm_vm_disk_failed_total: counter(
    ['vm', 'disk', 'operation'],
    'Failed operations, by operation: read, write, flush or discard.',
    'QMP query-blockstats',
  ),
  kvm_vm_disk_queues: gauge(['vm', 'disk'], 'Number of virtqueues of the disk (num-queues).', DISKS),
  kvm_vm_disk_dedicated_iothread: gauge(
    ['vm', 'disk'],
    '1 if the disk shares its IOThreads with no other disk. 0 if it shares one or if the main loop serves it.',
    DISKS,
  ),
  kvm_vm_disk_queue_iothread_info: gauge(
    ['vm', 'disk', 'queue', 'iothread'],
    'IOThread that serves the virtqueue. Always 1.',
    'QMP qom-get',
  ),
  kvm_iothread_poll_max_seconds: iothread('Longest busy poll (poll-max-ns). 0 if polling is off.'),
  kvm_iothread_poll_grow: iothread(
    "Factor by which the polling time grows (poll-grow). 0 selects QEMU's default.",
  ),
  kvm_iothread_poll_shrink: iothread(
    'Divisor by which the polling time shrinks (poll-shrink). 0 resets the polling time to 0.',
  ),
  kvm_iothread_poll_weight: iothread(
    "Shift of the weight of the last interval in the polling time (poll-weight). 0 selects QEMU's default. Absent if QEMU or libvirt does not have it.",
  ),
  kvm_iothread_aio_max_batch: iothread(
    "Maximum number of requests in one batch (aio-max-batch). 0 selects the AIO engine's default.",
  ),
} as const;

export const histogramMetrics = {
  kvm_vm_halt_poll_success_duration_seconds: halt('Duration of halt polls that ended with an event.'),
  kvm_vm_halt_poll_fail_duration_seconds: halt('Duration of halt polls that found no event.'),
  kvm_vm_halt_wait_duration_seconds: halt('Time that vCPUs were blocked in halt.'),
  kvm_vm_disk_duration_seconds: histogram(
    ['vm', 'disk', 'operation'],
    'Latency of disk operations. Only for disks with a histogram set in QEMU (block-latency-histogram-set).',
    'QMP query-blockstats',
  ),
} as const;
