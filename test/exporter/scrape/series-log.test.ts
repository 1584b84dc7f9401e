import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cut } from '../../../exporter/metrics/shares.ts';
import { SeriesLog } from '../../../exporter/scrape/series-log.ts';

interface Line {
  readonly cut: readonly string[];
  readonly others: number;
  readonly series: number;
}

function start(): { lines: Line[]; update(at: number, ...cuts: Cut[]): void } {
  const lines: Line[] = [];
  let now = 0;
  const logger = {
    warn: (line: Line, message: string) => {
      assert.match(message, /limits\.maxSeries/);
      lines.push(line);
    },
  } as unknown as ConstructorParameters<typeof SeriesLog>[0];
  const log = new SeriesLog(logger, () => now);
  return {
    lines,
    update(at, ...cuts) {
      now = at;
      log.update(cuts);
    },
  };
}

const HOUR = 3_600_000;

test('a VM that loses series is named at the start, with the number of series', () => {
  const { lines, update } = start();
  update(0);
  update(1000, { owner: 'vm="web"', dropped: 5 }, { owner: '', dropped: 2 });
  assert.deepEqual(lines, [{ cut: ['vm="web"', 'the host as a whole'], others: 0, series: 7 }]);
});

test('a VM is named again after an hour, a new one at once', () => {
  const { lines, update } = start();
  const web = { owner: 'vm="web"', dropped: 5 };
  update(0, web);
  update(HOUR - 1, web);
  assert.equal(lines.length, 1);
  update(HOUR - 1, web, { owner: 'vm="db"', dropped: 1 });
  assert.deepEqual(lines[1], { cut: ['vm="db"'], others: 0, series: 1 });
  update(HOUR, web);
  assert.deepEqual(lines[2], { cut: ['vm="web"'], others: 0, series: 5 });
});

test('one line names at most 20 and counts the others', () => {
  const { lines, update } = start();
  update(0, ...Array.from({ length: 25 }, (_, i) => ({ owner: `vm="${i}"`, dropped: 1 })));
  assert.deepEqual([lines[0]?.cut.length, lines[0]?.others, lines[0]?.series], [20, 5, 25]);
});
