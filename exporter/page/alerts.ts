import { z } from 'zod';
import { shellWord } from '../../kernel/shell.ts';
import { HttpClient } from '../prometheus/request.ts';
import { FIRST_STEPS } from './first-steps.ts';
import type { LiveAlerts } from './live.ts';

/** Alerts of this age are recent enough for a page. */
const EVERY_MS = 15_000;
const TIMEOUT_MS = 5000;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_ALERTS = 100;
const MAX_TEXT = 500;
const NO_STEPS = { usesVm: false, lines: [] };

const text = z.string().transform((value) => value.slice(0, MAX_TEXT));
/** As in https://prometheus.io/docs/prometheus/latest/querying/api/#alerts. */
const schema = z.object({
  status: z.literal('success'),
  data: z.object({
    alerts: z.array(
      z.object({
        labels: z.record(z.string(), text),
        annotations: z.record(z.string(), text).default({}),
        state: z.string(),
        activeAt: z.string().default(''),
      }),
    ),
  }),
});

export interface AlertsDependencies {
  /** Base URL of the Prometheus. */
  readonly url: string;
  /** Whether the label `instance` of an alert with this name is this exporter. */
  isOurs(instance: string, alertname: string): boolean;
  readonly logger: { warn(fields: object, message: string): void; info(message: string): void };
  /** Milliseconds of a monotonic clock. */
  now(): number;
  readonly everyMs?: number;
  readonly timeoutMs?: number;
}

/** The firing alerts of a Prometheus, queried only while a page is open. */
export class PrometheusAlerts {
  #current: LiveAlerts | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  readonly #client = new HttpClient();

  constructor(private readonly dependencies: AlertsDependencies) {}

  /** Result of the last query; undefined before the first. */
  get current(): LiveAlerts | undefined {
    return this.#current;
  }

  /** Queries Prometheus if the last result is old. Call it with each collection for a page. */
  async refresh(): Promise<void> {
    const { now, everyMs = EVERY_MS, logger, url } = this.dependencies;
    if (this.#isAsking || now() - this.#askedAt < everyMs) return;
    this.#isAsking = true;
    this.#askedAt = now();
    const before = this.#current?.problem;
    try {
      this.#current = { alerts: await this.#query(), problem: undefined };
      if (before !== undefined) logger.info('Prometheus responds again');
    } catch (error) {
      const problem = reasonOf(error);
      this.#current = { alerts: [], problem };
      if (before === undefined)
        logger.warn({ url: withoutLogin(url), problem }, 'cannot read the alerts of Prometheus');
    }
    this.#isAsking = false;
  }

  async #query(): Promise<LiveAlerts['alerts']> {
    const { url, isOurs, timeoutMs = TIMEOUT_MS } = this.dependencies;
    const response = await this.#client.call({
      url: `${url.replace(/\/+$/, '')}/api/v1/alerts`,
      timeoutMs,
      maxBytes: MAX_BYTES,
    });
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    const parsed = schema.safeParse(JSON.parse(response.text));
    if (!parsed.success) throw new Error('the response has no alerts: is it a Prometheus?');
    return parsed.data.data.alerts
      .filter(({ state, labels }) => {
        const { instance = '', alertname = '' } = labels;
        return state === 'firing' && isOurs(instance, alertname);
      })
      .slice(0, MAX_ALERTS)
      .map(({ labels, annotations, activeAt }) => ({
        name: labels['alertname'] ?? '',
        vm: labels['vm'],
        severity: labels['severity'] ?? '',
        summary: annotations['summary'] ?? annotations['description'] ?? '',
        since: Date.parse(activeAt) || undefined,
        steps: stepsOf(labels['alertname'] ?? '', labels['vm']),
      }));
  }
}

/** The first commands of the runbook, with the VM's name filled in. */
function stepsOf(alert: string, vm: string | undefined): readonly string[] {
  const { usesVm, lines } = (Object.hasOwn(FIRST_STEPS, alert) && FIRST_STEPS[alert]) || NO_STEPS;
  if (!usesVm) return lines;
  return vm === undefined ? [] : [`vm=${shellWord(vm)}`, ...lines];
}

function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError) return 'the response is not JSON: is it a Prometheus?';
  return error instanceof Error ? error.message : String(error);
}

function withoutLogin(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/**
 * Decides by host and port of the label `instance`. Another port of this host is a proxy or another exporter, with
 * alerts of its own.
 *
 * @param hosts names and addresses of this host
 */
export function instanceFilter(
  hosts: () => readonly string[],
  ports: () => readonly number[],
): AlertsDependencies['isOurs'] {
  return (instance, alertname) => {
    const [, host = '', port = ''] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(instance) ?? [];
    const isHere = hosts().some((name) => name.toLowerCase() === host.toLowerCase());
    return isHere && (ports().includes(Number(port)) || alertname.startsWith('Kvm'));
  };
}
