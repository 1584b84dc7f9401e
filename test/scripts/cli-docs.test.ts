import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { leaves } from '../../scripts/cli-docs/commands.ts';
import { ROOT } from '../../testing/daemon.ts';
import { hasTool } from '../../testing/tools.ts';

const COMPLETION = `${ROOT}deploy/completion`;

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, ''], `${program} ${args[0]}`);
  return stdout;
}

/** bash's completions after these words. bash splits `--flag=value` into three words. */
function inBash(...words: string[]): string[] {
  const script = `source "$0"; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kvm_telemetry
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const out = run('bash', '-c', script, `${COMPLETION}/kvm-telemetry.bash`, 'kvm-telemetry', ...words);
  return out.split('\n').filter((line) => line !== '');
}

test('bash completes commands, flags and values', () => {
  assert.deepEqual(inBash('d'), ['demo', 'doctor']);
  assert.deepEqual(inBash('phase', ''), ['set', 'clear', 'list', '--help']);
  assert.deepEqual(inBash('serve', '--web.l'), ['--web.listen-address']);
  assert.deepEqual(inBash('doctor', '--j'), ['--json']);
  assert.deepEqual(inBash('serve', '--j'), []);
  assert.deepEqual(inBash('serve', '--log.format', ''), ['json', 'logfmt']);
  assert.deepEqual(inBash('serve', '--log.format', '='), ['json', 'logfmt']);
  assert.deepEqual(inBash('serve', '--log.format', '=', 'l'), ['logfmt']);
  assert.deepEqual(inBash('serve', '--log.format', 'json', '--web.t'), ['--web.telemetry-path']);
  assert.deepEqual(inBash('once', '--trace.sets', '=', 'exits,blo'), ['exits,block', 'exits,block_duration']);
  assert.deepEqual(inBash('serve', '--path.procfs', `${ROOT}proto`), []);
  assert.deepEqual(inBash('serve', '--web.config.file', `${ROOT}package.j`), [`${ROOT}package.json`]);
});

test('fish completes commands, flags and values', (context) => {
  if (!hasTool(context, 'fish', 'fish')) return;
  const inFish = (line: string): string[] =>
    run('fish', '--no-config', '-c', `source ${COMPLETION}/kvm-telemetry.fish; complete -C '${line}'`)
      .split('\n')
      .flatMap((each) => (each === '' ? [] : (each.split('\t')[0] ?? '')));
  assert.deepEqual(inFish('kvm-telemetry d'), ['demo', 'doctor']);
  assert.deepEqual(inFish('kvm-telemetry phase '), ['clear', 'list', 'set']);
  assert.deepEqual(inFish('kvm-telemetry doctor --j'), ['--json']);
  assert.deepEqual(inFish('kvm-telemetry serve --log.format '), ['json', 'logfmt']);
});

test('zsh takes the completion', (context: TestContext) => {
  if (!hasTool(context, 'zsh', 'zsh')) return;
  run('zsh', '-n', `${COMPLETION}/_kvm-telemetry`);
});

test('groff takes the man page, which names every flag', (context) => {
  if (!hasTool(context, 'groff', 'groff')) return;
  const text = run('groff', '-man', '-ww', '-Tascii', '-P-cbou', `${ROOT}deploy/man/kvm-telemetry.1`);
  for (const { long } of leaves().flatMap(({ flags }) => flags)) assert.ok(text.includes(long), long);
});
