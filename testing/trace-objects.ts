import { OBJECTS } from '../exporter/trace/bpf/objects.ts';
import type { LoadTraceObject } from '../exporter/trace/bpf/traced-object.ts';
import type { Counted } from '../probes/bpf/count-map.ts';
import type { Control, Gate } from '../probes/bpf/gates.ts';
import type { TraceObjectName } from '../probes/bpf/trace-object.ts';
import { SourceError } from '../probes/errors.ts';

/** A kernel that loads objects of programs on tracepoints. */
export interface FakeTraceObjects {
  readonly load: LoadTraceObject;
  /** Objects that are loaded now. */
  readonly loaded: Set<TraceObjectName>;
  /** Programs that are attached now. */
  readonly attached: Set<string>;
  /** Tracepoints that are missing, by program. */
  readonly missing: Set<string>;
  /** Objects that do not load. */
  readonly refused: Map<TraceObjectName, SourceError>;
  /** Gates by object and program. */
  readonly gates: Map<string, Gate[]>;
  readonly controls: Map<TraceObjectName, Control>;
  /** Sets an element of a map. @param value the weight, and what follows it */
  put(map: string, key: readonly number[], value: readonly number[]): void;
  /** Ids that an object follows. */
  readonly followed: Map<TraceObjectName, readonly number[]>;
  /** The error of following ids. */
  refuseFollowing: SourceError | undefined;
  /** Why neither maps nor gates can be read. */
  refuseReading: SourceError | undefined;
  /** Nanoseconds that a program has run. */
  readonly runNs: Map<string, number>;
  isTiming: boolean;
  /** The error of timing runs. */
  refuseTiming: SourceError | undefined;
  /** Elements of a map. */
  size(map: string): number;
}

interface FakeMap {
  readonly keySize: number;
  readonly valueSize: number;
  readonly elements: Map<string, { readonly key: Buffer; readonly value: Buffer }>;
}

export function fakeTraceObjects(maxEntries = 64): FakeTraceObjects {
  const maps = new Map<string, FakeMap>();
  const specs = OBJECTS.flatMap((object) => object.maps);
  const mapOf = (name: string): FakeMap => {
    const spec = specs.find((each) => each.name === name);
    if (spec === undefined) throw new Error(`no map ${name}`);
    const widest = Math.max(4, ...spec.fields);
    const bytes = spec.fields.reduce<number>((end, each) => Math.ceil(end / each) * each + each, 4);
    const more = { weight: 0, sum: 1, exits: 2 }[spec.value];
    const map = maps.get(name) ?? {
      keySize: Math.ceil(bytes / widest) * widest,
      valueSize: 8 * (1 + more),
      elements: new Map(),
    };
    maps.set(name, map);
    return map;
  };
  const counted = ({ elements }: FakeMap): Counted => ({
    rows: elements.size,
    keys: Buffer.concat([...elements.values()].map(({ key }) => key)),
    values: Buffer.concat([...elements.values()].map(({ value }) => value)),
  });
  const fake: FakeTraceObjects = {
    loaded: new Set(),
    attached: new Set(),
    missing: new Set(),
    refused: new Map(),
    gates: new Map(),
    controls: new Map(),
    followed: new Map(),
    refuseFollowing: undefined,
    refuseReading: undefined,
    runNs: new Map(),
    isTiming: false,
    refuseTiming: undefined,
    size: (name) => mapOf(name).elements.size,
    put(name, key, value) {
      const map = mapOf(name);
      const spec = specs.find((each) => each.name === name);
      const bytes = Buffer.alloc(map.keySize);
      bytes.writeUInt32LE(key[0] ?? 0);
      let at = 4;
      spec?.fields.forEach((width, i) => {
        at = Math.ceil(at / width) * width;
        if (width === 4) bytes.writeUInt32LE(key[i + 1] ?? 0, at);
        else bytes.writeBigUInt64LE(BigInt(key[i + 1] ?? 0), at);
        at += width;
      });
      const values = Buffer.alloc(map.valueSize);
      for (const [i, each] of value.entries()) values.writeBigUInt64LE(BigInt(each), 8 * i);
      map.elements.set(key.join(), { key: bytes, value: values });
    },
    load(name) {
      const refused = fake.refused.get(name);
      if (refused !== undefined) throw refused;
      fake.loaded.add(name);
      const attached: string[] = [];
      return {
        attach(program) {
          if (fake.missing.has(program))
            throw new SourceError('absent', program, 'no such tracepoint', 'not_in_this_kernel');
          fake.attached.add(program);
          attached.push(program);
        },
        detach() {
          for (const program of attached.splice(0)) fake.attached.delete(program);
        },
        runs: (program) => ({ count: 0, ns: fake.runNs.get(program) ?? 0 }),
        timeRuns() {
          if (fake.refuseTiming !== undefined) throw fake.refuseTiming;
          fake.isTiming = true;
          return {
            stop() {
              fake.isTiming = false;
            },
          };
        },
        map(mapName) {
          const map = mapOf(mapName);
          return {
            keySize: map.keySize,
            valueSize: map.valueSize,
            maxEntries,
            read() {
              if (fake.refuseReading !== undefined) throw fake.refuseReading;
              return counted(map);
            },
            take() {
              if (fake.refuseReading !== undefined) throw fake.refuseReading;
              const all = counted(map);
              map.elements.clear();
              return all;
            },
          };
        },
        gates: {
          read(program) {
            if (fake.refuseReading !== undefined) throw fake.refuseReading;
            return fake.gates.get(`${name} ${program}`) ?? [];
          },
          set: (control) => void fake.controls.set(name, control),
        },
        follow(ids) {
          if (fake.refuseFollowing !== undefined) throw fake.refuseFollowing;
          fake.followed.set(name, [...ids]);
        },
        close() {
          fake.loaded.delete(name);
          for (const program of attached) fake.attached.delete(program);
          for (const { name: own } of specs.filter((spec) => isOf(name, spec.name))) maps.delete(own);
        },
      };
    },
  };
  return fake;
}

function isOf(object: TraceObjectName, map: string): boolean {
  return OBJECTS.some((each) => each.name === object && each.maps.some(({ name }) => name === map));
}
