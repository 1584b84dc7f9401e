import { z } from 'zod';
import { printable } from '../../probes/printable.ts';
import { type ListenAddress, parseListenAddress } from '../config/addresses.ts';
import type { Config } from '../config/options.ts';
import { causesInWords, restInWords, worseningInWords } from '../page/browser/causes-in-words.ts';
import { clock } from '../page/browser/format.ts';
import type { LiveCauses } from '../page/live.ts';
import { HttpClient, RequestError } from '../prometheus/request.ts';

const TIMEOUT_MS = 3000;
const MAX_BYTES = 256 * 1024;
/** Addresses to listen on that a client cannot connect to. */
const ALL: ReadonlySet<string | undefined> = new Set([undefined, '0.0.0.0', '::']);

/** Another program may listen on the address. */
const CAUSES = z.object({
  vm: z.string(),
  pid: z.string().nullable(),
  isKnown: z.boolean(),
  worsening: z
    .object({ metric: z.enum(['iops', 'latency']), from: z.number(), to: z.number(), since: z.number() })
    .optional(),
  causes: z.array(
    z.object({
      cause: z.string(),
      before: z.number().nullable(),
      after: z.number().nullable(),
      unit: z.string().nullable(),
      explains: z.number(),
      text: z.string(),
    }),
  ),
  unknown: z.array(z.string()),
}) satisfies z.ZodType<LiveCauses>;

/** The daemon's answer on a VM, or the reason why there is none. */
export type Asked = LiveCauses | { readonly problem: string };

/**
 * Queries the daemon for the causes of slower I/O, because only the daemon has the last hour.
 *
 * @param pid of the VM. The daemon may watch another host, or the VM may have started again
 */
export async function askForCauses(config: Config, vm: string, pid: number): Promise<Asked> {
  const [address = ''] = config['web.listenAddress'];
  const listens = parseListenAddress(address);
  if (listens === undefined || listens.port === 0) return { problem: 'the daemon has no fixed address' };
  const url = `http://${hostOf(listens)}:${listens.port}`;
  const fix = 'start kvm-telemetry serve, or give its --web.listen-address';
  const client = new HttpClient();
  try {
    const { status, text } = await client.call({
      url: `${url}/api/v1/causes?vm=${encodeURIComponent(vm)}`,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
    if (status === 401) return { problem: `the daemon at ${url} wants a login: open its page` };
    if (status !== 200) return { problem: `the daemon at ${url} responds with HTTP ${status}` };
    const found: LiveCauses = CAUSES.parse(JSON.parse(text));
    if (found.pid !== String(pid)) return { problem: `the daemon at ${url} does not know this VM yet` };
    return found;
  } catch (error) {
    if (error instanceof RequestError) return { problem: `no daemon at ${url} (${error.message}): ${fix}` };
    if (error instanceof SyntaxError || error instanceof z.ZodError)
      return { problem: `${url} is no kvm-telemetry: ${fix}` };
    throw error;
  } finally {
    client.close();
  }
}

function hostOf({ host }: ListenAddress): string {
  if (host === undefined || ALL.has(host)) return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

/** The end of the report of `doctor --vm`. */
export function causesText(asked: Asked): string {
  if ('problem' in asked)
    return `causes    unknown, the daemon has the last hour: ${printable(asked.problem)}`;
  const rest = restInWords(asked);
  const causes = causesInWords(asked).map(
    ({ name, share, text }, i) => `  ${i + 1}. ${name}, ${share} of the loss: ${text}`,
  );
  return [
    `causes    ${worseningInWords(asked, clock)}`,
    ...(causes.length === 0 ? [] : ['          changed in the same minutes, strongest first:', ...causes]),
    ...(rest === undefined ? [] : [`          ${rest}`]),
  ]
    .map(printable)
    .join('\n');
}
