import { fstatSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** Where log lines go. A write never waits for the reader. */
export interface LogDestination {
  write(text: string): void;
  /** Writes what is left, and waits for a reader that takes it no longer than this. */
  end(withinMs: number): Promise<void>;
}

/** What is kept for a reader that does not keep up; further lines are dropped. */
const MAX_PENDING = 256 * 1024;

/**
 * A pipe or socket, such as that of systemd's journal, is written without blocking: a reader that has stopped must neither
 * stall the daemon nor keep it from ending. Files and terminals are written at once.
 *
 * @param onDropped how many lines were lost, each time that lines are
 */
export function logDestination(fd: number, onDropped: (lines: number) => void): LogDestination {
  const kind = fstatSync(fd);
  return kind.isFIFO() || kind.isSocket() ? toPipe(fd, onDropped) : toFile(fd, onDropped);
}

function toPipe(fd: number, onDropped: (lines: number) => void): LogDestination {
  const socket = new Socket({ fd, readable: false, writable: true });
  // A reader that has gone, such as a journal that was started again, is no reason to end.
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
  return {
    write(text) {
      try {
        writeSync(fd, text);
      } catch {
        // Such as a full disk.
        onDropped(1);
      }
    },
    end: () => Promise.resolve(),
  };
}
