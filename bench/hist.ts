import assert from 'node:assert/strict';
import { parseHist } from '../probes/tracefs-hist.ts';
import { median } from './statistics.ts';

const ROWS = 100_000;
const ROUNDS = 20;
const REASONS = 50;
const BUCKETS = 40;

/** A latency histogram of VM exits in the kernel's format, decoded as the probes do. */
function histogram(): string {
  const rows = Array.from({ length: ROWS }, (_, row) => {
    const tid = String(1000 + Math.floor(row / (REASONS * BUCKETS))).padStart(10);
    const reason = String(Math.floor(row / BUCKETS) % REASONS).padStart(10);
    const exponent = String(row % BUCKETS).padEnd(2);
    const hits = String((row * 7919) % 1_000_003).padStart(10);
    return `{ pid: ${tid}, reason: ${reason}, lat: ~ 2^${exponent} } hitcount: ${hits}\n`;
  });
  const text =
    '# event histogram\n#\n# trigger info: hist:keys=pid,reason,lat.log2:vals=hitcount:sort=hitcount:size=131072' +
    ` [active]\n#\n\n${rows.join('')}\nTotals:\n    Hits: 1\n    Entries: ${ROWS}\n    Dropped: 0\n`;
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** The obvious parser: one regular expression match per line. */
function parseSimply(text: string): number[][] {
  const rows: number[][] = [];
  for (const line of text.split('\n')) {
    const match = /^\{ pid: +(\d+), reason: +(\d+), lat: ~ 2\^(\d+) +\} hitcount: +(\d+)$/.exec(line);
    if (match !== null) rows.push(match.slice(1).map(Number));
  }
  return rows;
}

function milliseconds(work: () => unknown): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

const text = histogram();
const parsers: readonly (readonly [string, () => unknown])[] = [
  ['parseHist', () => parseHist(text)],
  ['split and RegExp', () => parseSimply(text)],
];
assert.deepEqual(Array.from(parseHist(text)[0]?.columns ?? []), parseSimply(text).flat());

// Alternate the parsers, so that background load affects both.
const times = parsers.map((): number[] => []);
for (let round = 0; round < ROUNDS; round++) {
  for (const [i, [, parse]] of parsers.entries()) times[i]?.push(milliseconds(parse));
}
const fastest = median(times[0] ?? []);
console.log(`${ROWS} lines, ${(text.length / 1024 / 1024).toFixed(1)} MiB, ${ROUNDS} rounds\n`);
console.log('| parser | ms: median | worst | million lines a second | times parseHist |');
console.log('| --: | --: | --: | --: | --: |');
for (const [i, [name]] of parsers.entries()) {
  const middle = median(times[i] ?? []);
  const cells = [middle, Math.max(...(times[i] ?? [])), ROWS / middle / 1000, middle / fastest];
  console.log(`| ${[name, ...cells.map((cell) => cell.toFixed(1))].join(' | ')} |`);
}
