import type { ServerResponse } from 'node:http';
import type { EventLog } from '../assessment/event-log.ts';
import { Slots } from '../http/slots.ts';
import type { Verdicts } from '../model/technique.ts';
import type { ScrapeResult } from '../scrape/scrape.ts';
import type { PrometheusAlerts } from './alerts.ts';
import { liveDetail } from './detail.ts';
import { EventStream, frame, HEARTBEAT } from './event-stream.ts';
import { liveEvents } from './events.ts';
import type { LiveReport, LiveSource, LiveVms } from './live.ts';
import { type HostFacts, liveHost, liveLoads, liveVms } from './snapshot.ts';

export interface FeedTimes {
  /**
   * Shortest and longest interval between collections; the interval grows with the time that a collection
   * takes.
   */
  readonly fastestMs: number;
  readonly slowestMs: number;
  /** A client that does not read for this long is disconnected. */
  readonly stallMs: number;
  readonly heartbeatMs: number;
}

const TIMES: FeedTimes = { fastestMs: 1000, slowestMs: 5000, stallMs: 10_000, heartbeatMs: 10_000 };
/** Collections for the page use at most this share of one CPU, unless slowestMs forces more. */
const SHARE = 0.1;
const COLLECT_MS = 9500;
export const MAX_CLIENTS = 16;
/**
 * Up to this number of VMs, all VMs are sent in detail, so that a VM's page has a history when it is opened.
 */
const MAX_DETAILED = 16;
/** Number of events that a page shows. */
const MAX_SHOWN = 200;

export interface FeedDependencies {
  scrape(timeoutMs: number): Promise<ScrapeResult>;
  /** Doctor's view of the sources. */
  sources(result: ScrapeResult): readonly LiveSource[];
  /** Doctor's report on a VM; undefined for an unknown VM. */
  report(vm: string): Promise<LiveReport | undefined>;
  /** By VM: the last verdicts on its techniques. */
  verdicts(): ReadonlyMap<string, Verdicts>;
  readonly events: Pick<EventLog, 'find' | 'count'>;
  /** undefined without a Prometheus. */
  readonly alerts: Pick<PrometheusAlerts, 'refresh' | 'current'> | undefined;
  readonly facts: HostFacts;
  readonly logger: { warn(fields: object, message: string): void; debug(message: string): void };
  /** Milliseconds of the epoch. */
  now(): number;
  readonly times?: FeedTimes;
}

interface Frames {
  readonly host: string;
  readonly events: string;
  readonly alerts: string;
  readonly vms: string;
  /** By VM: the VMs of `all`, and those whose page is open. Empty for an unknown VM. */
  readonly details: ReadonlyMap<string, string>;
  readonly all: readonly string[];
}

/** Sends each collection to all open pages. Collects only while a page is open. */
export class Feed {
  readonly #clients = new Set<EventStream>();
  readonly #slots = new Slots<EventStream>(MAX_CLIENTS);
  readonly #times: FeedTimes;
  #last: Frames | undefined;
  #events: { readonly count: number; readonly frame: string } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #collecting = false;
  #closed = false;

