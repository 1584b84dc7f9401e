import { hostname, networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { createHost } from '../../probes/host.ts';
import { readKernelNames } from '../../probes/proc-sys-kernel.ts';
import { allowedHosts, type ListenAddress, parseListenAddress } from '../config/addresses.ts';
import { doubtsAboutVms } from '../config/doubts.ts';
import { ConfigError } from '../config/load.ts';
import type { Config } from '../config/options.ts';
import { rootsOf } from '../config/roots.ts';
import { refusal } from '../http/allowed-hosts.ts';
import { createApp } from '../http/app.ts';
import { authentication } from '../http/authentication.ts';
import { createListener, type Listener } from '../http/listener.ts';
import { OPEN, readWebConfig, type WebConfig } from '../http/web-config.ts';
import { inventoryJson } from '../inventory/inventory-json.ts';
import { instanceFilter, PrometheusAlerts } from '../page/alerts.ts';
import { Feed } from '../page/feed.ts';
import { pageRoutes } from '../page/routes.ts';
import type { OwnMetrics } from './own-metrics.ts';
import { notifyReady, socketsOfSystemd } from './systemd.ts';
import type { Telemetry } from './telemetry.ts';

export interface ServeDependencies {
  readonly telemetry: Pick<
    Telemetry,
    | 'scrape'
    | 'inventory'
    | 'visibilityOf'
    | 'work'
    | 'doctor'
    | 'events'
    | 'history'
    | 'reload'
    | 'start'
    | 'stop'
  >;
  readonly own: OwnMetrics;
  readonly logger: Logger;
  /** Reads the configuration again. @throws ConfigError */
  readonly readConfig: () => Config;
}

export interface Running {
  /** The first listening port. It differs from the configured port if that is 0. */
  readonly port: number;
  stop(): Promise<void>;
  /** Applies the current configuration. @returns the error; undefined on success */
  reload(): Promise<string | undefined>;
}

/** Starts the daemon. @throws ConfigError for an invalid web configuration or an unusable address */
export async function serve(config: Config, dependencies: ServeDependencies): Promise<Running> {
  const { telemetry, own, logger } = dependencies;
  const readWeb = (): WebConfig =>
    config['web.config.file'] === undefined ? OPEN : readWebConfig(config['web.config.file']);
  const warnOfVms = (current: Config): void => {
    const running = telemetry.inventory.vms.map(({ name }) => name);
    for (const doubt of doubtsAboutVms(current, running)) logger.warn(doubt);
  };
  let web = readWeb();

  const takeOver = async (): Promise<string | undefined> => {
    try {
      const next = dependencies.readConfig();
      const nextWeb = readWeb();
      const restart = await telemetry.reload(next);
      logger.level = next['log.level'];
      if (!canTurnInto(web, nextWeb)) restart.push('tls_server_config');
      else if (nextWeb.tls !== undefined) listener.renew(nextWeb.tls);
      web = { tls: web.tls, users: nextWeb.users };
      own.reloaded(true);
      logger.info({ needsRestart: restart }, 'configuration reloaded');
      warnOfVms(next);
      return undefined;
    } catch (error) {
      own.reloaded(false);
      const message = error instanceof ConfigError ? error.message : String(error);
      logger.error(`configuration not reloaded: ${message}`);
      return message;
    }
  };
  // Reloads are serialized: two at once would each start the tasks.
  let reloading: Promise<unknown> = Promise.resolve();
  const reload = (): Promise<string | undefined> => {
    const result = reloading.then(takeOver);
    reloading = result;
    return result;
  };

  const uts = readKernelNames(createHost(rootsOf(config)));
  const listening: Listening[] = [];
  const feed = new Feed({
    scrape: (timeoutMs) => telemetry.scrape(timeoutMs),
    sources: (result) => telemetry.doctor.diagnose(result).sources,
    report: (vm) => telemetry.doctor.reportOn(vm),
    verdicts: () => telemetry.doctor.verdicts(),
    events: telemetry.events,
    alerts: alertsOf(config, { logger, uts: uts.hostname, listening }),
    facts: { name: uts.hostname, kernel: uts.release, grafanaUrl: config['web.grafanaUrl'] },
    logger,
    // A step of the wall clock must not stop the charts of an open page.
    now: () => Math.round(performance.timeOrigin + performance.now()),
  });
  const names = {
    allowed: allowedHosts(config['web.allowedHosts']),
    hostname: hostname(),
  };
  const logins = authentication(() => web.users);
  const app = createApp({
    logger,
    scrape: (timeoutMs) => telemetry.scrape(timeoutMs),
    own: own.registry,
    inventory: () => inventoryJson(telemetry.inventory, (vm) => telemetry.visibilityOf(vm)),
    isReady: () => telemetry.work.isReady,
    reload: config['web.enableLifecycle'] ? reload : undefined,
    telemetryPath: config['web.telemetryPath'],
    page: pageRoutes({
      feed,
      events: telemetry.events,
      history: telemetry.history,
      telemetryPath: config['web.telemetryPath'],
    }),
    authenticate: logins.handler,
    refusal: (request) =>
      refusal(request, {
        ...names,
        listenHosts: listening.map(({ host }) => host),
        isGuarded: web.tls !== undefined || web.users.size > 0,
      }),
  });
  const listener = createListener(app, web.tls, logger);
  try {
    for await (const bound of listenOn(config, listener)) listening.push(bound);
  } catch (error) {
    // One address of several was not usable: the others would keep the process alive.
    await listener.close();
    throw error;
  }
  own.reloaded(true);
  await telemetry.start();
  for (const { address, port } of listening)
    logger.info({ address, port, tls: web.tls !== undefined }, 'listening');
  warnOfVms(config);
  const problem = await notifyReady(process.env);
  if (problem !== undefined) logger.warn({ problem }, 'cannot notify systemd of readiness');

  return {
    port: listening[0]?.port ?? 0,
    reload,
    async stop() {
      logins.close();
      feed.close();
      await reloading;
      await Promise.all([telemetry.stop(), listener.close()]);
    },
  };
}

interface AlertsOf {
  readonly logger: Logger;
  /** The host's name; undefined if unknown. */
  readonly uts: string | undefined;
  readonly listening: readonly Listening[];
}

/** undefined if no Prometheus is configured. */
function alertsOf(config: Config, { logger, uts, listening }: AlertsOf): PrometheusAlerts | undefined {
  const url = config['web.prometheusUrl'];
  if (url === undefined) return undefined;
  const hosts = (): string[] => {
    const addresses = Object.values(networkInterfaces()).flatMap(
      (all) => all?.map(({ address }) => address) ?? [],
    );
    const names = [hostname(), uts ?? ''].flatMap((name) => [name, name.split('.')[0] ?? '']);
    return [...names, 'localhost', ...addresses, ...listening.flatMap(({ host }) => host ?? [])];
  };
  const isOurs = instanceFilter(hosts, () => listening.map(({ port }) => port));
  return new PrometheusAlerts({ url, isOurs, logger, now: () => performance.now() });
}

/**
 * Certificates and users can change at run time. Switching TLS or client certificates on or off takes a
 * restart.
 */
function canTurnInto({ tls: before }: WebConfig, { tls: after }: WebConfig): boolean {
  return (before === undefined) === (after === undefined) && before?.requestCert === after?.requestCert;
}

interface Listening extends ListenAddress {
  readonly address: string;
}

/** Listens on all addresses, or on the sockets of systemd. @throws ConfigError */
async function* listenOn(config: Config, listener: Listener): AsyncGenerator<Listening> {
  if (config['web.systemdSocket']) {
    for (const fd of socketsOfSystemd(process.env, process.pid))
      yield { address: `descriptor ${fd}`, ...(await listener.adopt(fd)) };
    return;
  }
  for (const address of config['web.listenAddress']) {
    const port = await listener.listen(address);
    yield { address, host: parseListenAddress(address)?.host, port };
  }
}
