import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { SourceError } from '../errors.ts';

/** A pointer of libbpf; null if the call failed. */
export type Pointer = unknown;

/**
 * The calls of libbpf.so.1 that this program uses. All are synchronous and none takes a callback, which keeps koffi's
 * simple paths only. A call that fails returns null or a negative number and sets `errno`.
 */
export interface Libbpf {
  open(file: string): Pointer;
  load(object: Pointer): number;
  close(object: Pointer): void;
  findProgram(object: Pointer, name: string): Pointer;
  programDescriptor(program: Pointer): number;
  /**
   * Reads the kernel's data on a program: struct bpf_prog_info. @param length as uint32: the room before, the written
   * length after
   */
  programInfo(program: number, info: Buffer, length: Buffer): number;
  /** Makes the kernel time the runs of all programs. @returns a descriptor, with which that ends */
  timeRuns(): number;
  attachIterator(program: Pointer): Pointer;
  /** Attaches a program where its section says, such as `raw_tp/kvm_exit`. */
  attach(program: Pointer): Pointer;
  linkDescriptor(link: Pointer): number;
  destroyLink(link: Pointer): number;
  /** @returns a descriptor; each one reads once through the kernel's objects */
  createIterator(link: number): number;
  findMap(object: Pointer, name: string): Pointer;
  mapDescriptor(map: Pointer): number;
  /** Bytes of a key. */
  keySize(map: Pointer): number;
  /** Bytes of a value; of a per-CPU map, those of one CPU. */
  valueSize(map: Pointer): number;
  maxEntries(map: Pointer): number;
  /** Number of values in an element of a per-CPU map. */
  possibleCpus(): number;
  /** Reads the value of a key. The buffer has room for it, of a per-CPU map for the values of all possible CPUs. */
  lookUpElement(map: number, key: Buffer, value: Buffer): number;
  /**
   * Reads the next `count` elements of a hash map, and writes how many there were. `ENOENT` means that they were the last.
   *
   * @param from where the last call ended; undefined to begin
   * @param to where this call ends
   * @param takes removes what it reads, with no count lost
   */
  lookUpBatch(map: number, from: Buffer | null, to: Buffer, found: Elements, takes: boolean): number;
  /** Sets the value of a key. Both have the size that the program declares. */
  updateElement(map: number, key: Buffer, value: Buffer): number;
  deleteElement(map: number, key: Buffer): number;
  /** Name of the last error, such as `EPERM`. */
  errno(): string;
}

/** Elements of a hash map. */
export interface Elements {
  readonly keys: Buffer;
  readonly values: Buffer;
  /** As uint32: the room for elements before a call, and their number after it. */
  readonly count: Buffer;
}

/**
 * The part of koffi that is used. Its own types are missing if the optional package is not installed, and the build
 * would fail.
 */
interface Koffi {
  load(library: string): { func(prototype: string): ForeignFunction };
  errno(): number;
}

type ForeignFunction = (...values: readonly unknown[]) => unknown;

/** include/uapi/linux/bpf.h */
const BPF_STATS_RUN_TIME = 0;

const LIBRARY = 'libbpf.so.1';

/** @throws SourceError absent, if koffi or libbpf is not installed */
export function openLibbpf(): Libbpf {
  const koffi = loadKoffi();
  const library = loadLibrary(koffi);
  const func = (prototype: string): ForeignFunction => library.func(prototype);
  // Without this, libbpf writes its messages to standard error.
  func('void *libbpf_set_print(void *print)')(null);
  const open = func('void *bpf_object__open_file(const char *path, void *options)');
  const attach = func('void *bpf_program__attach_iter(void *program, void *options)');
  const batch = (call: string): ForeignFunction =>
    func(`int ${call}(int map, void *from, void *to, void *keys, void *values, void *count, void *options)`);
  const [lookUp, take] = [batch('bpf_map_lookup_batch'), batch('bpf_map_lookup_and_delete_batch')];
  const timeRuns = func('int bpf_enable_stats(int type)');
  const update = func('int bpf_map_update_elem(int map, const void *key, const void *value, uint64_t flags)');
  return {
    open: (file) => open(file, null),
    load: func('int bpf_object__load(void *object)') as Libbpf['load'],
    close: func('void bpf_object__close(void *object)') as Libbpf['close'],
    findProgram: func('void *bpf_object__find_program_by_name(void *object, const char *name)'),
    programDescriptor: func('int bpf_program__fd(void *program)') as Libbpf['programDescriptor'],
    programInfo: func(
      'int bpf_obj_get_info_by_fd(int program, void *info, void *length)',
    ) as Libbpf['programInfo'],
    timeRuns: () => timeRuns(BPF_STATS_RUN_TIME) as number,
    attachIterator: (program) => attach(program, null),
    attach: func('void *bpf_program__attach(void *program)'),
    linkDescriptor: func('int bpf_link__fd(void *link)') as Libbpf['linkDescriptor'],
    destroyLink: func('int bpf_link__destroy(void *link)') as Libbpf['destroyLink'],
    createIterator: func('int bpf_iter_create(int link)') as Libbpf['createIterator'],
    findMap: func('void *bpf_object__find_map_by_name(void *object, const char *name)'),
    mapDescriptor: func('int bpf_map__fd(void *map)') as Libbpf['mapDescriptor'],
    keySize: func('uint32_t bpf_map__key_size(void *map)') as Libbpf['keySize'],
    valueSize: func('uint32_t bpf_map__value_size(void *map)') as Libbpf['valueSize'],
    maxEntries: func('uint32_t bpf_map__max_entries(void *map)') as Libbpf['maxEntries'],
    possibleCpus: func('int libbpf_num_possible_cpus(void)') as Libbpf['possibleCpus'],
    lookUpElement: func(
      'int bpf_map_lookup_elem(int map, const void *key, void *value)',
    ) as Libbpf['lookUpElement'],
    lookUpBatch: (map, from, to, { keys, values, count }, takes) =>
      (takes ? take : lookUp)(map, from, to, keys, values, count, null) as number,
    updateElement: (map, key, value) => update(map, key, value, 0) as number,
    deleteElement: func('int bpf_map_delete_elem(int map, const void *key)') as Libbpf['deleteElement'],
    errno: () => nameOf(koffi.errno()),
  };
}

function loadKoffi(): Koffi {
  const require = createRequire(import.meta.url);
  try {
    return require('koffi') as Koffi;
  } catch {
    const reason = 'the optional package koffi is not installed';
    throw new SourceError('absent', 'koffi', reason, 'until_restart');
  }
}

function loadLibrary(koffi: Koffi): ReturnType<Koffi['load']> {
  try {
    return koffi.load(LIBRARY);
  } catch (error) {
    throw new SourceError('absent', LIBRARY, error instanceof Error ? error.message : String(error));
  }
}

function nameOf(errno: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `error ${errno}`;
}
