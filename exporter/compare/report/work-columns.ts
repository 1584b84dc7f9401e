import { someNames } from '../names.ts';
import type { AssessedConfiguration } from '../statistics/assessment.ts';
import { NONE, percent, valueText } from './numbers.ts';

interface Column {
  readonly title: string;
  readonly textOf: (configuration: AssessedConfiguration) => string;
}

const namesOf = (all: readonly string[]): string => (all.length === 0 ? NONE : someNames(all));

const COLUMNS: readonly Column[] = [
  { title: 'VMs', textOf: ({ vms }) => namesOf(vms) },
  { title: 'Hosts', textOf: ({ hosts }) => namesOf(hosts) },
  {
    title: 'Reads',
    textOf: ({ work: { readShare } }) => (readShare === undefined ? NONE : percent(readShare)),
  },
  {
    title: 'Size of an I/O',
    textOf: ({ work: { bytesPerIo } }) => valueText(bytesPerIo, 'bytes_per_second').replace('/s', ''),
  },
  { title: 'I/Os in flight', textOf: ({ work: { inFlight } }) => valueText(inFlight, 'number') },
  { title: 'I/Os per second', textOf: ({ work: { iosPerSecond } }) => valueText(iosPerSecond, 'number') },
  { title: 'vCPUs', textOf: ({ work: { vcpus } }) => valueText(vcpus, 'number') },
  {
    title: "CPUs of the host's other VMs",
    textOf: ({ work: { otherVmsCpu } }) => valueText(otherVmsCpu, 'number'),
  },
];

/** Columns for known facts of the work, and for VMs and hosts if these differ. */
export function workColumns(configurations: readonly AssessedConfiguration[]): Column[] {
  return COLUMNS.filter(({ title, textOf }) => {
    const texts = new Set(configurations.map(textOf));
    return title === 'VMs' || title === 'Hosts' ? texts.size > 1 : texts.size > 1 || !texts.has(NONE);
  });
}

/** `VM db-primary on kvm-7:9954`, of all configurations. */
export function subjectsText(configurations: readonly AssessedConfiguration[]): string {
  const vms = [...new Set(configurations.flatMap((configuration) => configuration.vms))];
  const hosts = [...new Set(configurations.flatMap((configuration) => configuration.hosts))];
  if (vms.length === 0) return `${hosts.length} hosts: ${namesOf(hosts)}`;
  return `${vms.length === 1 ? 'VM' : `${vms.length} VMs:`} ${namesOf(vms)} on ${namesOf(hosts)}`;
}
