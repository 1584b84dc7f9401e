import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompareFlags, runCompare } from '../../../exporter/cli/compare.ts';

const VM = { vm: 'web', by: 'stage' };
const FLEET = { by: 'label=kernel' };
const SERVER = { prometheus: 'http://127.0.0.1:1' };
const RECORDING = { recording: ['/nonexistent'] };

function refused(flags: Partial<CompareFlags>, message: RegExp): Promise<void> {
  const usual = { format: 'table', confidence: '0.95' };
  return assert.rejects(runCompare({ ...usual, ...flags }), { name: 'ConfigError', message });
}

test('a flag with a wrong value is one error that names it', async () => {
  const format = /^--format: "markdwon" is not allowed: give table, .*did you mean "markdown"\?$/;
  await refused({ ...VM, ...SERVER, format: 'markdwon' }, format);
  for (const confidence of ['1', '0.4', '95%', ''])
    await refused(
      { ...VM, ...SERVER, confidence },
      /^--confidence: ".*" is not allowed: give a number from 0\.5/,
    );
  await refused({ ...VM, ...SERVER, failIf: ['iops'] }, /^--fail-if: /);
});

test('a source is necessary, and one only', async () => {
  for (const question of [VM, FLEET]) await refused(question, /^--prometheus is missing: give the URL/);
  const prometheus = 'http://me:secret@127.0.0.1:1';
  await refused({ ...VM, prometheus }, /^(?!.*secret)--prometheus: give an http or https URL/);
  await refused({ ...VM, ...SERVER, ...RECORDING }, /^--recording does not go with --prometheus: give one$/);
  await refused({ ...FLEET, ...RECORDING }, /^--recording does not go with --by label=/);
});
