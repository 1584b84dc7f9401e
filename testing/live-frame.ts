import type { Daemon } from './daemon.ts';
import { PATIENCE_MS } from './patience.ts';

/**
 * Follows the stream of the live page until a frame of this event is the wanted one.
 *
 * @param query of the address, such as the VM
 * @throws Error if there is none in time
 */
export async function liveFrame<T>(
  daemon: Daemon,
  event: string,
  query: Readonly<Record<string, string>>,
  isWanted: (data: T) => boolean,
  withinMs = PATIENCE_MS,
): Promise<T> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(withinMs)]);
  const url = `${daemon.url}/api/v1/live?${new URLSearchParams(query)}`;
  const { body } = await fetch(url, { signal });
  try {
    let rest = '';
    for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const frames = (rest + chunk).split('\n\n');
      rest = frames.pop() ?? '';
      for (const frame of frames) {
        const [head = '', ...lines] = frame.split('\n');
        if (head !== `event: ${event}`) continue;
        const data = JSON.parse(lines.join('').replace(/^data: /, '')) as T;
        if (isWanted(data)) return data;
      }
    }
  } finally {
    stop.abort();
  }
  throw new Error(`the stream of ${url} ended without the wanted ${event}`);
}
