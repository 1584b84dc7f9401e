import { matchesGlob } from '../model/glob.ts';
import { truncatePattern } from '../model/vm-names.ts';
import { environmentVariableOf, isOnlyInFile, namesOf } from './load.ts';
import { didYouMean } from './nearest.ts';
import { type Config, type ConfigKey, options } from './options.ts';

/** Variables that are not settings: the path of the file, and the revision in the image. */
const OTHER_VARIABLES = ['KVM_TELEMETRY_CONFIG', 'KVM_TELEMETRY_REVISION'];
/** Labels of threads that can be pinned, with and without `*` and `?`: exporter/model/roles.ts. */
const THREAD = /^(?:(?:vcpu|vhost|sqpoll)[\d*?]*s?|iothread[:*?].*|emulator|monitor|.*[*?].*)$/s;
const THREADS = [
  'vcpu0',
  'vcpu*',
  'iothread:*',
  'vhost0',
  'vhost*',
  'sqpoll0',
  'sqpoll*',
  'emulator',
  'monitor',
];

const KEYS = Object.keys(options) as ConfigKey[];

/** Warnings about values that are valid but probably a mistake. */
export function doubtsAbout(config: Config, environment: NodeJS.ProcessEnv): string[] {
  const variables = Object.keys(environment).filter((name) => name.startsWith('KVM_TELEMETRY_'));
  const patterns = config.vms.flatMap(({ name, pinning }) =>
    Object.keys(pinning)
      .filter((pattern) => !THREAD.test(pattern))
      .map(
        (pattern) =>
          `vms: pinning of ${JSON.stringify(name)}: no thread is called ${JSON.stringify(pattern)}${didYouMean(pattern, THREADS)}`,
      ),
  );
  return [...variables.flatMap(doubtAboutVariable), ...patterns];
}

function doubtAboutVariable(name: string): string[] {
  const inFile = KEYS.filter(isOnlyInFile).find((key) => environmentVariableOf(key) === name);
  if (inFile !== undefined) return [`${name} has no effect: set ${inFile} in the file of --config`];
  const known = [...KEYS.flatMap(namesOf).map(environmentVariableOf), ...OTHER_VARIABLES];
  if (known.includes(name)) return [];
  return [`${name} is not a setting and has no effect${didYouMean(name, known)}`];
}

/**
 * Entries of `vms` that match no running VM: a mistyped name, or a VM that has not started yet.
 *
 * @param running names of the running VMs
 */
export function doubtsAboutVms({ vms }: Pick<Config, 'vms'>, running: readonly string[]): string[] {
  return vms
    .filter(({ name }) => !running.some((vm) => matchesGlob(truncatePattern(name), vm)))
    .map(({ name }) => `vms: no running VM matches ${JSON.stringify(name)}${didYouMean(name, running)}`);
}
