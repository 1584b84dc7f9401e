import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { renderHtml } from '../../../exporter/compare/report/html.ts';
import { renderMarkdown } from '../../../exporter/compare/report/markdown.ts';
import { renderTable } from '../../../exporter/compare/report/table.ts';
import { assess } from '../../../exporter/compare/statistics/assess.ts';
import type { Assessment } from '../../../exporter/compare/statistics/assessment.ts';
import { noisyConfiguration } from '../../../testing/comparison.ts';
import { TRIAL_RATES } from '../../../testing/comparison-trials.ts';
import { paperComparison } from '../../../testing/paper-comparison.ts';

/** Names of VMs, hosts and phases, and notes, come from a tenant. */
function assessmentWith(name: string): Assessment {
  const [metric] = paperComparison().metrics;
  assert.ok(metric !== undefined);
  const about = { name, vms: [name, 'b'], hosts: [name], notes: [`A note on ${name}.`] };
  const configurations = [1, 2].map((seed) => ({
    ...noisyConfiguration(name, TRIAL_RATES, { seed, samples: 30 }),
    ...about,
    hosts: [`${name}${seed}`],
  }));
  return assess({ subject: name, metrics: [metric], configurations }, { confidence: 0.95 });
}

const FIXED = [
  '<script>alert(1)</script>',
  '`a`|b\\|c',
  '@everyone #1',
  '\u001b[31mred\u0007',
  'a\nb\r\nc',
  '\u202egnp',
  '',
];
const NAMES = fc.oneof(
  fc.constantFrom(...FIXED),
  fc.string({ unit: fc.constantFrom(...'<>&"\'`|\\*_[]()!@#~\n\r\u001b\u202e\u0000 ab') }),
  fc.string({ unit: 'binary', maxLength: 200 }),
);

test('a name cannot bring markup into HTML', () => {
  const tagsOf = (name: string): string[] =>
    renderHtml(assessmentWith(name))
      .replaceAll(/ (title|aria-label)="[^"<>]*"/g, '')
      .match(/<[^>]*>/g) ?? [];
  const numbers = (tags: readonly string[]): string[] => tags.map((tag) => tag.replaceAll(/[\d.]+/g, '0'));
  const harmless = numbers(tagsOf('web'));
  fc.assert(
    fc.property(NAMES, (name) => {
      assert.deepEqual(numbers(tagsOf(name)), harmless);
    }),
    { numRuns: 100 },
  );
});

test('a name cannot break a table or a line of Markdown, and mentions nobody', () => {
  const shape = (text: string): string[] =>
    text.split('\n').map((line) => `${/^[|#-]/.exec(line)?.[0]}${line.split('|').length}`);
  const harmless = shape(renderMarkdown(assessmentWith('web')));
  fc.assert(
    fc.property(NAMES, (name) => {
      const text = renderMarkdown(assessmentWith(name));
      assert.deepEqual(shape(text), harmless);
      assert.doesNotMatch(text, /[@[\]]|<(?!\/?(code|details|summary|br)>)/);
      // A backtick only as the fence of a harmless name.
      assert.doesNotMatch(text.replaceAll(/`[\w.:~+/ -]+`/g, ''), /`/);
    }),
    { numRuns: 100 },
  );
});

test('a name cannot control a terminal', () => {
  fc.assert(
    fc.property(NAMES, (name) => {
      assert.doesNotMatch(renderTable(assessmentWith(name)).replaceAll('\n', ''), /\p{C}/u);
    }),
    { numRuns: 100 },
  );
});
