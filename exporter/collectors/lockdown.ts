import { readLockdown } from '../../probes/lockdown.ts';
import type { Collector } from './collector.ts';

/** The kernel lockdown mode, which restricts even root. */
export const lockdown: Collector = {
  name: 'lockdown',
  collect({ host, families }) {
    families.add('kvm_lockdown_info', { mode: readLockdown(host) }, 1);
  },
};
