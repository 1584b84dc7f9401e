import { fstatSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** Destination of log lines. write() never blocks on the reader. */
export interface LogDestination {
  write(text: string): void;
  /** Flushes pending lines. Waits at most this long for a slow reader. */
  end(withinMs: number): Promise<void>;
}

const NEWLINE = 0x0a;
/** Bytes buffered for a slow reader. Further lines are dropped. */
const MAX_PENDING = 256 * 1024;

/**
 * Opens a log destination. Pipes and sockets, such as systemd's journal, are written without blocking: a
 * stalled reader must not stall the daemon or its shutdown. Files and terminals are written synchronously.
 *
 * @param onDropped called with the number of lines that were dropped
 */
export function logDestination(fd: number, onDropped: (lines: number) => void): LogDestination {
  const kind = fstatSync(fd);
  return kind.isFIFO() || kind.isSocket() ? toPipe(fd, onDropped) : toFile(fd, onDropped);
}

function toPipe(fd: number, onDropped: (lines: number) => void): LogDestination {
  const socket = new Socket({ fd, readable: false, writable: true });
  // A closed reader, such as a restarted journal, must not terminate the daemon.
  socket.on('error', () => socket.destroy());
  return {
    write(text) {
      if (socket.writable && socket.writableLength + text.length <= MAX_PENDING) socket.write(text);
      else onDropped(1);
    },
    async end(withinMs) {
      if (!socket.destroyed && socket.writableLength > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, withinMs);
          const done = (): void => {
            clearTimeout(timer);
            resolve();
          };
          socket.once('drain', done);
          socket.once('close', done);
        });
      }
      socket.destroy();
    },
  };
}

function toFile(fd: number, onDropped: (lines: number) => void): LogDestination {
  /** The disk became full within a line: the next one must not continue it. */
  let isTorn = false;
  return {
    write(text) {
      const line = Buffer.from(isTorn ? `\n${text}` : text);
      let written = 0;
      try {
        written = writeSync(fd, line);
      } catch {
        // For example because the disk is full.
      }
      if (written > 0) isTorn = line[written - 1] !== NEWLINE;
      if (written < line.length) onDropped(1);
    },
    end: () => Promise.resolve(),
  };
}
