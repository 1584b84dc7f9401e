import { ifThere, malformed } from './errors.ts';
import type { Host } from './host.ts';

/**
 * `integrity` denies every debugfs file that is writable by anyone (the KVM counters); `confidentiality` also
 * denies tracefs, perf and BPF. `unknown` if securityfs is not mounted.
 */
export type Lockdown = 'none' | 'integrity' | 'confidentiality' | 'unknown';

/**
 * Parses `/sys/kernel/security/lockdown`, security/lockdown/lockdown.c. Missing without the lockdown LSM.
 *
 * @throws SourceError malformed
 * @see https://man7.org/linux/man-pages/man7/kernel_lockdown.7.html
 * @example parseLockdown('none [integrity] confidentiality\n') // 'integrity'
 */
export function parseLockdown(text: string): Lockdown {
  const chosen = /\[(none|integrity|confidentiality)\]/.exec(text)?.[1];
  if (chosen === undefined) throw malformed('/sys/kernel/security/lockdown', text);
  return chosen as Lockdown;
}

export function readLockdown(host: Host): Lockdown {
  return (
    ifThere(() => parseLockdown(host.attribute(`${host.roots.sysfs}/kernel/security/lockdown`))) ?? 'unknown'
  );
}
