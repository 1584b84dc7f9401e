import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { ROOT } from './daemon.ts';

/** The captured hosts of the golden files, each with the name of its VM. */
export const GOLDEN_HOSTS: Readonly<Record<string, string>> = {
  'linux-nvme-vhost': 'vm-a',
  'toy-pio-hlt': 'vm1',
};
/** A long QMP timeout, for busy machines. */
export const GOLDEN_FLAGS = ['--vcpu.statistics=all', '--qmp.timeout-seconds=30'] as const;

export function goldenFile(host: string): string {
  return `${ROOT}test/golden/${host}.prom`;
}

/** An exposition without the values that differ between runs. */
export function withoutTheMoment(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/^(# (HELP|TYPE) )?(process|nodejs)_/.test(line))
    .filter((line) => !/^kvm_telemetry_\w+_duration_seconds_(bucket|sum)/.test(line))
    .map((line) => line.replace(/^(kvm_telemetry_collector_duration_seconds\{.*\}) .*/, '$1 0'))
    .map((line) => line.replace(/^(kvm_vm_technique_since_timestamp_seconds\{.*\}) .*/, '$1 0'))
    .map((line) => line.replace(/nodejs="[\d.]+"/, 'nodejs="0"'))
    .filter((line) => line !== '')
    .join('\n');
}

/**
 * Holds the part of a document between two marks to what is generated; `UPDATE_GOLDEN=1` writes it.
 *
 * @param path of the document in the repository
 * @param wanted the text between the marks
 */
export function assertGenerated(path: string, [begin, end]: readonly [string, string], wanted: string): void {
  const text = readFileSync(`${ROOT}${path}`, 'utf8');
  const [before = '', others = ''] = text.split(begin);
  const [, after = ''] = others.split(end);
  const whole = `${before}${begin}\n${wanted}\n${end}${after}`;
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(`${ROOT}${path}`, whole);
  assert.equal(text, whole);
}
