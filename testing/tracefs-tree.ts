import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TracefsWriter } from '../exporter/trace/writer.ts';
import { sourceError } from '../probes/errors.ts';
import type { Host } from '../probes/host.ts';
import { parseEventFormat } from '../probes/tracefs-format.ts';
import { ROOT } from './daemon.ts';
import { type HostTree, hostTree } from './host-tree.ts';

const FIXTURES = `${ROOT}test/fixtures`;
const NO_TRIGGERS =
  '# Available triggers:\n# traceon traceoff snapshot stacktrace enable_event disable_event enable_hist disable_hist hist\n';
const COMMON =
  '\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n' +
  '\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n' +
  '\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n' +
  '\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n';

/** arch/arm64/kvm/trace_arm.h with kvm_arm_exception_type and kvm_arm_exception_class after preprocessing. */
export const KVM_EXIT_ARM64 =
  `name: kvm_exit\nID: 77\nformat:\n${COMMON}` +
  '\tfield:int ret;\toffset:8;\tsize:4;\tsigned:1;\n' +
  '\tfield:unsigned int esr_ec;\toffset:12;\tsize:4;\tsigned:0;\n' +
  '\tfield:unsigned long vcpu_pc;\toffset:16;\tsize:8;\tsigned:0;\n' +
  '\nprint fmt: "%s: HSR_EC: 0x%04x (%s), PC: 0x%016lx", __print_symbolic(REC->ret, {0, "IRQ" }, {1, "SERROR" }, ' +
  '{2, "TRAP" }, {0xbadca11, "HYP_GONE" }), REC->esr_ec, __print_symbolic(REC->esr_ec, { (0x00), "UNKNOWN" }, ' +
  '{ (0x01), "WFx" }, { (0x16), "HVC64" }, { (0x24), "DABT_LOW" }), REC->vcpu_pc\n';

/** Keys, then values: `[252, 120, 7]`. */
export type Row = readonly number[];

interface FakeTrigger {
  readonly keys: readonly string[];
  readonly values: readonly string[];
  readonly variables: readonly string[];
  /** `event variable` references to other triggers. */
  readonly uses: readonly string[];
  /** Synthetic event that the trigger generates. */
  readonly makes: string | undefined;
  readonly size: number;
  readonly clears: boolean;
  /** The kernel's comparison key: everything but the size. */
  readonly identity: string;
  /** In the kernel's format. */
  readonly text: string;
  rows: Row[];
  hits: number | undefined;
  dropped: number;
}

type Triggers = Map<string, FakeTrigger[]>;

export interface TracefsTreeOptions {
  readonly formats?: '6.1' | '6.18';
  /**
   * Format files that replace the defaults: `kvm/kvm_exit`; undefined for an event that this kernel lacks.
   */
  readonly events?: Readonly<Record<string, string | undefined>>;
  /** False for a kernel without CONFIG_HIST_TRIGGERS. */
  readonly hist?: boolean;
}

export interface TracefsTree {
  readonly tree: HostTree;
  readonly host: Host;
  readonly writer: TracefsWriter;
  /** Every successful write: `kvm/kvm_exit hist:keys=...`, `synthetic_events !x`, `mkdir x`, `rmdir x`. */
  readonly written: string[];
  /** Makes writes fail whose entry in `written` would match. @returns a function that ends this */
  refuse(pattern: RegExp, code: string, reason?: string): () => void;
  instances(): string[];
  /** Active triggers, in the kernel's format. */
  triggers(event: string, instance?: string): string[];
  /** Active triggers of all events: `kvm/kvm_exit hist:keys=...`. */
  allTriggers(instance?: string): string[];
  synthetic(): string[];
  /** Counts events. A full map drops them. @param keys of the trigger: `common_pid,gpa.hex` */
  hit(event: string, keys: string, key: Row, count?: number, sum?: number): void;
  /** Sets the content of `hist`, whatever the size of the map. */
  show(event: string, keys: string, rows: readonly Row[], more?: { hits?: number; dropped?: number }): void;
  /** Appends text after the trigger's own blocks, such as another user's trigger. */
  append(event: string, block: string): void;
  /** Clears the map, as `echo 0 > ...:clear` by another user does. */
  clear(event: string, keys: string): void;
  removeTrigger(event: string, keys: string): void;
  deleteInstance(name: string): void;
  /** Loads a module, or unloads it: undefined. */
  setEvent(event: string, format: string | undefined): void;
}

