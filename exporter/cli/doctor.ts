import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, type RawValues } from '../config/load.ts';
import type { Config } from '../config/options.ts';
import type { Telemetry } from '../daemon/telemetry.ts';
import { daemonQuotaLines } from '../doctor/daemons.ts';
import { formatReport } from '../doctor/sources.ts';
import { formatVmReport, type VmReport } from '../doctor/vm.ts';
import { askForCauses, causesText } from './causes.ts';
import { findVm } from './find-vm.ts';
import { oneShot, PATIENT_MS } from './one-shot.ts';

/** Samples that show on which CPUs a thread runs. */
const SAMPLES = 4;
const SAMPLE_MS = 250;

/** @returns the exit code: 1 if a source is not usable, or if a thread of the VM violates its affinity */
export async function runDoctor(flags: RawValues): Promise<number> {
  const { telemetry, config } = oneShot({ ...flags, 'log.level': flags['log.level'] ?? 'fatal' });
  const asJson = flags['json'] === true;
  const vm = flags['vm'];
  try {
    return typeof vm === 'string'
      ? await checkVm(telemetry, config, vm, asJson)
      : await checkHost(telemetry, config, asJson);
  } finally {
    await telemetry.stop();
  }
}

async function checkHost(telemetry: Telemetry, config: Config, asJson: boolean): Promise<number> {
  await telemetry.work.runOnce(true);
  const report = telemetry.doctor.diagnose(await telemetry.scrape(PATIENT_MS));
  const daemonQuotas = await telemetry.doctor.quotasOfDaemons(config['state.dir']);
  print({ ...report, daemonQuotas }, asJson, () => formatReport(report) + daemonQuotaLines(daemonQuotas));
  return report.sources.every(({ usable }) => usable) ? 0 : 1;
}

async function checkVm(telemetry: Telemetry, config: Config, name: string, asJson: boolean): Promise<number> {
  const report = await reportOn(telemetry, name);
  if (report === undefined) throw new ConfigError(`--vm: ${JSON.stringify(name)} ended, or cannot be read`);
  const causes = await askForCauses(config, report.vm, report.pid);
  print({ ...report, causes }, asJson, (whole) => `${formatVmReport(whole)}\n${causesText(causes)}\n`);
  return report.drifts.length === 0 ? 0 : 1;
}

/**
 * Evaluates one VM from a few samples. It changes nothing: it prints commands and does not run them.
 *
 * @param name label, name, UUID or pid of the VM
 * @returns undefined if the VM has ended since
 * @throws ConfigError if there is no such VM
 */
async function reportOn(telemetry: Telemetry, name: string): Promise<VmReport | undefined> {
  const { work, inventory, assessment, doctor } = telemetry;
  await work.discover();
  const vm = findVm(inventory.vms, name, '--vm');
  await assessment.readMemoryOf(vm);
  for (let i = 0; i < SAMPLES; i++) {
    if (i > 0) await sleep(SAMPLE_MS);
    await work.sample();
  }
  // A scrape queries libvirt and the monitor, which the stage depends on.
  await telemetry.scrape(PATIENT_MS);
  await work.judge();
  return doctor.reportOn(vm.label);
}

function print<R>(report: R, asJson: boolean, format: (report: R) => string): void {
  process.stdout.write(asJson ? `${JSON.stringify(report, undefined, 2)}\n` : format(report));
}
