import { AssertionError } from 'node:assert';
import type { TestContext } from 'node:test';
import { type BootOptions, boot, HostDied, type LabHost } from '../lab/host.ts';
import { packages } from '../lab/packages.ts';
import { parseSamples, type Samples } from './metrics.ts';
import { has, hasTool } from './tools.ts';

/** Whether the lab can run here. The first call downloads its packages. */
export async function canBoot(context: TestContext): Promise<boolean> {
  const tools =
    has(context, process.arch === 'x64', 'the lab emulates x86-64 on x86-64 only') &&
    hasTool(context, 'qemu-system-x86_64', 'qemu-system-x86') &&
    hasTool(context, 'gcc', 'gcc libc6-dev') &&
    hasTool(context, 'apt-get', 'apt') &&
    hasTool(context, 'dpkg', 'dpkg') &&
    hasTool(context, 'setpriv', 'util-linux');
  if (!tools) return false;
  try {
    await packages();
    return true;
  } catch (error) {
    return has(context, false, `the lab's packages are not available: ${String(error)}`);
  }
}

/** A host that runs everything that a test file needs. */
export interface Bench {
  readonly host: LabHost;
}

/**
 * One host for all checks of a file. If the emulation kills the host, a second one is booted, once, and the failed
 * check runs again. A check that fails on a running host has failed.
 */
export class Lab<B extends Bench> {
  readonly #context: TestContext;
  readonly #makeReady: (host: LabHost) => Promise<B>;
  readonly #options: BootOptions;
  #bench: B | undefined;
  #host: LabHost | undefined;
  #deaths = 0;
  #notReady: Error | undefined;

  constructor(context: TestContext, makeReady: (host: LabHost) => Promise<B>, options: BootOptions = {}) {
    this.#context = context;
    this.#makeReady = makeReady;
    this.#options = options;
    context.after(() => this.#host?.stop());
  }

  async check(check: (bench: B) => Promise<void>): Promise<void> {
    try {
      await check(await this.#ready());
    } catch (error) {
      if (!this.#hostDied(error)) throw error;
      if (this.#deaths++ > 0) throw error;
      this.#context.diagnostic(`booting a second host: the emulated host died: ${String(error)}`);
      this.#bench = undefined;
      try {
        await check(await this.#ready());
      } catch (again) {
        if (this.#hostDied(again)) this.#deaths++;
        throw again;
      }
    }
  }

  #hostDied(error: unknown): boolean {
    return error instanceof HostDied || (this.#host?.dead === true && !(error instanceof AssertionError));
  }

  async #ready(): Promise<B> {
    if (this.#deaths > 1) throw new Error('the emulated host died twice');
    if (this.#notReady !== undefined) throw this.#notReady;
    if (this.#bench !== undefined) return this.#bench;
    await this.#host?.stop();
    this.#host = await boot(this.#options);
    try {
      this.#bench = await this.#makeReady(this.#host);
    } catch (error) {
      // Skip the other checks: they would fail in the same way, minutes later.
      if (!this.#hostDied(error)) this.#notReady = new Error('the host was not made ready', { cause: error });
      throw error;
    }
    return this.#bench;
  }
}

/** An emulated CPU may be busy for longer than the second that a VM has for its answers. */
export const PATIENT = '--qmp.timeout-seconds=20';
/** node starts in 15 s on an idle machine, and in minutes on a busy one. */
const START_MS = 300_000;

/** Starts `kvm-telemetry serve` in the host, not on the guest's CPU, and waits until it listens. */
export async function startExporter(
  host: LabHost,
  main: string,
  address: string,
  args: readonly string[] = [],
): Promise<void> {
  const log = `/run/lab/exporter-${address.split(':').at(-1)}.log`;
  await host.output(
    `taskset -c 0 '${process.execPath}' '${main}' serve --web.listen-address=${address} ${args.join(' ')} >${log} 2>&1 &
for _ in {1..2400}; do grep -q '"msg":"listening"' ${log} && exit; sleep 0.1; done; cat ${log}; exit 1`,
    START_MS,
  );
}

/** Prints what the exporter at this port of the host serves. */
export function fetchCommand(port: number): string {
  return `wget -q -T 60 -O - http://127.0.0.1:${port}/metrics`;
}

export async function scrape(host: LabHost, port: number): Promise<Samples> {
  return parseSamples(await host.output(fetchCommand(port)));
}
