import { pino } from 'pino';

/** Values that need no quotes: as the exporters' log package for Go writes them. */
const BARE = /^[^\s"=\\\p{C}]+$/u;
/** Fields that the journal already has. */
const LEFT_OUT = new Set(['pid', 'hostname']);

/** Turns a JSON line of pino into logfmt: `time=… level=info msg=listening port=9954`. */
export function logfmtOf(line: string): string {
  const { time, level, msg, ...more } = JSON.parse(line) as Record<string, unknown>;
  const pairs: [string, unknown][] = [
    ['time', new Date(Number(time)).toISOString()],
    ['level', pino.levels.labels[Number(level)] ?? level],
    ['msg', msg],
    ...Object.entries(more).filter(([key]) => !LEFT_OUT.has(key)),
  ];
  return `${pairs.flatMap(([key, value]) => fieldsOf(key, value)).join(' ')}\n`;
}

/** Members of an object become fields of their own: `err.message=…`. */
function fieldsOf(key: string, value: unknown): string[] {
  if (value === undefined) return [];
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return Object.entries(value).flatMap(([name, member]) => fieldsOf(`${key}.${name}`, member));
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return [`${key}=${BARE.test(text) ? text : JSON.stringify(text)}`];
}
