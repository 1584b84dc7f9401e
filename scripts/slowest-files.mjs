// A reporter of node's test runner: the files that took longest, in seconds. Only tests at the top of a file count.
const SHOWN = 15;

export default async function* slowestFiles(events) {
  const seconds = new Map();
  for await (const { type, data } of events) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.nesting > 0 || data.file === undefined)
      continue;
    seconds.set(data.file, (seconds.get(data.file) ?? 0) + data.details.duration_ms / 1000);
  }
  const slowest = [...seconds].sort(([, a], [, b]) => b - a).slice(0, SHOWN);
  yield `slowest files:\n${slowest.map(([file, each]) => `${each.toFixed(1).padStart(7)} s  ${file.replace(/^.*\/dist\//, '')}\n`).join('')}`;
}
