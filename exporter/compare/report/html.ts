import type { Assessment } from '../statistics/assessment.ts';
import { html } from './escape.ts';
import { verdicts } from './words.ts';

/** The report as one file that needs neither scripts nor other files. */
export function renderHtml(assessment: Assessment): string {
  const title = html(`${assessment.subject}: ${assessment.configurations.length} configurations compared`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${title}</title>
<h1>${title}</h1>
${verdicts(assessment)
  .map(({ name, base, text }) => `<p><b>${html(name)}</b> against <b>${html(base)}</b>: ${html(text)}</p>`)
  .join('\n')}
</html>
`;
}
