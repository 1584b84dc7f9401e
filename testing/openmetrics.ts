const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;
const SAMPLE = new RegExp(`^(${NAME})(?:\\{([^\\n]*)\\})? (\\S+)$`);
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total', '_created'],
  gauge: [''],
  histogram: ['_bucket', '_count', '_sum', '_created'],
};

interface OpenFamily {
  readonly name: string;
  type: string | undefined;
  hasHelp: boolean;
  hasSamples: boolean;
}

/**
 * Checks a text against OpenMetrics 1.0, more strictly than Prometheus does: order and uniqueness of
 * families, suffixes of samples, escapes, the end. Written from the specification, not from the exporter's
 * code.
 * @see https://prometheus.io/docs/specs/om/open_metrics_spec/
 * @returns the names of families, with their types
 * @throws Error for the first invalid line
 */
export function checkOpenMetrics(text: string): Map<string, string> {
  if (!text.endsWith('# EOF\n')) throw new Error('no # EOF at the end');
  const families = new Map<string, string>();
  const seen = new Set<string>();
  let family: OpenFamily | undefined;
  for (const [index, line] of text.slice(0, -'# EOF\n'.length).split('\n').slice(0, -1).entries()) {
    const fail = (why: string): never => {
      throw new Error(`line ${index + 1}: ${why}: ${line}`);
    };
    if (line === '') fail('empty');
    const meta = new RegExp(`^# (HELP|TYPE|UNIT) (${NAME}) (.*)$`).exec(line);
    if (meta !== null) {
      const [, keyword, name = '', rest = ''] = meta;
      if (name !== family?.name) {
        if (families.has(name)) fail('family comes twice');
        family = { name, type: undefined, hasHelp: false, hasSamples: false };
        families.set(name, 'unknown');
      }
      if (family.hasSamples) fail('metadata after samples');
      if (keyword === 'TYPE') {
        if (family.type !== undefined) fail('type comes twice');
        if (SUFFIXES[rest] === undefined) fail('unexpected type');
        family.type = rest;
        families.set(name, rest);
      } else if (keyword === 'HELP') {
        if (family.hasHelp) fail('help comes twice');
        if (/^(?:[^\\"\n]|\\[\\"n])*$/.exec(rest) === null) fail('help is not escaped');
        family.hasHelp = true;
      }
      continue;
    }
    if (line.startsWith('#')) fail('comment that is none of HELP, TYPE, UNIT');
    const sample = SAMPLE.exec(line);
    if (sample === null || family === undefined) return fail('not a sample');
    const [, name = '', labels = '', value = ''] = sample;
    const { name: familyName, type = '' } = family;
    if (!SUFFIXES[type]?.some((suffix) => name === familyName + suffix)) fail(`sample not of ${familyName}`);
    const names = labelNames(labels) ?? fail('bad labels');
    if (new Set(names).size !== names.length) fail('label comes twice');
    if (!/^[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Inf)$|^NaN$/.test(value)) fail('bad value');
    if (type === 'counter' && Number(value) < 0) fail('counter below zero');
    const key = `${name}{${labels}}`;
    if (seen.has(key)) fail('series comes twice');
    seen.add(key);
    family.hasSamples = true;
  }
  return families;
}

function labelNames(labels: string): string[] | undefined {
  const names: string[] = [];
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labels.length) {
    const label = LABEL.exec(labels);
    if (label === null) return undefined;
    names.push(label[1] ?? '');
  }
  return names;
}
