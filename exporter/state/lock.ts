import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

const WAIT_SECONDS = 30;
/** The lock's descriptor in the child process: the first after the standard streams. */
const LOCK_FD = 3;

/**
 * Runs `work` under an exclusive lock on the directory. The lock is flock(2): the kernel releases it when the
 * holder exits for any reason. Node.js has no flock(), so flock(1) takes the lock on an open file that it
 * inherits and shares with this process.
 *
 * @throws Error with the reason if the lock is not available
 */
export async function withLock<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const path = join(directory, '.lock');
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    await lock(file, path);
    return await work();
  } finally {
    await file.close();
  }
}

function lock(file: FileHandle, path: string): Promise<void> {
  const args = ['--exclusive', '--timeout', String(WAIT_SECONDS), String(LOCK_FD)];
  const child = spawn('flock', args, { stdio: ['ignore', 'ignore', 'ignore', file.fd] });
  return new Promise((resolve, reject) => {
    child.once('error', ({ code }: NodeJS.ErrnoException) => {
      reject(
        new Error(code === 'ENOENT' ? 'flock is missing: apt-get install util-linux' : `flock: ${code}`),
      );
    });
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else if (code === 1) reject(new Error(`another process has held ${path} for ${WAIT_SECONDS} s`));
      else reject(new Error(`flock cannot lock ${path} (exit ${code})`));
    });
  });
}
