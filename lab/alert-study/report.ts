import type { Expected } from './expected.ts';
import { isExplained, judgeAll, type Study, type Verdict } from './verdict.ts';

const minutes = (seconds: number): string => (seconds / 60).toFixed(1);

function nameOf({ alert, technique }: Expected): string {
  return technique === undefined ? alert : `${alert} (${technique})`;
}

/** A line for each incident and alert that it must raise; one for all VMs of a disk. */
export function report(study: Study): string {
  const lines = new Map<string, { delays: number[]; verdicts: Verdict[]; vms: string[]; cells: string[] }>();
  for (const incident of study.incidents) {
    const { kind, vm, size, from, to } = incident;
    for (const { expected, verdict, delay } of judgeAll(study, incident)) {
      const alert = nameOf(expected);
      const key = `${kind} ${from} ${kind.startsWith('disk') ? '' : vm} ${alert}`;
      const cells = [kind, String(size), minutes(to - from), alert];
      const line = lines.get(key) ?? { delays: [], verdicts: [], vms: [], cells };
      lines.set(key, line);
      line.verdicts.push(verdict);
      line.vms.push(vm);
      if (delay !== undefined) line.delays.push(delay);
    }
  }
  const rows = [...lines.values()].map(({ delays, verdicts, vms, cells: [kind = '', ...cells] }) => {
    const counts = new Map<Verdict, number>();
    for (const verdict of verdicts) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    const verdict = [...counts]
      .map(([each, count]) => (vms.length === 1 ? each : `${count} ${each}`))
      .join(', ');
    const after = [...new Set([Math.min(...delays), Math.max(...delays)])]
      .filter(Number.isFinite)
      .map(minutes);
    return [kind, vms.length === 1 ? vms.join() : `${vms.length} VMs`, ...cells, verdict, after.join(' to ')];
  });
  const header = ['incident', 'VM', 'size', 'lasts, min', 'alert', 'verdict', 'found after, min'];
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

/** Number of alerts that fired, and a line for each false one. */
export function summary(study: Study): string {
  const wrong = study.fired.filter((episode) => !isExplained(study, episode));
  const lines = wrong.map(({ alert, labels, pendingAt, firingAt = 0, resolvedAt = Number.NaN }) => {
    const at = (time: number): string => minutes(time - study.start);
    return `- ${alert} ${JSON.stringify(labels)}: pending at minute ${at(pendingAt)}, fired ${at(firingAt)}, resolved ${at(resolvedAt)}\n`;
  });
  return `${study.fired.length} alerts fired, ${wrong.length} of them false.\n${lines.join('')}`;
}

/** Whether no alert is false, missing or late. */
export function isSound(study: Study): boolean {
  const verdicts = study.incidents.flatMap((incident) =>
    judgeAll(study, incident).map(({ verdict }) => verdict),
  );
  return (
    study.fired.every((episode) => isExplained(study, episode)) &&
    !verdicts.some((verdict) => verdict === 'late' || verdict === 'missed')
  );
}
