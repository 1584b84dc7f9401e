import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { program } from '../../exporter/cli/program.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { EXECUTED, INLINE, NO_COMMANDS, NOT_EXECUTED, PROGRAMS } from './commands.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'RELEASE.md', 'SECURITY.md'].concat(
  readdirSync(`${ROOT}docs`)
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
);

interface Block {
  readonly document: string;
  readonly lines: readonly string[];
}

/** Indented and fenced code. */
function blocksOf(document: string): Block[] {
  const blocks: string[][] = [];
  let fence: string[] | undefined;
  let before = '';
  for (const line of readFileSync(ROOT + document, 'utf8').split('\n')) {
    const isCode = /^ {4,}\S/.test(line);
    if (/^\s*```/.test(line)) {
      if (fence === undefined) fence = [];
      else {
        blocks.push(fence);
        fence = undefined;
      }
    } else if (fence !== undefined) fence.push(line.trim());
    else if (isCode && before === 'code') blocks.at(-1)?.push(line.trim());
    else if (isCode && before === '') {
      blocks.push([line.trim()]);
      before = 'code';
    } else if (line !== '' || before !== 'code') before = line === '' ? '' : 'text';
  }
  return blocks.map((lines) => ({ document, lines }));
}

/** Commands of these programs within sentences, which may lack arguments. */
function inlineCommandsOf(document: string, programs: readonly string[]): string[] {
  const prose = readFileSync(ROOT + document, 'utf8')
    .replaceAll(/```.*?```/gs, '')
    .replaceAll(/^ {4,}\S.*$/gm, '');
  const each = new RegExp(`\`((?:${programs.join('|')}) [^\`]+)\``, 'g');
  return [...prose.matchAll(each)].map(([, command = '']) => command.replaceAll(/\s+/g, ' '));
}

/** In a transcript the commands are behind a prompt. */
function commandsOf({ lines }: Block): string[] {
  const whole = lines
    .join('\n')
    .replaceAll(/ \\\n\s*/g, ' ')
    .split('\n');
  const isTranscript = whole[0]?.startsWith('# ') === true;
  const commands = isTranscript
    ? whole.filter((line) => line.startsWith('# ')).map((line) => line.slice(2))
    : whole;
  return commands.map((line) => line.replace(/\s+# .*$/, '')).filter((line) => !line.startsWith('#'));
}

/** The words of a line of shell without expansions. */
function wordsOf(line: string): string[] {
  return (line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? []).map((word) => word.replaceAll(/['"]/g, ''));
}

const blocks = DOCUMENTS.flatMap(blocksOf);
const isNoCommand = ({ lines: [first = ''] }: Block): boolean => NO_COMMANDS.some((each) => each.test(first));
const commands = blocks
  .filter((block) => !isNoCommand(block))
  .flatMap((block) => commandsOf(block).map((command) => ({ document: block.document, command })));

const inlineOf = (programs: readonly string[]): { document: string; command: string }[] =>
  DOCUMENTS.flatMap((document) =>
    inlineCommandsOf(document, programs).map((command) => ({ document, command })),
  );
const inline = inlineOf(['kvm-telemetry', 'npm', 'node']);
const others = inlineOf(PROGRAMS);

test('every command of the documentation is executed by a test, or has a reason why not', () => {
  const known = [...EXECUTED.map(({ is }) => is), ...NOT_EXECUTED.map(({ is }) => is)];
  const unknown = commands.filter(({ command }) => !known.some((is) => is.test(command)));
  assert.deepEqual(unknown, [], 'add it to test/docs/commands.ts');
  const twice = commands.filter(({ command }) => known.filter((is) => is.test(command)).length > 1);
  assert.deepEqual(twice, [], 'more than one entry matches');
  assert.ok(commands.length > 100);
});

test('so is every command of another program within a sentence', () => {
  const entriesOf = (command: string): number => INLINE.filter(({ is }) => is.test(command)).length;
  assert.deepEqual(
    others.filter(({ command }) => entriesOf(command) !== 1),
    [],
    'one entry of INLINE in test/docs/commands.ts',
  );
  assert.ok(others.length > 20);
});

test('no entry is obsolete', () => {
  const unused = [...EXECUTED, ...NOT_EXECUTED].filter(
    ({ is }) => !commands.some(({ command }) => is.test(command)),
  );
  const noBlock = NO_COMMANDS.filter((is) => !blocks.some(({ lines: [first = ''] }) => is.test(first)));
  const notInline = INLINE.filter(({ is }) => !others.some(({ command }) => is.test(command)));
  assert.deepEqual([...[...unused, ...notInline].map(({ is }) => is), ...noBlock], []);
});

test('the listed tests exist and contain their commands', () => {
  const inlines = INLINE.flatMap((entry) => ('by' in entry ? entry : []));
  for (const { is, by, has } of [...EXECUTED, ...inlines]) {
    assert.ok(existsSync(ROOT + by), `${by}, for ${is}`);
    assert.ok(readFileSync(ROOT + by, 'utf8').includes(has), `${by} has ${has}, for ${is}`);
  }
});

/** Replaces the actions of the commands. */
function withoutActions(command: Command): void {
  if (command.commands.length === 0) command.action(() => undefined);
  for (const each of command.commands) withoutActions(each);
}

test('kvm-telemetry accepts its commands as they are written', async () => {
  const own = commands.filter(({ command }) => /(?:^|\| )kvm-telemetry /.test(command));
  assert.ok(own.length > 30);
  const parse = (args: readonly string[]): Promise<unknown> => {
    const root = program(() => undefined);
    withoutActions(root);
    return root.parseAsync(args, { from: 'user' });
  };
  await assert.rejects(parse(['serve', '--web.listen-adress=:1']));
  for (const { document, command } of own) {
    const line = command
      .replace(/^.*\| /, '')
      .replaceAll('...', '')
      .replaceAll(/\[.*\]/g, '');
    const [, ...args] = wordsOf(line);
    await assert.doesNotReject(parse(args), `${document}: ${command}`);
  }
});

test('commands of kvm-telemetry within sentences have subcommands and flags that exist', () => {
  const own = inline.filter(({ command }) => command.startsWith('kvm-telemetry '));
  assert.ok(own.length > 10);
  for (const { document, command } of own) assert.equal(mistakeIn(command), undefined, document);
  assert.equal(mistakeIn('kvm-telemetry phase put x'), 'kvm-telemetry phase has no put');
  assert.equal(mistakeIn('kvm-telemetry doctor --vms=x'), 'kvm-telemetry doctor has no --vms');
});

function mistakeIn(line: string): string | undefined {
  let command = program(() => undefined);
  let at = 'kvm-telemetry';
  for (const word of wordsOf(line).slice(1)) {
    const flag = /^--?[a-z][\w.-]*/.exec(word)?.[0];
    if (flag !== undefined) {
      const isKnown = command.options.some(({ long, short }) => long === flag || short === flag);
      if (!isKnown && !['--help', '--version'].includes(flag)) return `${at} has no ${flag}`;
    } else if (command.commands.length > 0) {
      const next = command.commands.find((each) => each.name() === word);
      if (next === undefined) return `${at} has no ${word}`;
      command = next;
      at += ` ${word}`;
    }
  }
  return undefined;
}

test('tests and scripts that sentences name exist', () => {
  const tests = readdirSync(`${ROOT}test`, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.test.ts'),
  );
  const parts = inline.flatMap(({ command }) => {
    const list = /^npm test -- (.*)$/.exec(command)?.[1];
    return list === undefined ? [] : wordsOf(list);
  });
  assert.ok(parts.length > 20);
  const unknown = parts.filter((part) => !tests.some((name) => name.includes(part)));
  assert.deepEqual(unknown, [], 'npm test -- PART');
  const scripts = inline.flatMap(({ command }) => /^node (\S+)/.exec(command)?.[1] ?? []);
  assert.ok(scripts.length > 3);
  for (const script of scripts) {
    const source = script.replace(/^dist\/(.*)\.js$/, '$1.ts');
    assert.ok(existsSync(ROOT + source), script);
  }
});

test('kvm-telemetry fleet targets reads the list of docs/fleet.md', (context) => {
  const folder = temporaryFolder(context);
  const list = blocks.find(({ lines: [first] }) => first === 'kvm1.example.org');
  const { command = '' } = commands.find((each) => each.command.includes('targets --list hosts.txt')) ?? {};
  const [, ...args] = wordsOf(command).map((word) => word.replace('/etc/kvm-telemetry/targets', folder));
  writeFileSync(join(folder, 'hosts.txt'), `${list?.lines.join('\n')}\n`);
  const { status, stderr } = spawnSync(process.execPath, [`${ROOT}dist/exporter/main.js`, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  const targets = JSON.parse(readFileSync(join(folder, 'east.json'), 'utf8')) as { labels: object }[];
  assert.equal(targets.length, list?.lines.length);
  for (const { labels } of targets) assert.match(JSON.stringify(labels), /"cluster":"east"/);
});

test('scripts of npm, benchmarks and their options exist', () => {
  const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
    scripts: Record<string, string>;
  };
  const benchmarks = readFileSync(`${ROOT}scripts/bench.mjs`, 'utf8');
  const lines = [...commands, ...inline].flatMap(
    ({ command }) =>
      command.replace(' --silent', '').match(/npm (?:test|run [\w:-]+)(?: -- [^&|)]*)?/g) ?? [],
  );
  assert.ok(lines.length > 40);
  for (const line of lines) {
    const [, , script = ''] = line.startsWith('npm test') ? ['', '', 'test'] : wordsOf(line);
    assert.ok(scripts[script] !== undefined, line);
    if (script !== 'bench') continue;
    const args = wordsOf(line).slice(line.includes(' -- ') ? 4 : 3);
    const name = args[0]?.startsWith('-') === false ? args[0] : 'scrape';
    assert.ok(name === 'scrape' || benchmarks.includes(`'${name}'`), line);
    const source = readFileSync(`${ROOT}bench/${name}.ts`, 'utf8');
    for (const [, option = ''] of line.matchAll(/ --([a-z][\w-]*)/g))
      assert.match(source, new RegExp(`\\b'?${option}'?: \\{ type:|\\b'?${option}'?: \\{\\s+type:`), line);
  }
});
