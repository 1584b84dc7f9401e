import { Registry } from 'prom-client';
import { catalogue } from '../metrics/catalogue.ts';
import type { Family } from '../metrics/families.ts';
import type { Exports } from '../metrics/profiles.ts';
import { Yielder } from '../schedule/yielder.ts';
import { ownFamilies } from './own-families.ts';

export type ContentType = typeof Registry.OPENMETRICS_CONTENT_TYPE | typeof Registry.PROMETHEUS_CONTENT_TYPE;

/** Lines per chunk: large enough to be efficient, small enough not to block the event loop. */
const LINES_PER_CHUNK = 1000;

/**
 * Yields the exposition in chunks, so that it never has to be in memory as a whole and does not block the
 * event loop. The labels of the families are already text. prom-client formats them label by label, in each
 * scrape, which takes 20 times as long (decision 0029).
 *
 * @param families of one collection
 * @param own the exporter's own metrics, which remain valid across collections
 * @param exports which of the own metrics to write; those of the process are not in the catalogue and always written
 */
export async function* exposition(
  families: readonly Family[],
  own: Registry,
  contentType: ContentType,
  exports: Exports = () => true,
): AsyncGenerator<string> {
  const isOpenMetrics = contentType === Registry.OPENMETRICS_CONTENT_TYPE;
  const yielder = new Yielder();
  const kept = (await ownFamilies(own)).filter(({ name }) => catalogue[name] === undefined || exports(name));
  for (const family of [...families.filter(({ isHidden }) => !isHidden), ...kept]) {
    yield header(family, isOpenMetrics);
    for (let start = 0; start < family.values.length; start += LINES_PER_CHUNK) {
      if (yielder.isDue()) await yielder.yield();
      yield lines(family, start);
    }
  }
  if (isOpenMetrics) yield '# EOF\n';
}

/** The HELP and TYPE lines. */
export function header({ name, help, type }: Family, isOpenMetrics: boolean): string {
  // In OpenMetrics, the name of a counter's family lacks the suffix `_total`.
  const family = isOpenMetrics && type === 'counter' ? name.replace(/_total$/, '') : name;
  return `# HELP ${family} ${escapeHelp(help, isOpenMetrics)}\n# TYPE ${family} ${type}\n`;
}

/** Joins short lines once: a text that grows line by line is a tree, which takes four times as long to write. */
function lines({ name, type, labels, values, suffixes }: Family, start: number): string {
  const end = Math.min(start + LINES_PER_CHUNK, values.length);
  const isHistogram = type === 'histogram';
  const written: string[] = [];
  for (let i = start; i < end; i++) {
    const block = labels[i];
    const sample = isHistogram ? name + suffixes[i] : name;
    written.push(block === '' ? `${sample} ${values[i]}\n` : `${sample}{${block}} ${values[i]}\n`);
  }
  return written.join('');
}

function escapeHelp(help: string, isOpenMetrics: boolean): string {
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return isOpenMetrics ? escaped.replaceAll('"', '\\"') : escaped;
}