  constructor(private readonly dependencies: FeedDependencies) {
    this.#times = dependencies.times ?? TIMES;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /**
   * @param peer of the client. If all places are taken, the oldest page of the peer with the most pages is
   * closed in favour of another peer.
   * @returns false if there is no place or the daemon is stopping; no response was sent
   */
  open(response: ServerResponse, vm: string | undefined, peer: string): boolean {
    const victim = this.#slots.victim(peer);
    if (this.#closed || victim?.peer === peer) return false;
    if (victim !== undefined) {
      victim.holder.drop();
      this.#remove(victim.holder);
    }
    const client = new EventStream(response, vm);
    this.#clients.add(client);
    this.#slots.take(client, peer);
    response.once('close', () => this.#remove(client));
    const hasAll = this.#last !== undefined && this.#send(client, this.#last);
    if (!hasAll) clearTimeout(this.#timer);
    if (!this.#collecting && (this.#timer === undefined || !hasAll)) void this.#collect();
    this.#heartbeat ??= setInterval(() => this.#beat(), this.#times.heartbeatMs);
    return true;
  }

  /** Ends all streams when the daemon stops. */
  close(): void {
    this.#closed = true;
    for (const client of [...this.#clients]) {
      client.end();
      this.#remove(client);
    }
  }

  #remove(client: EventStream): void {
    this.#clients.delete(client);
    this.#slots.free(client);
    if (this.#clients.size > 0) return;
    clearTimeout(this.#timer);
    clearInterval(this.#heartbeat);
    this.#timer = undefined;
    this.#heartbeat = undefined;
    this.#last = undefined;
  }

  async #collect(): Promise<void> {
    this.#timer = undefined;
    this.#collecting = true;
    const start = performance.now();
    const { fastestMs, slowestMs } = this.#times;
    let everyMs = slowestMs;
    try {
      void this.dependencies.alerts?.refresh();
      const result = await this.dependencies.scrape(COLLECT_MS);
      const took = performance.now() - start;
      everyMs = Math.min(slowestMs, Math.max(fastestMs, took / SHARE));
      if (this.#clients.size > 0) this.#broadcast(await this.#framesOf(result, everyMs));
    } catch (error) {
      this.dependencies.logger.warn({ err: error }, 'collection for the live page failed');
    }
    this.#collecting = false;
    if (this.#clients.size === 0 || this.#closed) return;
    const rest = Math.max(fastestMs / 4, everyMs - (performance.now() - start));
    this.#timer = setTimeout(() => void this.#collect(), rest);
  }

  async #framesOf(result: ScrapeResult, everyMs: number): Promise<Frames> {
    const { families } = result;
    const at = this.dependencies.now();
    const vms = liveVms(families, this.dependencies.verdicts());
    const alerts = this.dependencies.alerts?.current;
    const all = vms.length <= MAX_DETAILED ? vms.map(({ vm }) => vm) : [];
    const details = new Map<string, string>();
    for (const vm of new Set([...all, ...[...this.#clients].map((client) => client.vm)])) {
      if (vm === undefined) continue;
      const isKnown = vms.some((each) => each.vm === vm);
      const report = isKnown ? await this.dependencies.report(vm) : undefined;
      details.set(vm, isKnown ? frame('detail', liveDetail(families, vm, at, report)) : '');
    }
    const message: LiveVms = { at, everyMs: Math.round(everyMs), vms, cpus: liveLoads(families) };
    return {
      host: frame('host', liveHost(families, this.dependencies.sources(result), this.dependencies.facts)),
      events: this.#eventsFrame(),
      alerts: alerts === undefined ? '' : frame('alerts', alerts),
      vms: frame('vms', message),
      all,
      details,
    };
  }

  #eventsFrame(): string {
    const { events } = this.dependencies;
    const { count } = events;
    if (count === 0) return '';
    if (this.#events?.count !== count) {
      const found = events.find({ limit: MAX_SHOWN });
      this.#events = { count, frame: frame('events', liveEvents(found)) };
    }
    return this.#events?.frame ?? '';
  }

  #broadcast(frames: Frames): void {
    this.#last = frames;
    for (const client of [...this.#clients]) this.#send(client, frames);
  }

  /** @returns false if the frames lack the VM that the page shows */
  #send(client: EventStream, frames: Frames): boolean {
    const { host, events, alerts, all, details } = frames;
    const vms = new Set([...all, ...(client.vm === undefined ? [] : [client.vm])]);
    // A page that opened during the collection waits for the next one.
    if (![...vms].every((vm) => details.has(vm))) return false;
    const changed = Object.entries({ host, events, alerts }).map(([name, text]) =>
      client.unlessSent(name, text),
    );
    const now = performance.now();
    // Send the table last: a page that received it has received everything.
    if (client.send(changed.join('') + [...vms].map((vm) => details.get(vm)).join('') + frames.vms, now))
      return true;
    client.forget();
    this.#dropIfStalled(client, now);
    return true;
  }

  #beat(): void {
    const now = performance.now();
    for (const client of [...this.#clients])
      if (!client.send(HEARTBEAT, now)) this.#dropIfStalled(client, now);
  }

  #dropIfStalled(client: EventStream, now: number): void {
    if (now - (client.blockedSince ?? now) < this.#times.stallMs) return;
    this.dependencies.logger.debug('disconnected a live page that does not read');
    client.drop();
    this.#remove(client);
  }
}
