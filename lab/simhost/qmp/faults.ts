import type { Socket } from 'node:net';
import type { QmpFault } from './server.ts';

const ignore = (): void => undefined;

/** Accepts the connection and sends nothing, as QEMU does while another client holds the monitor. */
export const NO_GREETING: QmpFault = { onConnect: ignore };

/** Sends its greeting and executes no command. */
export const IGNORES_COMMANDS: QmpFault = { onCommand: ignore };

/** Sends nothing at all. */
export const HANGS: QmpFault = { ...NO_GREETING, ...IGNORES_COMMANDS };

/** Sends this text in place of its greeting. */
export function greets(text: string): QmpFault {
  return { onConnect: (client) => client.write(text) };
}

/** Sends this text in place of its greeting, and closes the connection. */
export function hangsUp(text = ''): QmpFault {
  return { onConnect: (client) => client.end(text) };
}

/** Closes the connection at the first command. */
export const CLOSES: QmpFault = { onCommand: (client) => client.end() };

/** Sends this line in place of each reply, one byte per character. @param id JSON of the request's id */
export function replies(line: (id: string) => string): QmpFault {
  return {
    onCommand: (client, { id }) => client.write(Buffer.from(`${line(JSON.stringify(id))}\n`, 'latin1')),
  };
}

/** Closes the connection in the middle of a reply. */
export const HALF_A_REPLY: QmpFault = {
  onCommand: (client, { id }) => client.end(`{"return": {"UUID": "1"}, "id": ${JSON.stringify(id)}`),
};

/** Sends each reply this much too late. */
export function late(ms: number): QmpFault {
  return { onCommand: (_client, _request, reply) => void setTimeout(reply, ms).unref() };
}

/** Sends this text over and over in place of a reply. */
export function floods(text: string | Buffer): QmpFault {
  return { onCommand: (client) => void flood(client, text) };
}

/** Writes for as long as the client reads. @returns the bytes written */
export function flood(client: Socket, text: string | Buffer, limit = Infinity): { written: number } {
  const total = { written: 0 };
  const more = (): void => {
    while (!client.destroyed && total.written < limit) {
      total.written += text.length;
      if (!client.write(text)) {
        client.once('drain', more);
        return;
      }
    }
  };
  more();
  return total;
}
