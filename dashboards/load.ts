import { ofVm, VM } from '../alerts/recording.ts';
import {
  add,
  count,
  countOverTime,
  div,
  groupLeft,
  isTrue,
  max,
  min,
  mul,
  on,
  sub,
  sum,
  sumOverTime,
  type Vector,
} from '../promql/promql.ts';
import { byConfiguration, ladderOrder, secondsOfStep } from './configurations.ts';
import { ios, ratio } from './measures.ts';
import { named, type Panel } from './panels/panel.ts';
import { Stat } from './panels/stat.ts';
import { Table } from './panels/table.ts';
import { now, OF_VMS, RATE, rows, vmRate } from './queries.ts';

/** Configurations whose load differs more than this are not comparable. */
const DIFFERS = { reads: 0.05, requestSize: 1.1 } as const;
const TEXT = 'from 5 percentage points of reads, or 10% of the request size';

const reads = sum(vmRate('kvm_vm_disk_reads_completed_total'), VM);
const operations = sum(ofVm.diskIos(RATE, OF_VMS), VM);
const bytes = add(
  sum(vmRate('kvm_vm_disk_read_bytes_total'), VM),
  sum(vmRate('kvm_vm_disk_written_bytes_total'), VM),
);

const shareOfReads = ratio(reads, operations).perConfiguration('chosen');
const requestSize = ratio(bytes, operations).perConfiguration('chosen');
const counted = countOverTime(byConfiguration(ios, 'chosen'));
const inSeconds = (of: Vector<'configuration'>): Vector<'configuration'> =>
  mul(of, on(), groupLeft(), secondsOfStep);

/** The load of each configuration: the basis of its bars. */
export function loadTable(size: { readonly width: number; readonly height: number }): Panel {
  return new Table({
    title: 'Behind each bar',
    description:
      'Time and I/Os that are counted for each configuration, summed over the VMs, and their load. Reads and request size are weighted by I/Os.',
    ...size,
    queries: [
      rows(inSeconds(sum(counted, ['configuration']))),
      rows(inSeconds(sum(sumOverTime(byConfiguration(ios, 'chosen')), ['configuration']))),
      rows(count(counted, ['configuration'])),
      rows(shareOfReads),
      rows(requestSize),
      rows(ladderOrder()),
    ],
    before: [{ id: 'sortBy', options: { fields: {}, sort: [{ field: 'Value #F', desc: false }] } }],
    columns: [
      { from: 'configuration', title: 'Configuration' },
      { from: 'Value #C', title: 'VMs', unit: 'short', decimals: 0 },
      { from: 'Value #A', title: 'Time', unit: 's', decimals: 0 },
      { from: 'Value #B', title: 'I/Os', unit: 'short' },
      { from: 'Value #D', title: 'Reads', unit: 'percentunit', decimals: 0 },
      { from: 'Value #E', title: 'Request size', unit: 'bytes' },
    ],
  });
}

/** Shows whether the load was the same in all configurations shown. */
export function loadWarning(size: { readonly width: number; readonly height: number }): Panel {
  const readsDiffer = isTrue(sub(max(shareOfReads, []), min(shareOfReads, [])), '>=', DIFFERS.reads);
  const sizeDiffers = isTrue(div(max(requestSize, []), min(requestSize, [])), '>=', DIFFERS.requestSize);
  return new Stat({
    title: 'Is the load the same?',
    description: `Compares the load of all configurations that are shown. A warning appears ${TEXT} on: then the patch is not the only difference.`,
    ...size,
    unit: 'none',
    queries: [now(add(readsDiffer, mul(sizeDiffers, 2)), 'load')],
    mappings: [
      named({
        0: ['Same load', 'green'],
        1: ['Reads and writes differ', 'orange'],
        2: ['Request size differs', 'orange'],
        3: ['Reads, writes and request size differ', 'orange'],
      }),
    ],
    emptyIsGood: 'Unknown: no VMM counts reads and writes',
  });
}
