/** Samples of an exposition by their line without the value: `name{labels}`. */
export type Samples = ReadonlyMap<string, number>;

/** Throws at a NaN of our metrics, because the exporter omits unknown values. prom-client's metrics may be NaN. */
export function parseSamples(text: string): Samples {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.lastIndexOf(' ');
    const value = Number(line.slice(space + 1).replace('Inf', 'Infinity'));
    if (Number.isNaN(value) && line.startsWith('kvm_')) throw new Error(`no number: ${line}`);
    samples.set(line.slice(0, space), value);
  }
  return samples;
}

/** The value of the only series of `name` with all of these labels. Throws unless exactly one exists. */
export function sample(
  samples: Samples,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const found = series(samples, name, labels);
  if (found.length !== 1) {
    throw new Error(`${found.length} series of ${name} ${JSON.stringify(labels)}: ${found.join(' ')}`);
  }
  return samples.get(found[0] ?? '') ?? Number.NaN;
}

/** All series of `name` with these labels. */
export function series(
  samples: Samples,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): string[] {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return [...samples.keys()].filter((key) => {
    const brace = key.indexOf('{');
    const own = brace < 0 ? key : key.slice(0, brace);
    return own === name && wanted.every((pair) => key.includes(`{${pair}`) || key.includes(`,${pair}`));
  });
}
