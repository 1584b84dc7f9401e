import { spawn } from 'node:child_process';

/**
 * Converts a file to blocks of Prometheus' TSDB: a folder for `--storage.tsdb.path`.
 * @returns false if promtool is not installed
 * @throws Error with promtool's message
 */
export async function createBlocks(file: string, folder: string): Promise<boolean> {
  const child = spawn('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', '-q', file, folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // Kill promtool before the folder that it writes to is removed.
  const kill = (): void => void child.kill('SIGKILL');
  process.prependOnceListener('exit', kill);
  child.once('close', () => process.off('exit', kill));
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? resolve(false) : reject(error),
    );
    child.once('close', (code) => (code === 0 ? resolve(true) : reject(new Error(`promtool: ${errors}`))));
  });
}