/** Format files of one kernel: `kvm/kvm_exit` and its text. */
export function formatsOf(kernel: '6.1' | '6.18'): Map<string, string> {
  const folder =
    kernel === '6.1'
      ? `${FIXTURES}/hosts/linux-nvme-vhost/t1/sys/kernel/tracing/events`
      : `${FIXTURES}/tracepoint-formats-6.18`;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /format$/.test(file),
  );
  return new Map(
    files.map((file) => [
      kernel === '6.1' ? dirname(file) : file.replace('.format', '').replace('.', '/'),
      readFileSync(join(folder, file), 'latin1'),
    ]),
  );
}

/**
 * An imitation of tracefs in a temporary folder: the behavior of kernel/trace/trace_events_hist.c for the few
 * forms of triggers that the exporter writes. It tests the exporter against this behavior. The lab tests
 * check the behavior of the kernel itself.
 */
export function tracefsTree(
  context: Pick<TestContext, 'after'>,
  { formats = '6.1', events: changed = {}, hist = true }: TracefsTreeOptions = {},
): TracefsTree {
  const tree = hostTree(context);
  const { host } = tree;
  const root = host.roots.tracefs;
  const events = formatsOf(formats);
  const instances = new Map<string, Triggers>();
  const synthetic = new Map<string, string>();
  const extra = new Map<string, string>();
  const refusals = new Set<{ pattern: RegExp; code: string; reason: string | undefined }>();
  const written: string[] = [];
  let errors = 0;

  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, 'latin1');
  };
  const remove = (path: string): void => rmSync(join(root, path), { recursive: true, force: true });

  function setEvent(event: string, format: string | undefined): void {
    if (format === undefined) events.delete(event);
    else events.set(event, format);
    const folders = ['', ...[...instances.keys()].map((name) => `instances/${name}/`)];
    for (const folder of folders) {
      if (format === undefined) remove(`${folder}events/${event}`);
      else put(`${folder}events/${event}/format`, format);
    }
    for (const [name, triggers] of instances) {
      if (format === undefined) triggers.delete(event);
      else render(name, event);
    }
  }

  function render(instance: string, event: string): void {
    const triggers = instances.get(instance)?.get(event) ?? [];
    const folder = `instances/${instance}/events/${event}`;
    const lines = triggers.map(({ text }) => `${text} [active]\n`).join('');
    put(`${folder}/trigger`, lines || NO_TRIGGERS);
    put(`${folder}/enable`, '0*\n');
    if (hist)
      put(
        `${folder}/hist`,
        [...triggers.map(shown), ...((extra.get(event) ?? '') ? [extra.get(event)] : [])].join('\n\n'),
      );
  }

  function fail(path: string, code: string): never {
    throw sourceError(Object.assign(new Error(code), { code }), path);
  }

  /** Refuses a write as the kernel does, with the reason if the kernel gives one. */
  function refused(
    path: string,
    log: string,
    where: string,
    reason: string,
    line: string,
    code = 'EINVAL',
  ): never {
    const stamp = `[${String(100 + errors++).padStart(5)}.000000]`;
    put(
      log,
      `${readFileSync(join(root, log), 'latin1')}${stamp} ${where}: error: ${reason}\n  Command: ${line}\n           ^\n`,
    );
    fail(path, code);
  }

  function check(path: string, entry: string, log?: [log: string, where: string, line: string]): void {
    for (const { pattern, code, reason } of refusals) {
      if (!pattern.test(entry)) continue;
      if (reason !== undefined && log !== undefined) refused(path, log[0], log[1], reason, log[2], code);
      fail(path, code);
    }
    written.push(entry);
  }

  function writeSynthetic(path: string, line: string): void {
    check(path, `synthetic_events ${line}`, ['error_log', 'synthetic_events', line]);
    const name = line.replace(/^!/, '').split(' ')[0] ?? '';
    const event = `synthetic/${name}`;
    if (line.startsWith('!')) {
      if (!synthetic.has(name)) fail(path, 'ENOENT');
      const all = [...instances.values()].flatMap((each) => [...each]);
      if (all.some(([of, triggers]) => triggers.some(({ makes }) => of === event || makes === name)))
        fail(path, 'EBUSY');
      synthetic.delete(name);
      setEvent(event, undefined);
    } else {
      if (synthetic.has(name)) fail(path, 'EEXIST');
      const fields = line.slice(name.length + 1).split('; ');
      synthetic.set(name, fields.join('; '));
      const lines = fields.map((field, i) => `\tfield:${field};\toffset:${8 + 8 * i};\tsize:8;\tsigned:0;\n`);
      setEvent(event, `name: ${name}\nID: 2000\nformat:\n${COMMON}${lines.join('')}\nprint fmt: ""\n`);
    }
    put('synthetic_events', [...synthetic].map(([each, fields]) => `${each}\t${fields}\n`).join(''));
  }

  function writeTrigger(path: string, instance: string, event: string, line: string): void {
    const log = `instances/${instance}/error_log`;
    const where = `hist:${event.replace('/', ':')}`;
    check(path, `${event} ${line}`, [log, where, line]);
    const inForce = instances.get(instance);
    if (inForce === undefined || !events.has(event)) fail(path, 'ENOENT');
    if (line.length >= 4096) fail(path, 'EINVAL');
    const removes = line.startsWith('!');
    const no = (reason: string, code?: string): never =>
      refused(path, log, where, reason, line.replace(/^!/, ''), code);
    const trigger = parsed(line.replace(/^!/, ''), event, removes, inForce, no);
    const list = inForce.get(event) ?? [];
    const same = list.find(({ identity }) => identity === trigger.identity);
    if (removes) {
      if (same === undefined) return;
      const uses = [...inForce.values()].flat().flatMap((each) => each.uses);
      if (same.variables.some((variable) => uses.includes(`${event} ${variable}`))) fail(path, 'EBUSY');
      inForce.set(
        event,
        list.filter((each) => each !== same),
      );
    } else if (trigger.clears) {
      empty(same ?? no("Can't clear (hist trigger doesn't exist)", 'ENOENT'));
    } else if (same !== undefined) no('Hist trigger already exists', 'EEXIST');
    else inForce.set(event, [...list, trigger]);
    render(instance, event);
  }

  function parsed(
    line: string,
    event: string,
    removes: boolean,
    inForce: Triggers,
    no: (reason: string) => never,
  ): FakeTrigger {
    const [head = '', filter] = line.split(/ if (.*)/s);
    const [hist, ...parts] = head.split(':');
    if (hist !== 'hist') no('Invalid hist trigger');
    const take = (name: string): string[] =>
      parts
        .find((part) => part.startsWith(`${name}=`))
        ?.slice(name.length + 1)
        .split(',') ?? [];
    const isKnown = (part: string): boolean => /^(keys|vals|sort|size|clock)=/.test(part);
    const action = parts.find((part) => part.startsWith('onmatch('));
    const clears = parts.includes('clear');
    const assignments = parts
      .filter((part) => !isKnown(part) && part !== action && part !== 'clear')
      .flatMap((part) => part.split(','));
    const keys = take('keys');
    const values = ['hitcount', ...take('vals').filter((value) => value !== 'hitcount')];
    const fields = parseEventFormat(events.get(event) ?? '').fields;
    const isField = (name: string): boolean => fields.has(name) || name === 'common_timestamp';
    const [, matched, made, params = ''] =
      /^onmatch\(([\w.]+)\)\.trace\((\w+),([^)]*)\)$/.exec(action ?? '') ?? [];
    const other = matched?.replace('.', '/') ?? '';
    const theirs = (inForce.get(other) ?? []).flatMap(({ variables }) => variables);
    const own = (inForce.get(event) ?? []).flatMap(({ variables }) => variables);
    const variables = assignments.map((each) => each.split('=')[0] ?? '');
    const uses: string[] = [];
    if (keys.length === 0) no('No keys specified');
    for (const key of keys) if (!isField(bare(key))) no("Couldn't find field");
    for (const value of values.slice(1)) if (!isField(value)) no("Couldn't find field");
    for (const assignment of assignments) {
      const [variable = '', expression = ''] = assignment.split('=');
      if (own.includes(variable) && !removes) no('Variable already defined');
      for (const term of expression.split('-')) {
        if (!term.startsWith('$') && !isField(term)) no("Couldn't find field");
        if (term.startsWith('$')) use(term.slice(1));
      }
    }
    if (action !== undefined) {
      if (made === undefined) no('Invalid action');
      const wanted = synthetic.get(made ?? '');
      if (wanted === undefined) no("Couldn't find synthetic event");
      if (wanted?.split('; ').length !== params.split(',').length)
        no("Param count doesn't match synthetic event field count");
      for (const param of params.split(',')) if (!variables.includes(param.slice(1))) use(param.slice(1));
    }
    function use(variable: string): void {
      if (!theirs.includes(variable)) no("Couldn't find variable");
      uses.push(`${other} ${variable}`);
    }
    for (const [name] of (filter ?? '').matchAll(/[a-z_]\w*/g)) if (!isField(name)) no('Field not found');
    const size = Number(take('size')[0] ?? 2048);
    if (!(size >= 128 && size <= 131_072 && Number.isInteger(Math.log2(size)))) no('Invalid map size');
    const has = (part: string, present: boolean): string => (present ? `:${part}` : '');
    const start = `hist:keys=${keys.join(',')}:vals=${values.join(',')}${has(assignments.join(','), assignments.length > 0)}:sort=hitcount`;
    const usesTime = assignments.some((each) => each.includes('common_timestamp'));
    const end = `${has('clock=global', usesTime)}${has(action ?? '', action !== undefined)}${filter === undefined ? '' : ` if ${filter}`}`;
    return {
      ...{ keys, values, variables, uses, makes: made, size, clears },
      identity: start + end,
      text: `${start}:size=${size}${end}`,
      ...{ rows: [], hits: undefined, dropped: 0 },
    };
  }

  function theInstance(): string {
    const [name, ...others] = [...instances.keys()].filter((each) => each.startsWith('kvm-telemetry-'));
    if (name === undefined || others.length > 0)
      throw new Error(`instances: ${[...instances.keys()].join()}`);
    return name;
  }

  function find(event: string, keys: string): { instance: string; trigger: FakeTrigger } {
    const instance = theInstance();
    const of = resolved(event);
    const trigger = instances
      .get(instance)
      ?.get(of)
      ?.find((each) => each.keys.join() === keys);
    if (trigger === undefined) throw new Error(`no trigger on ${of} with keys ${keys}`);
    return { instance, trigger };
  }

  /** `synthetic/@x`: the program's own x. */
  function resolved(event: string): string {
    if (!event.includes('@')) return event;
    const wanted = event.replace('synthetic/@', '_');
    return `synthetic/${[...synthetic.keys()].find((name) => name.endsWith(wanted) && name.startsWith('kvm_telemetry_')) ?? ''}`;
  }

  function deleteInstance(name: string): void {
    instances.delete(name);
    remove(`instances/${name}`);
  }

  for (const [event, format] of Object.entries(changed)) setEvent(event, format);
  for (const [event, format] of events) put(`events/${event}/format`, format);
  put('synthetic_events', '');
  put('error_log', '');
  mkdirSync(join(root, 'instances'));

  return {
    tree,
    host,
    written,
    writer: {
      async makeDirectory(path) {
        const name = path.slice(`${root}/instances/`.length);
        check(path, `mkdir ${name}`);
        if (instances.has(name)) fail(path, 'EEXIST');
        instances.set(name, new Map());
        put(`instances/${name}/error_log`, '');
        for (const [event, format] of events) {
          put(`instances/${name}/events/${event}/format`, format);
          render(name, event);
        }
      },
      async removeDirectory(path) {
        const name = path.slice(`${root}/instances/`.length);
        check(path, `rmdir ${name}`);
        const triggers = [...(instances.get(name)?.values() ?? fail(path, 'ENOENT'))].flat();
        if (triggers.some(({ variables }) => variables.length > 0)) fail(path, 'EBUSY');
        deleteInstance(name);
      },
      async append(path, line) {
        const [, instance, event] = /\/instances\/([^/]+)\/events\/(\w+\/\w+)\/trigger$/.exec(path) ?? [];
        if (instance !== undefined && event !== undefined) writeTrigger(path, instance, event, line);
        else if (path === `${root}/synthetic_events`) writeSynthetic(path, line);
        else fail(path, 'EACCES');
      },
    },
    refuse(pattern, code, reason) {
      const refusal = { pattern, code, reason };
      refusals.add(refusal);
      return () => refusals.delete(refusal);
    },
    instances: () => readdirSync(join(root, 'instances')),
    triggers: (event, instance = theInstance()) =>
      (instances.get(instance)?.get(resolved(event)) ?? []).map(({ text }) => text),
    allTriggers: (instance = theInstance()) =>
      [...(instances.get(instance) ?? [])].flatMap(([event, triggers]) =>
        triggers.map(({ text }) => `${event} ${text}`),
      ),
    synthetic: () => [...synthetic.keys()],
    hit(event, keys, key, count = 1, sum = 0) {
      const { instance, trigger } = find(event, keys);
      const at = trigger.rows.findIndex((row) => key.every((part, i) => row[i] === part));
      const [hits = 0, sums = 0] = trigger.rows[at]?.slice(key.length) ?? [];
      const row = [...key, hits + count, ...(trigger.values.length > 1 ? [sums + sum] : [])];
      if (at >= 0) trigger.rows[at] = row;
      else if (trigger.rows.length < trigger.size) trigger.rows.push(row);
      else trigger.dropped += count;
      render(instance, resolved(event));
    },
    show(event, keys, rows, { hits, dropped = 0 } = {}) {
      const { instance, trigger } = find(event, keys);
      Object.assign(trigger, { rows: [...rows], hits, dropped });
      render(instance, resolved(event));
    },
    append(event, block) {
      extra.set(resolved(event), block);
      render(theInstance(), resolved(event));
    },
    clear(event, keys) {
      const { instance, trigger } = find(event, keys);
      empty(trigger);
      render(instance, resolved(event));
    },
    removeTrigger(event, keys) {
      const { instance, trigger } = find(event, keys);
      const triggers = instances.get(instance);
      triggers?.set(
        resolved(event),
        (triggers.get(resolved(event)) ?? []).filter((each) => each !== trigger),
      );
      render(instance, resolved(event));
    },
    deleteInstance,
    setEvent,
  };
}

