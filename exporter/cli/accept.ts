import { cpusOf, formatCpuList } from '../../kernel/cpu-list.ts';
import { createHost } from '../../probes/host.ts';
import { printable } from '../../probes/printable.ts';
import { Accepted, ANY } from '../assessment/affinity/accepted.ts';
import { bootId } from '../assessment/assessment.ts';
import { TechniqueRecords } from '../assessment/technique/records.ts';
import { ConfigError, type RawValues } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import { rootsOf } from '../config/roots.ts';
import { TECHNIQUES } from '../metrics/techniques.ts';
import { isPin } from '../model/confinement.ts';
import type { ObservedThread, ObservedVm } from '../model/observed.ts';
import { wordFor } from '../model/stage.ts';
import { factsOf, type TopologyFacts } from '../model/topology-facts.ts';
import { findVm } from './find-vm.ts';
import { oneShot } from './one-shot.ts';
import { readHostConfig } from './read-config.ts';
import { warningsOnly } from './warnings-only.ts';

/**
 * Makes the present placement of a VM's threads, or the given CPUs, the expected one. If no threads are given, it
 * also accepts the loss of techniques.
 *
 * @param threads `vcpu0`, `vcpu0=4-5` or `vcpu0=any`; all threads if there are none
 * @returns the exit code: 1 if it could not be stored
 */
export async function runAccept(name: string, threads: readonly string[], flags: RawValues): Promise<number> {
  const config = readHostConfig(flags);
  if (config['affinity.baseline'] === 'off')
    throw new ConfigError('accept: affinity.baseline is off: nothing is learned, so nothing can be accepted');
  const { telemetry } = oneShot({ ...flags, 'log.level': 'fatal' });
  const { work, inventory, assessment } = telemetry;
  try {
    await work.discover();
    const vm = findVm(inventory.vms, name, 'accept');
    await work.sample();
    const observed = assessment.affinity.of(vm)?.observed;
    const { topology } = inventory;
    if (observed === undefined || observed.threads.length === 0 || topology === undefined)
      throw new ConfigError(`accept: the affinity of ${JSON.stringify(vm.label)} cannot be read: see doctor`);
    const wanted = placementOf(observed, threads, factsOf(topology));
    const boot = bootId(createHost(rootsOf(config)));
    const accepted = new Accepted(config['state.dir'], boot, warningsOnly);
    const withLost = threads.length === 0;
    const records = new TechniqueRecords(config['state.dir'], boot, warningsOnly, false);
    const lost = TECHNIQUES.filter((technique) => records.of(vm.key, technique)?.state === 'lost');
    const alive = new Set(inventory.vms.map(({ key }) => key));
    if (!(await accepted.accept(vm.key, { threads: wanted, withLost }, new Date(), alive))) {
      process.stderr.write(`kvm-telemetry: cannot write ${accepted.path}: nothing is accepted\n`);
      return 1;
    }
    const list = [...wanted].map(([thread, cpus]) => `${thread} ${cpus === ANY ? 'not pinned' : cpus}`);
    process.stdout.write(`expected affinity of ${printable(vm.label)}: ${printable(list.join(', '))}\n`);
    if (withLost && lost.length > 0)
      process.stdout.write(`no longer expected: ${lost.map(wordFor).join(', ')}\n`);
    for (const doubt of doubtsAbout(observed, wanted))
      process.stderr.write(`kvm-telemetry: warning: ${printable(doubt)}\n`);
    return 0;
  } finally {
    await telemetry.stop();
  }
}

/** CPU lists by thread label. @throws ConfigError */
function placementOf(
  vm: ObservedVm,
  args: readonly string[],
  facts: TopologyFacts,
): ReadonlyMap<string, string> {
  const present = (thread: ObservedThread): string =>
    isPin(facts.mask(thread.allowed), vm, facts) === false ? ANY : thread.allowedList;
  if (args.length === 0) return new Map(vm.threads.map((thread) => [thread.label, present(thread)]));
  return new Map(
    args.map((arg) => {
      const exact = vm.threads.find(({ label }) => label === arg);
      if (exact !== undefined) return [exact.label, present(exact)];
      const at = arg.lastIndexOf('=');
      const label = at < 0 ? arg : arg.slice(0, at);
      const labels = vm.threads.map((thread) => thread.label);
      if (!labels.includes(label)) {
        const hint = didYouMean(label, labels) || `: it has ${labels.join(', ')}`;
        throw new ConfigError(`accept: ${vm.vm} has no thread ${JSON.stringify(label)}${hint}`);
      }
      return [label, listOf(arg.slice(at + 1))];
    }),
  );
}

/** @throws ConfigError */
function listOf(text: string): string {
  if (text === ANY) return ANY;
  const cpus = cpusOf(text) ?? [];
  if (cpus.length > 0) return formatCpuList(cpus);
  throw new ConfigError(
    `accept: ${JSON.stringify(text)} is not a list of CPUs: give for example 4, 2-3,8 or ${ANY}`,
  );
}

/** A pin of the configuration or of libvirt precedes what is accepted. */
function doubtsAbout(vm: ObservedVm, wanted: ReadonlyMap<string, string>): string[] {
  return vm.threads.flatMap(({ label, expectation }) => {
    if (!wanted.has(label) || expectation === undefined) return [];
    const list = formatCpuList(expectation.cpus);
    if (expectation.source === 'config')
      return [`${label}: the configuration (vms) expects CPUs ${list}, whatever is accepted: change vms`];
    if (expectation.source === 'libvirt' && wanted.get(label) !== list)
      return [`${label}: libvirt pins it to CPUs ${list}, whatever is accepted: change the pin with virsh`];
    return [];
  });
}
