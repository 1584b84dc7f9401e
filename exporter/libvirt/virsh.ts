import { execFile } from 'node:child_process';
import { SourceError, sourceError } from '../../probes/errors.ts';

/** 500 domains with 16 vCPUs each print 40 MB. */
const MAX_OUTPUT = 128 * 1024 * 1024;

const ARGUMENTS = [
  'domstats',
  '--raw',
  '--nowait',
  '--state',
  '--vcpu',
  '--block',
  '--iothread',
  '--list-active',
];

/**
 * One `virsh domstats` for all domains, over a connection that can only read. `--nowait` leaves out what a busy domain
 * cannot tell at once. A libvirtd that hangs makes virsh hang: it is killed when its time is up.
 *
 * @throws SourceError absent (no virsh), timeout, too_large, failed
 */
export function domstats(uri: string, timeoutMs: number): Promise<string> {
  const args = ['--quiet', '--readonly', '--connect', uri, ...ARGUMENTS];
  // Words of the answer depend on the language; nothing else of the environment is virsh's business.
  const options = {
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT,
  } as const;
  return new Promise((resolve, reject) => {
    execFile('virsh', args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (String(error.code) === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
        reject(new SourceError('too_large', uri, `virsh printed over ${MAX_OUTPUT} bytes`));
      else if (error.killed === true)
        reject(new SourceError('timeout', uri, `libvirt gave no answer in ${timeoutMs} ms`));
      else if (error.code === 'ENOENT') reject(new SourceError('absent', 'virsh', 'not installed'));
      else if (error.code === 'EMFILE' || error.code === 'ENFILE') reject(sourceError(error, 'virsh'));
      else
        reject(new SourceError('failed', uri, firstLine(stderr) || `virsh: ${error.message.slice(0, 200)}`));
    });
  });
}

function firstLine(text: string): string {
  return (/^\s*(.{0,200})/.exec(text)?.[1] ?? '').trim();
}
