import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Files of the repository, and the directories that contain them. */
function repositoryPaths(): ReadonlySet<string> {
  const { stdout } = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const paths = new Set<string>();
  for (const file of stdout.split('\n').filter((line) => line !== '')) {
    const parts = file.split('/');
    for (let length = 1; length <= parts.length; length++) paths.add(parts.slice(0, length).join('/'));
  }
  return paths;
}

const paths = repositoryPaths();
const folders = [
  ...new Set([...paths].filter((path) => path.includes('/')).map((path) => path.split('/')[0])),
];
const QUOTED = new RegExp(
  `(?<![\\w/.@$~-])(?:${folders.join('|').replaceAll('.', '\\.')})/[\\w.*/{},-]+`,
  'g',
);

const EXCLUDED = new Set(['CHANGELOG.md']);
/** The arguments are parts of paths below test/. */
const TEST_COMMAND = /npm (?:test|run test:repeat) -- [^`\n]*/g;

/** @example expand('lab/{simhost,history}') // ['lab/simhost', 'lab/history'] */
function expand(path: string): string[] {
  const braces = /^(.*?)\{([^}]*)\}(.*)$/.exec(path);
  if (braces === null) return [path];
  const [, before = '', alternatives = '', after = ''] = braces;
  return alternatives.split(',').flatMap((each) => expand(before + each + after));
}

function exists(path: string): boolean {
  if (!path.includes('*')) return paths.has(path);
  const pattern = new RegExp(`^${path.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`);
  return [...paths].some((each) => pattern.test(each));
}

test('every repository path in the documentation exists', () => {
  // The changelog names files as they were.
  const documents = [...paths].filter((path) => path.endsWith('.md') && !EXCLUDED.has(path));
  assert.ok(documents.length > 30);
  const missing = documents.flatMap((document) =>
    [
      ...readFileSync(ROOT + document, 'utf8')
        .replaceAll(TEST_COMMAND, '')
        .matchAll(QUOTED),
    ]
      .flatMap(([path]) => expand(path.replace(/[.,/]+$/, '')))
      .filter((path) => !exists(path))
      .map((path) => `${document}: ${path}`),
  );
  assert.deepEqual(missing, []);
});

test('every relative link in the documentation leads to a file', () => {
  const missing = [...paths]
    .filter((path) => path.endsWith('.md'))
    .flatMap((document) => {
      const folder = document.includes('/') ? document.slice(0, document.lastIndexOf('/') + 1) : '';
      return [...readFileSync(ROOT + document, 'utf8').matchAll(/\]\((?!\w+:|#)([^)#]+)/g)]
        .map(([, target = '']) => new URL(target, `file:///${folder}`).pathname.slice(1).replace(/\/$/, ''))
        .filter((path) => !paths.has(path))
        .map((path) => `${document}: ${path}`);
    });
  assert.deepEqual(missing, []);
});
