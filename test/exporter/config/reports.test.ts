import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveConfig } from '../../../exporter/config/load.ts';
import { checkReports } from '../../../exporter/config/reports.ts';

const SCHEDULE = { 'report.schedule': '0 0 6 * * 1' };

test('a report needs samples of a server or of a recording', () => {
  const check = (values: Record<string, string>): void => checkReports(resolveConfig(values, {}, {}));
  check({});
  check({ ...SCHEDULE, 'report.prometheusUrl': 'http://localhost:9090' });
  check({ ...SCHEDULE, 'record.file': '/var/lib/kvm-telemetry/week.om' });
  assert.throws(() => check(SCHEDULE), {
    name: 'ConfigError',
    message: /^--report\.schedule: a report needs samples: give --report\.prometheus-url or --record\.file$/,
  });
});
