import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Progress } from '../../../exporter/cli/progress.ts';

function started(isTTY: boolean): {
  progress: Progress;
  texts: string[];
  after(ms: number, share: number): void;
} {
  let now = 0;
  const texts: string[] = [];
  const progress = new Progress('reading', { isTTY, write: (text) => texts.push(text) }, () => now);
  const after = (ms: number, share: number): void => {
    now += ms;
    progress.report(share);
  };
  return { progress, texts, after };
}

test('short work prints nothing', () => {
  const { progress, texts, after } = started(true);
  after(1900, 0.9);
  progress.end();
  assert.deepEqual(texts, []);
});

test('one line on a terminal, which is erased', () => {
  const { progress, texts, after } = started(true);
  after(2100, 0.25);
  after(100, 0.3);
  after(150, 0.5);
  progress.end();
  assert.deepEqual(texts, ['\rreading: 25%', '\rreading: 50%', '\r\x1b[K']);
});

test('a line every ten seconds in a log', () => {
  const { progress, texts, after } = started(false);
  after(2100, 0.25);
  after(5000, 0.3);
  after(5000, 0.5);
  progress.end();
  assert.deepEqual(texts, ['kvm-telemetry: reading: 25%\n', 'kvm-telemetry: reading: 50%\n']);
});
