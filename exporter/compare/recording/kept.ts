import { getOrInsert } from '../../../kernel/maps.ts';
import { ConfigError } from '../../config/load.ts';
import { parseLabels } from '../../metrics/labels.ts';
import { matchesGlob } from '../../model/glob.ts';
import type { KeptSeries } from '../memory-archive.ts';
import type { Span } from '../model.ts';
import { RECORDED } from './format.ts';

/** With more samples, they and the results need more than 300 MiB. */
const MAX_SAMPLES = 4_000_000;
const MAX_TEXT = 10_000;
/** Kept for all VMs: for similar names, and for the load of the other VMs. */
const OF_ALL_VMS = new Set(['kvm_vm_vcpus', 'kvm_vm_info']);
const SERIES = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?$/s;

/** A series to which samples can be added. */
interface Growing extends KeptSeries {
  readonly times: number[];
  readonly values: number[];
}

/** The samples from files that the comparison needs, as many as fit into memory. */
export class Kept {
  readonly #series = new Map<string, Growing>();
  #samples = 0;

  constructor(
    /** Pattern of the VMs. */
    private readonly vm: string,
    private readonly time: Span,
  ) {}

  get series(): readonly KeptSeries[] {
    return [...this.#series.values()];
  }

  /**
   * @param text `kvm_vm_vcpus{vm="web"}`
   * @param host label `instance` of the series
   * @returns undefined if the comparison does not need it
   * @throws Error if the text is no series
   */
  seriesOf(text: string, host: string): Growing | undefined {
    const [, metric, block = ''] = (text.length <= MAX_TEXT && SERIES.exec(text)) || [];
    if (metric === undefined) throw new Error('not a series');
    if (!RECORDED.has(metric)) return undefined;
    const labels = parseLabels<string>(block);
    const { vm } = labels;
    const isWanted = vm === undefined || OF_ALL_VMS.has(metric) || matchesGlob(this.vm, vm);
    if (!isWanted) return undefined;
    return getOrInsert(this.#series, JSON.stringify([host, text]), () => ({
      labels: { ...labels, __name__: metric, instance: host, job: '' },
      times: [],
      values: [],
    }));
  }

  /** Adds a sample. One that is not later than the sample before is left out. @throws ConfigError if there are too many */
  add({ times, values }: Growing, at: number, value: number): void {
    if (at < this.time.start || at > this.time.end || at <= (times.at(-1) ?? 0)) return;
    if (++this.#samples > MAX_SAMPLES)
      throw new ConfigError(
        `--recording: more than ${MAX_SAMPLES} samples: give a shorter time with --last, or --from and --to, or fewer VMs`,
      );
    times.push(at);
    values.push(value);
  }
}
