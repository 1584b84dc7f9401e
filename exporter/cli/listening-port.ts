import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The members of ChildProcess that are needed. */
interface Program {
  readonly pid?: number | undefined;
  readonly exitCode: number | null;
  readonly signalCode: NodeJS.Signals | null;
}

const POLL_MS = 20;
const LISTEN = '0A';

/**
 * The TCP port of a program that was started with port 0. A port chosen in advance may be taken by the time
 * the program listens on it.
 *
 * @returns undefined if the program exits before it listens
 * @throws Error if the program does not listen in time
 */
export async function listeningPort(child: Program, withinMs = 60_000): Promise<number | undefined> {
  for (const deadline = performance.now() + withinMs; ; await sleep(POLL_MS)) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return undefined;
    const port = portOf(child.pid);
    if (port !== undefined) return port;
    if (performance.now() > deadline)
      throw new Error(`process ${child.pid} did not listen on a TCP port in ${withinMs} ms`);
  }
}

/** The first TCP port on which the process listens. */
export function portOf(pid: number): number | undefined {
  try {
    const sockets = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => socketInode(`/proc/${pid}/fd/${fd}`)));
    const rows = readFileSync(`/proc/${pid}/net/tcp`, 'latin1').split('\n');
    for (const row of rows) {
      const [, address = '', , state, , , , , , inode] = row.trim().split(/\s+/);
      if (state === LISTEN && sockets.has(inode)) return Number.parseInt(address.split(':')[1] ?? '', 16);
    }
  } catch {
    // The process has exited.
  }
  return undefined;
}

function socketInode(path: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(path))?.[1];
  } catch {
    // The descriptor was closed after readdir.
    return undefined;
  }
}
