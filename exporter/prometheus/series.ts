import { PrometheusError } from './errors.ts';

/** Labels and samples of a series: seconds of the epoch, and the value. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly (readonly [number, number])[];
}

interface Result {
  readonly resultType?: string;
  readonly result?: readonly {
    readonly metric?: Readonly<Record<string, string>>;
    readonly value?: readonly [number, string];
    readonly values?: readonly (readonly [number, string])[];
  }[];
}

/**
 * The series of a query. Values that are no numbers are left out: NaN and infinity say nothing about a time.
 *
 * @param data of the response
 * @throws PrometheusError if it is of another type
 */
export function seriesOf(data: unknown, type: 'matrix' | 'vector'): Series[] {
  const { resultType, result } = (data ?? {}) as Result;
  if (!Array.isArray(result)) return [];
  if (result.length > 0 && resultType !== type)
    throw new PrometheusError(`the server returned a ${resultType}, not a ${type}: is it a Prometheus?`);
  return (result as NonNullable<Result['result']>).map(({ metric = {}, value, values = [] }) => ({
    labels: metric,
    samples: numbersIn(value === undefined ? values : [value]),
  }));
}

/** Changes the pairs in place: there are millions. */
function numbersIn(pairs: readonly (readonly [number, string])[]): Series['samples'] {
  let areFinite = true;
  for (const pair of pairs as unknown as [number, string | number][]) {
    const number = Number(pair[1]);
    pair[1] = number;
    areFinite &&= Number.isFinite(number);
  }
  const samples = pairs as unknown as readonly (readonly [number, number])[];
  return areFinite ? samples : samples.filter(([, number]) => Number.isFinite(number));
}
