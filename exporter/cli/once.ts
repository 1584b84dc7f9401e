import type { RawValues } from '../config/load.ts';
import type { OwnMetrics } from '../daemon/own-metrics.ts';
import type { Telemetry } from '../daemon/telemetry.ts';
import { exposition } from '../http/exposition.ts';
import { oneShot, PATIENT_MS } from './one-shot.ts';
import { print } from './print.ts';

/** Collects once and prints the metrics. @throws OutputError */
export async function runOnce(flags: RawValues): Promise<void> {
  const { telemetry, own } = oneShot(flags);
  await print(await collectOnce(telemetry, own));
}

/** The exposition of one collection. Trace events are left out, because they need time to count. */
export async function collectOnce(telemetry: Telemetry, own: OwnMetrics): Promise<AsyncIterable<Buffer>> {
  await telemetry.work.runOnce(false);
  const { families, exports } = await telemetry.scrape(PATIENT_MS);
  return exposition(families, own.registry, 'text/plain; version=0.0.4; charset=utf-8', exports);
}
