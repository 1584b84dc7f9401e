import { setTimeout as sleep } from 'node:timers/promises';
import { bodyOf, messageOf, short } from './body.ts';
import { PrometheusError, TooMuchError } from './errors.ts';
import { type HttpClient, RequestError, type Response, TooLargeError } from './request.ts';
import { type Series, seriesOf } from './series.ts';

export interface ServerOptions {
  /** With a path if the API has a prefix: `https://mimir.example.org/prometheus`. */
  readonly url: string;
  readonly client: HttpClient;
  /** Time limit of one request. */
  readonly timeoutMs?: number;
  /** Time limit of all requests together. */
  readonly totalMs?: number;
  /** Called with each warning of the server, such as a partial response. */
  readonly onWarning?: (warning: string) => void;
  readonly now?: () => number;
  readonly wait?: (ms: number) => Promise<unknown>;
}

const TIMEOUT_MS = 60_000;
const TOTAL_MS = 15 * 60_000;
const MAX_BYTES = 64 * 1024 * 1024;
/** Back-off: 1, 2, 4 and 8 s. */
const TRIES = 5;
const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 30_000;
const BUSY = new Set([408, 429, 500, 502, 503, 504]);

/** The HTTP API of Prometheus, Thanos, Mimir and VictoriaMetrics. */
export class PrometheusServer {
  /** Seconds by which the server's clock is ahead of ours; undefined before the first response. */
  skewSeconds: number | undefined;
  readonly #options: Required<Omit<ServerOptions, 'client'>>;
  readonly #client: HttpClient;
  readonly #base: string;
  readonly #startedAt: number;
  #hasResponded = false;

  constructor({ client, ...options }: ServerOptions) {
    this.#client = client;
    this.#options = {
      timeoutMs: TIMEOUT_MS,
      totalMs: TOTAL_MS,
      onWarning: () => undefined,
      now: () => performance.now(),
      wait: sleep,
      ...options,
    };
    this.#base = options.url.replace(/\/+$/, '');
    this.#startedAt = this.#options.now();
  }

  /** The samples of a range selector, as they were scraped. */
  async samples(selector: string, at: number): Promise<Series[]> {
    return seriesOf(await this.#post('query', { query: selector, time: `${at}` }), 'matrix');
  }

  /** The value of an expression at one time. */
  async instant(query: string, at: number): Promise<Series[]> {
    return seriesOf(await this.#post('query', { query, time: `${at}` }), 'vector');
  }

  async range(query: string, start: number, end: number, step: number): Promise<Series[]> {
    // VictoriaMetrics would move the start to a multiple of the step.
    const form = { query, start: `${start}`, end: `${end}`, step: `${step}`, nocache: '1' };
    return seriesOf(await this.#post('query_range', form), 'matrix');
  }

  /** The label sets of all series with samples in a time. */
  async labelSets(selector: string, start: number, end: number): Promise<Series['labels'][]> {
    const data = await this.#post('series', { 'match[]': selector, start: `${start}`, end: `${end}` });
    return Array.isArray(data) ? (data as Series['labels'][]) : [];
  }

  async #post(endpoint: string, form: Readonly<Record<string, string>>): Promise<unknown> {
    const { wait, now, totalMs, timeoutMs } = this.#options;
    const url = `${this.#base}/api/v1/${endpoint}`;
    for (let tries = 1; ; tries++) {
      const left = this.#startedAt + totalMs - now();
      if (left <= 0) throw this.#error(`the queries took more than ${totalMs / 1000} s`, FIX_LESS);
      let problem: string;
      let pause = Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), MAX_WAIT_MS);
      try {
        const response = await this.#client.call({
          url,
          form: new URLSearchParams(form),
          timeoutMs: Math.ceil(Math.min(timeoutMs, left)),
          maxBytes: MAX_BYTES,
        });
        this.#hasResponded = true;
        if (!BUSY.has(response.status) || hasTimedOut(response)) return this.#dataOf(response);
        problem = `status ${response.status}${messageOf(response)}`;
        pause = Math.min(Number(response.headers['retry-after']) * 1000 || pause, MAX_WAIT_MS);
      } catch (error) {
        if (error instanceof TooLargeError) throw new TooMuchError(this.#text(error.message, FIX_LESS));
        if (!(error instanceof RequestError)) throw error;
        // If the first connection is refused, the URL is probably wrong.
        if (!error.isTransient || (error.isRefusal && !this.#hasResponded))
          throw this.#error(error.message, 'check the URL and --http.config.file');
        problem = error.message;
      }
      if (tries === TRIES) throw this.#error(`${problem} (${TRIES} tries)`, FIX_SERVER);
      await wait(pause);
    }
  }

  #dataOf(response: Response): unknown {
    const { status, headers, text } = response;
    if (status >= 300 && status < 400)
      throw this.#error(`status ${status}: a redirect`, 'give the URL to which it leads');
    if (status === 401 || status === 403)
      throw this.#error(`status ${status}`, 'give the login in --http.config.file');
    if (status === 404)
      throw this.#error(
        'status 404',
        'give the URL before /api/v1, such as https://mimir.example.org/prometheus',
      );
    // 422: the query needs more samples than the server allows, or a longer time.
    if (status === 422 || hasTimedOut(response))
      throw new TooMuchError(this.#text(`status ${status}${messageOf(response)}`, FIX_LESS));
    const body = bodyOf(text);
    if (status !== 200)
      throw this.#error(`status ${status}${messageOf(response)}`, 'check the URL: is it a Prometheus?');
    if (body?.status !== 'success')
      throw this.#error('the response is not one of the API', 'check the URL: is it a Prometheus?');
    const sent = Date.parse(String(headers['date']));
    if (!Number.isNaN(sent)) this.skewSeconds = (sent - Date.now()) / 1000;
    for (const warning of body.warnings ?? []) this.#options.onWarning(short(String(warning)));
    if (body.isPartial === true) this.#options.onWarning('the response is partial');
    return body.data;
  }

  #error(problem: string, fix: string): PrometheusError {
    return new PrometheusError(this.#text(problem, fix));
  }

  #text(problem: string, fix: string): string {
    return `${this.#base}: ${problem}: ${fix}`;
  }
}

/** Prometheus aborts a query after `--query.timeout` with 503. The same query would take as long again. */
function hasTimedOut({ status, text }: Response): boolean {
  return status === 503 && bodyOf(text)?.errorType === 'timeout';
}

const FIX_LESS = 'give a shorter time, fewer VMs or fewer metrics';
const FIX_SERVER = 'check that the server runs and is not overloaded';
