import { type EventQuery, type LoggedEvent, MAX_EVENTS } from '../assessment/event-log.ts';

type Query = Readonly<Record<string, unknown>>;

export const MAX_NAME = 512;
const DEFAULT_LIMIT = 100;

/** The parameters of `GET /api/v1/events`, or the error in them. */
export function eventQuery(query: Query): EventQuery | string {
  const wrong = wrongNames(query, ['vm', 'since', 'limit']) ?? wrongVm(query['vm']);
  if (wrong !== undefined) return wrong;
  const { vm, since, limit = String(DEFAULT_LIMIT) } = query as Readonly<Record<string, string | undefined>>;
  const from = since === undefined ? undefined : timeOf(since);
  if (Number.isNaN(from))
    return `since is "${since}": give seconds of the epoch, or a time such as 2026-11-27T04:00:00Z.`;
  const most = Number(limit);
  if (!/^\d+$/.test(limit) || most < 1 || most > MAX_EVENTS)
    return `limit is "${limit}": give a number from 1 to ${MAX_EVENTS}.`;
  return { vm, since: from, limit: most };
}

/** The parameters of `GET /api/v1/history`, or the error in them. */
export function historyQuery(query: Query): { readonly vm: string | undefined } | string {
  const wrong = wrongNames(query, ['vm']) ?? wrongVm(query['vm']);
  return wrong ?? { vm: query['vm'] as string | undefined };
}

/** The VM of `GET /api/v1/causes`, or the error in the parameters. */
export function causesQuery(query: Query): { readonly vm: string } | string {
  const wrong = wrongNames(query, ['vm']) ?? wrongVm(query['vm']);
  if (wrong !== undefined) return wrong;
  const { vm } = query;
  return typeof vm === 'string' ? { vm } : 'Give the name of a VM: ?vm=NAME.';
}

/** The response of `GET /api/v1/events`, oldest first. */
export function eventsJson(events: readonly LoggedEvent[]): object {
  return {
    events: events.map(({ id, at, vm, kind, what, evidence }) => ({
      id,
      time: new Date(at).toISOString(),
      vm,
      kind,
      what,
      evidence,
    })),
  };
}

function wrongNames(query: Query, known: readonly string[]): string | undefined {
  const name = Object.keys(query).find((each) => !known.includes(each));
  if (name !== undefined) return `"${name}" is not a parameter: use ${known.join(', ')}.`;
  const twice = known.find((each) => !['string', 'undefined'].includes(typeof query[each]));
  return twice === undefined ? undefined : `Give ${twice} once.`;
}

function wrongVm(vm: unknown): string | undefined {
  return typeof vm === 'string' && (vm === '' || vm.length > MAX_NAME)
    ? `vm is the name of a VM, up to ${MAX_NAME} characters.`
    : undefined;
}

/** Milliseconds of the epoch; NaN if the text is no time. The formats are those of Prometheus' API. */
function timeOf(text: string): number {
  if (/^\d{1,12}(\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
}
