import type { SourceError } from '../../probes/errors.ts';
import type { Lockdown } from '../../probes/lockdown.ts';
import { printable } from '../../probes/printable.ts';
import type { Advice, Circumstances } from '../model/advice.ts';
import { adviceOn } from '../model/source-advice.ts';
import type { ScrapeResult } from '../scrape/scrape.ts';

export interface Diagnosis {
  readonly source: string;
  readonly usable: boolean;
  /** Series from this source in the last collection. */
  readonly series: number;
  /** Problems with their fixes, without duplicates. */
  readonly findings: readonly Advice[];
}

export interface Report {
  readonly vms: number;
  readonly lockdown: Lockdown;
  readonly sources: readonly Diagnosis[];
}

/** Evaluates one collection: whether each source is usable, why not, and how to fix it. */
export function diagnose(result: ScrapeResult, vms: number, circumstances: Circumstances): Report {
  const sources = [...result.results].map(([source, { problems, missing, series, limits }]): Diagnosis => {
    const findings = new Map<string, Advice>();
    for (const problem of [...problems, ...missing]) {
      const advice = adviceOn(problem, source, circumstances);
      findings.set(advice.why.replace(/\d+/g, 'N'), advice);
    }
    return {
      source,
      usable: problems.every(isHeldMonitor),
      series,
      findings: [...[...findings.values()].slice(0, 5), ...limits.map((why) => ({ why, fix: undefined }))],
    };
  });
  return { vms, lockdown: circumstances.lockdown, sources };
}

/** A monitor serves one client. While the daemon runs, it holds the monitors, which is not a fault. */
function isHeldMonitor({ code }: SourceError): boolean {
  return code === 'monitor_held';
}

/** Formats the report as text. */
export function formatReport({ vms, lockdown, sources }: Report): string {
  const width = Math.max(...sources.map(({ source }) => source.length));
  const lines = [`${vms} VM${vms === 1 ? '' : 's'} found; kernel lockdown: ${lockdown}`, ''];
  for (const { source, usable, series, findings } of sources) {
    lines.push(`${usable ? 'ok  ' : 'FAIL'}  ${source.padEnd(width)}  ${series} series`);
    for (const { why, fix } of findings) {
      lines.push(`      why: ${printable(why)}`);
      if (fix !== undefined) lines.push(`      fix: ${printable(fix)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
