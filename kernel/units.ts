export const NSEC_PER_SEC = 1e9;
export const USEC_PER_SEC = 1e6;
export const MSEC_PER_SEC = 1e3;

/** Clock ticks per second in /proc: 100 wherever KVM runs (include/uapi/asm-generic/param.h). */
export const USER_HZ = 100;
export const NSEC_PER_TICK = NSEC_PER_SEC / USER_HZ;

/** Bytes of a sector in /sys/block, whatever the device's block size (include/linux/blk_types.h). */
export const SECTOR_SIZE = 512;
/** Bytes of the smallest page of x86 and arm64. */
export const PAGE_SIZE = 4096;
export const MIB = 1024 * 1024;

/** `20 s`, `59 min`, `3.5 h`, `12 days`. */
export function durationText(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 2 * 86_400) return `${Number((seconds / 3600).toFixed(1))} h`;
  return `${Number((seconds / 86_400).toFixed(1))} days`;
}
