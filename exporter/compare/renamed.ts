import { append } from '../../kernel/maps.ts';
import type { Archive } from './archive.ts';
import type { Span } from './model.ts';
import { plainName, someNames } from './names.ts';
import { keyOf, ofSubjects, type Subject } from './subject.ts';

/** VMs that had other names in the time: the UUID is the same, and the samples of the other names are not read. */
export async function notesOnNames(
  archive: Archive,
  subjects: readonly Subject[],
  time: Span,
): Promise<string[]> {
  const { instance = [] } = ofSubjects(subjects);
  const all = await archive.labelSets({ metric: 'kvm_vm_info', labels: { instance } }, time);
  const read = new Map(subjects.map((subject) => [subject.key, subject]));
  const namesByIdentity = new Map<string, string[]>();
  const identityOf = ({ cluster, job, instance: host, uuid }: Readonly<Record<string, string>>): string =>
    JSON.stringify([cluster, job, host, uuid]);
  for (const labels of all)
    if (labels['uuid']) append(namesByIdentity, identityOf(labels), labels['vm'] ?? '');
  const others = new Map<Subject, string[]>();
  for (const labels of all) {
    const subject = read.get(keyOf(labels));
    if (subject === undefined) continue;
    const isRead = (vm: string): boolean => read.has(keyOf({ ...labels, vm }));
    const names = new Set(namesByIdentity.get(identityOf(labels)) ?? []);
    const unread = [...names].filter((vm) => !isRead(vm));
    if (unread.length > 0) others.set(subject, unread);
  }
  return [...others].map(
    ([{ vm }, names]) =>
      `${plainName(vm)} was also called ${someNames(names)} in this time, by its UUID: what it did under that name is not counted.`,
  );
}
