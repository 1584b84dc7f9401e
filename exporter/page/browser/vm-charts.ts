import { Chart, type Line } from './charts.ts';
import { el } from './dom.ts';
import { count, duration, fixed, tick } from './format.ts';
import type { Store } from './store.ts';

/**
 * Number of exit reasons with a line of their own. The others are not shown, because their sum is not a
 * reason.
 */
const MAX_REASONS = 8;

/** Fixes the colour of each role, whichever roles are present. */
const ROLES = ['vcpu', 'iothread', 'vhost', 'sqpoll', 'worker', 'io_worker', 'other', 'emulator'];

/** A VM's last hour. */
export class VmCharts {
  readonly element = el('div', { class: 'charts' });
  readonly #reasons = new Chart({ title: 'Exits by reason', help: 'per second', format: count });
  readonly #perIo = new Chart({
    title: 'Exits per I/O',
    help: 'by step of the I/O path',
    format: fixed,
    tick,
  });
  readonly #iops = new Chart({ title: 'I/O', help: 'per second', format: count });
  readonly #cores = new Chart({
    title: 'CPU use',
    help: 'cores, by thread role',
    format: fixed,
  });
  readonly #latency = new Chart({
    title: 'Exit latency',
    help: 'from exit to entry, halts excluded, over 30 s',
    format: duration,
  });
  readonly #wait = new Chart({
    title: 'Run-queue wait',
    help: 'time per second, vCPUs and I/O threads',
    format: duration,
  });

  constructor(private readonly vm: string) {
    for (const chart of this.#all) this.element.append(chart.element);
  }

  get #all(): Chart[] {
    return [this.#reasons, this.#perIo, this.#iops, this.#cores, this.#latency, this.#wait];
  }

  update(store: Store): void {
    const isTraced = store.host?.traceBackend !== undefined;
    const untraced = 'Trace events are not counted. The source trace on the first page has the reason.';
    const none = isTraced ? 'No exits counted yet.' : untraced;
    const untimed = store.host?.timedRatio === undefined && isTraced;
    this.#draw(this.#reasons, store, this.#topReasons(store), none);
    this.#draw(this.#perIo, store, this.#named(store, / per I\/O$/), isTraced ? 'No I/O yet.' : untraced);
    const noDisks = 'No disk statistics. Give the VM a QMP socket, or manage it with libvirt.';
    this.#draw(this.#iops, store, this.#named(store, /^iops$/), noDisks);
    this.#draw(this.#cores, store, this.#named(store, /^cores /), 'No thread has run yet.');
    const noTimes =
      'Exits are not timed. Add exit_duration to --trace.sets; it requires BPF or hist triggers.';
    const timed = this.#named(store, /^p\d\d$/);
    this.#draw(this.#latency, store, timed, untimed ? noTimes : isTraced ? 'No exit timed yet.' : untraced);
    this.#draw(
      this.#wait,
      store,
      this.#named(store, /^queue wait$/),
      'This kernel has no CONFIG_SCHEDSTATS.',
    );
  }

  destroy(): void {
    for (const chart of this.#all) chart.destroy();
  }

  #named(store: Store, pattern: RegExp): string[] {
    return store.names(this.vm).filter((name) => pattern.test(name));
  }

  /**
   * Reasons with the most exits now, sorted by name, so that a line keeps its colour while the set is the
   * same.
   */
  #topReasons(store: Store): string[] {
    const reasons = Object.entries(store.detail(this.vm)?.reasons ?? {});
    const top = reasons.sort(([, a], [, b]) => b - a).slice(0, MAX_REASONS);
    const known = new Set(this.#named(store, /^reason /));
    return top
      .map(([reason]) => `reason ${reason}`)
      .filter((name) => known.has(name))
      .sort();
  }

  #draw(chart: Chart, store: Store, names: readonly string[], empty: string): void {
    const lines = names.map((full, i): Line => {
      const name = full.replace(/^(reason|cores) /, '').replace(/ per I\/O$/, '');
      const role = ROLES.indexOf(name);
      return { name, colour: role < 0 ? i : role };
    });
    chart.update(lines, store.drawn(this.vm, names), store.marks(this.vm), empty);
  }
}
