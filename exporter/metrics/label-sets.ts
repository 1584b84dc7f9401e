/** Label sets that several metrics share, in the order of the exposition. */
export const vmLabels = ['vm'] as const;
export const vmInfoLabels = ['vm', 'name', 'uuid', 'vmm', 'manager', 'accel', 'machine', 'pid'] as const;
export const vmRoleLabels = ['vm', 'role'] as const;
export const vcpuLabels = ['vm', 'vcpu'] as const;
export const vmSourceLabels = ['vm', 'source'] as const;
export const vmStateLabels = ['vm', 'state'] as const;
export const vmVersionLabels = ['vm', 'version'] as const;
export const vmDiskLabels = ['vm', 'disk'] as const;
export const vmDiskOperationLabels = ['vm', 'disk', 'operation'] as const;
export const vmDiskInfoLabels = ['vm', 'disk', 'file', 'driver', 'iothread'] as const;
export const vmDiskQueueLabels = ['vm', 'disk', 'queue', 'iothread'] as const;
export const iothreadLabels = ['vm', 'iothread'] as const;
export const blockDeviceLabels = ['vm', 'device', 'depth'] as const;

export const vmEventLabels = ['vm', 'event'] as const;
export const vmReasonLabels = ['vm', 'reason'] as const;
export const vcpuReasonLabels = ['vm', 'vcpu', 'reason'] as const;
export const vmStepLabels = ['vm', 'step'] as const;
export const vmMsiLabels = ['vm', 'vector', 'destination'] as const;
export const vmDeviceLabels = ['vm', 'device'] as const;
export const virtqueueLabels = ['vm', 'queue', 'vcpu'] as const;
export const virtqueueInfoLabels = ['vm', 'queue', 'address', 'device'] as const;
export const vmThreadKindLabels = ['vm', 'thread', 'kind'] as const;
export const vmFeatureLabels = ['vm', 'feature'] as const;
export const vmStageSourceLabels = ['vm', 'stage', 'source'] as const;
export const vmPhaseLabels = ['vm', 'phase'] as const;
export const vmScopeLabels = ['vm', 'scope'] as const;

export const threadLabels = ['vm', 'thread', 'role'] as const;
export const threadModeLabels = ['vm', 'thread', 'role', 'mode'] as const;
export const threadSwitchLabels = ['vm', 'thread', 'role', 'type'] as const;
export const threadCpuLabels = ['vm', 'thread', 'role', 'cpu'] as const;

export const deviceLabels = ['device'] as const;
export const deviceInfoLabels = [
  'device',
  'controller',
  'physical',
  'scheduler',
  'write_cache',
  'rotational',
] as const;
export const deviceDirectionLabels = ['device', 'direction'] as const;
export const hardwareQueueLabels = ['device', 'queue', 'cpus'] as const;
export const nvmeQueueLabels = ['controller', 'queue'] as const;
export const nvmeQueueAffinityLabels = ['controller', 'queue', 'cpus'] as const;

export const cpuLabels = ['cpu'] as const;
export const cpuInfoLabels = ['cpu', 'package', 'core', 'node', 'siblings', 'isolated'] as const;
export const interruptLabels = ['type'] as const;
export const moduleParameterLabels = ['module', 'parameter'] as const;
export const moduleParameterInfoLabels = ['module', 'parameter', 'value'] as const;
export const lockdownLabels = ['mode'] as const;

export const noLabels = [] as const;
export const buildLabels = ['version', 'revision', 'nodejs', 'simulated'] as const;
export const collectorLabels = ['collector'] as const;
export const taskLabels = ['task'] as const;
export const traceSetLabels = ['set'] as const;
export const traceBackendLabels = ['backend'] as const;
