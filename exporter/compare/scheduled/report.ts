import { ConfigError } from '../../config/load.ts';
import { PrometheusError } from '../../prometheus/errors.ts';
import { NothingToCompare } from '../comparison.ts';
import { questionOf } from '../question.ts';
import { renderHtml } from '../report/html.ts';
import { compareFrom, type Source } from '../source.ts';
import { assess } from '../statistics/assess.ts';

/** The subject of a scheduled report, as flags of `compare`. */
export interface ReportRequest {
  readonly source: Source;
  readonly vm: string;
  readonly host: string | undefined;
  readonly by: 'stage' | 'phase';
  readonly last: string;
  /** Seconds of the epoch. */
  readonly now: number;
}

export type ReportResult =
  | { readonly html: string }
  /** The reason why there is no report, although nothing failed. */
  | { readonly nothing: string }
  | { readonly problem: string };

const CONFIDENCE = 0.95;

/** Makes the report. Errors that a user can fix are returned as a problem. */
export async function makeReport({ source, now, vm, host, by, last }: ReportRequest): Promise<ReportResult> {
  try {
    const question = questionOf({ vm, by, last, ...(host !== undefined && { host }) }, now);
    const comparison = await compareFrom(source, question, () => undefined);
    return { html: renderHtml(assess(comparison, { confidence: CONFIDENCE })) };
  } catch (error) {
    if (error instanceof NothingToCompare) return { nothing: error.message };
    if (error instanceof ConfigError || error instanceof PrometheusError) return { problem: error.message };
    throw error;
  }
}
