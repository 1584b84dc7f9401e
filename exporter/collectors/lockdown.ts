import { readLockdown } from '../../probes/lockdown.ts';
import { lockdownLabels } from '../metrics/label-sets.ts';
import { labelBlock } from '../metrics/labels.ts';
import type { Collector } from './collector.ts';

/** The kernel lockdown mode, which restricts even root. */
export const lockdown: Collector = {
  name: 'lockdown',
  collect({ host, families }) {
    families.add('kvm_lockdown_info', labelBlock(lockdownLabels, [readLockdown(host)]), 1);
  },
};
