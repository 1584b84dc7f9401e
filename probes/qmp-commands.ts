/**
 * All QMP commands that this program sends. All are read-only.
 *
 * @see https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html
 */
export const QMP_COMMANDS = [
  'query-balloon',
  'query-block',
  'query-blockstats',
  'query-cpus-fast',
  'query-iothreads',
  'query-migrate',
  'query-name',
  'query-pci',
  'query-stats',
  'query-stats-schemas',
  'query-status',
  'query-uuid',
  'query-version',
  'qom-get',
] as const;

export type QmpCommand = (typeof QMP_COMMANDS)[number];
