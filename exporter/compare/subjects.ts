import { append } from '../../kernel/maps.ts';
import { ConfigError } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import { matchesGlob } from '../model/glob.ts';
import type { Series } from '../prometheus/series.ts';
import type { Archive } from './archive.ts';
import type { Span } from './model.ts';
import { keyOf, type Subject } from './subject.ts';

type Labels = Series['labels'];

const MAX_VMS = 500;
const MAX_NAMES = 10;

/**
 * The VMs with samples in a time.
 *
 * @param vm pattern of their names
 * @param host pattern of the label `instance`; undefined if each name must be on one host
 * @throws ConfigError
 */
export async function findSubjects(
  archive: Archive,
  { vm, host }: { readonly vm: string; readonly host: string | undefined },
  time: Span,
): Promise<Subject[]> {
  const isLiteral = !/[*?]/.test(vm);
  const labels = isLiteral ? { vm: [vm] } : {};
  const found = await archive.labelSets({ metric: 'kvm_vm_vcpus', labels }, time);
  const named = found.filter((each) => matchesGlob(vm, each['vm'] ?? ''));
  const onHost = named.filter((each) => host === undefined || matchesGlob(host, each['instance'] ?? ''));
  if (named.length === 0) throw await noSuchVm(archive, vm, time);
  if (onHost.length === 0)
    throw new ConfigError(
      `--host: ${JSON.stringify(host)} has no such VM: it is on ${listed(named, 'instance')}`,
    );
  const byKey = new Map<string, Labels[]>();
  for (const each of onHost) append(byKey, keyOf(each), each);
  for (const [first, second] of byKey.values()) if (first && second) throw scrapedTwice(first, second);
  const subjects = [...byKey].map(
    ([key, [{ vm: name = '', cluster = '', job = '', instance = '' } = {}]]) => ({
      key,
      vm: name,
      cluster,
      job,
      instance,
    }),
  );
  if (host === undefined) checkHosts(subjects);
  if (subjects.length > MAX_VMS)
    throw new ConfigError(
      `--vm: ${JSON.stringify(vm)} matches ${subjects.length} VMs: give a pattern that matches at most ${MAX_VMS}`,
    );
  return subjects.sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function noSuchVm(archive: Archive, vm: string, time: Span): Promise<ConfigError> {
  const all = await archive.labelSets({ metric: 'kvm_vm_vcpus', labels: {} }, time);
  const names = [...new Set(all.map((labels) => labels['vm'] ?? ''))].sort();
  if (names.length === 0)
    return new ConfigError(`${archive.name} has no samples of kvm_vm_vcpus in this time: ${archive.ifEmpty}`);
  const hint = didYouMean(vm, names) || `: there are ${some(names)}`;
  return new ConfigError(`--vm: no VM ${JSON.stringify(vm)} in this time${hint}`);
}

/** What distinguishes two VMs of one name, and what to do about it. */
const DISTINGUISHED = [
  { label: 'instance', fix: 'give --host' },
  { label: 'cluster', fix: 'query one cluster' },
] as const;

function checkHosts(subjects: readonly Subject[]): void {
  for (const subject of subjects) {
    const other = subjects.find(({ vm, key }) => vm === subject.vm && key !== subject.key);
    if (other === undefined) continue;
    const { label, fix } = DISTINGUISHED.find((each) => other[each.label] !== subject[each.label]) ?? {
      label: 'job',
      fix: 'scrape the exporter in one job',
    };
    const [a, b] = [subject[label], other[label]];
    throw new ConfigError(`--vm: ${JSON.stringify(subject.vm)} is on ${a} and on ${b}: ${fix}`);
  }
}

/** Two series of the same VM: both would be counted. */
function scrapedTwice(a: Labels, b: Labels): ConfigError {
  const labels = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
    (label) => a[label] !== b[label],
  );
  return new ConfigError(
    `VM ${JSON.stringify(a['vm'])} has several series that differ in ${labels.join(', ')}: query a server that removes duplicates, such as Thanos Query`,
  );
}

function listed(all: readonly Labels[], label: string): string {
  return some([...new Set(all.map((labels) => labels[label] ?? ''))].sort());
}

function some(names: readonly string[]): string {
  const shown = names
    .slice(0, MAX_NAMES)
    .map((name) => JSON.stringify(name))
    .join(', ');
  return names.length > MAX_NAMES ? `${shown} and ${names.length - MAX_NAMES} more` : shown;
}