function bare(field: string): string {
  return field.replace(/\..*/, '');
}

function empty(trigger: FakeTrigger): void {
  Object.assign(trigger, { rows: [], hits: undefined, dropped: 0 });
}

/** One block of a `hist` file: hist_trigger_show(). */
function shown({ text, keys, values, rows, hits, dropped }: FakeTrigger): string {
  const lines = rows.map((row) => {
    const key = keys.map((each, i) => `${bare(each)}: ${keyText(each, row[i] ?? 0)}`).join(', ');
    const value = values.map((each, i) => `${each}: ${number(row[keys.length + i] ?? 0)}`).join('  ');
    return `{ ${key} } ${value}\n`;
  });
  const all = hits ?? rows.reduce((sum, row) => sum + (row[keys.length] ?? 0), 0);
  return (
    `# event histogram\n#\n# trigger info: ${text} [active]\n#\n\n${lines.join('')}\n` +
    `Totals:\n    Hits: ${all}\n    Entries: ${rows.length}\n    Dropped: ${dropped}\n`
  );
}

function keyText(key: string, value: number): string {
  if (key.endsWith('.hex')) return BigInt(value).toString(16);
  if (key.endsWith('.log2')) return `~ 2^${String(value).padEnd(2)}`;
  return number(value);
}

function number(value: number): string {
  return String(BigInt(value)).padStart(10);
}
