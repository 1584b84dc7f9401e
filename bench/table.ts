import type { Footprint, ScrapeCost, ScrapeCosts } from './measure.ts';
import { median } from './statistics.ts';

export interface Result {
  readonly vms: number;
  readonly costs: ScrapeCosts;
  readonly footprint: Footprint;
}

export const ms = (seconds: number): string => (seconds * 1000).toFixed(1);
const kib = (bytes: number): string => (bytes / 1024).toFixed(0);

/** Formats the results as Markdown. */
export function table(results: readonly Result[]): string {
  return `${costTable(results)}\n${footprintTable(results)}`;
}

function costTable(results: readonly Result[]): string {
  const rows = [
    ['VMs', 'who', 'CPU ms a scrape', 'times C', 'wall ms', 'body KiB', 'series', 'CPU us a series'],
  ];
  for (const { vms, costs } of results) {
    const { floor, files, nodeExporter, series, plain, gzip } = costs;
    const add = (who: string, { cpu, wall, bytes }: ScrapeCost, count: number): void => {
      const ratio = (cpu / floor.cpu).toFixed(2);
      const perSeries = ((cpu * 1e6) / count).toFixed(2);
      rows.push([String(vms), who, ms(cpu), ratio, ms(wall), kib(bytes), String(count), perSeries]);
    };
    rows.push([String(vms), `C: read ${files} files`, ms(floor.cpu), '1', ms(floor.wall), '', '', '']);
    add('kvm-telemetry', plain, series);
    add('kvm-telemetry, gzip', gzip, series);
    if (nodeExporter !== undefined) add('prometheus-node-exporter', nodeExporter, nodeExporter.series);
  }
  return markdown(rows);
}

function footprintTable(results: readonly Result[]): string {
  const rows = [
    [
      'VMs',
      'idle: CPU ms a second',
      'sampler ms a run',
      'inventory ms a run',
      'stall ms in a scrape: median',
      'max',
      'max without a scrape',
      'RSS MiB',
      'peak MiB',
    ],
  ];
  for (const { vms, footprint } of results) {
    const { idle, sampler, inventory, stalls, stallWithoutScrape, memory } = footprint;
    rows.push([
      String(vms),
      ms(idle),
      ms(sampler),
      ms(inventory),
      ms(median(stalls)),
      ms(Math.max(...stalls)),
      ms(stallWithoutScrape),
      memory.rssMiB.toFixed(0),
      memory.peakMiB.toFixed(0),
    ]);
  }
  return markdown(rows);
}

export function markdown([header = [], ...rows]: readonly (readonly string[])[]): string {
  const ruler = header.map(() => '--:');
  return [header, ruler, ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}
