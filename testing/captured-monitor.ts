import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { netUnixText } from '../lab/simhost/files/process.ts';
import { QmpError, type Replies } from '../lab/simhost/qmp/server.ts';
import { ROOT } from './daemon.ts';
import { temporaryFolder } from './folder.ts';
import { qmpServer } from './qmp-server.ts';

const CAPTURES = `${ROOT}test/fixtures/hosts`;

/** QMP replies captured with the host. */
export function capturedReplies(host: string, moment: string, vm: string): Replies {
  const reply = (file: string): unknown =>
    (
      JSON.parse(readFileSync(join(CAPTURES, host, moment, 'qmp', vm, `${file}.json`), 'utf8')) as {
        return: unknown;
      }
    ).return;
  const queries = [
    'block',
    'blockstats',
    'cpus-fast',
    'iothreads',
    'name',
    'pci',
    'stats-schemas',
    'status',
    'uuid',
    'version',
  ];
  return {
    ...Object.fromEntries(queries.map((query) => [`query-${query}`, reply(`query-${query}`)])),
    'query-stats': ({ target }: { target: string }) => reply(`query-stats.${target}`),
    // Not captured: the reply of QEMU 7.2 for this command line.
    'qom-get': ({ path, property }: { path: string; property: string }) =>
      (path === '/machine/peripheral/vda'
        ? { 'num-queues': 2, iothread: '/objects/io0' }[property]
        : undefined) ?? new QmpError('GenericError', `Property '${property}' not found`),
  };
}

/**
 * A captured host whose VM has a QMP monitor that sends the captured replies.
 * @returns the path for `--path.rootfs`
 */
export async function withMonitor(
  context: Pick<TestContext, 'after'>,
  host: string,
  moment: string,
  vm: string,
): Promise<string> {
  const rootfs = temporaryFolder(context);
  cpSync(join(CAPTURES, host, moment), rootfs, { recursive: true, verbatimSymlinks: true });
  const socket = `/run/kvm-telemetry/qmp/${vm}.sock`;
  mkdirSync(join(rootfs, 'run/kvm-telemetry/qmp'), { recursive: true });
  const inode = heldSocket(rootfs);
  mkdirSync(join(rootfs, 'proc/1/net'), { recursive: true });
  writeFileSync(join(rootfs, 'proc/1/net/unix'), netUnixText([[socket, inode]]));
  await qmpServer(context, join(rootfs, socket), capturedReplies(host, moment, vm));
  return rootfs;
}

/** The inode of a socket that the captured QEMU has open. */
function heldSocket(rootfs: string): number {
  const proc = join(rootfs, 'proc');
  for (const pid of readdirSync(proc).filter((name) => existsSync(join(proc, name, 'fd')))) {
    for (const fd of readdirSync(join(proc, pid, 'fd'))) {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(join(proc, pid, 'fd', fd)))?.[1];
      if (inode !== undefined) return Number(inode);
    }
  }
  throw new Error('the captured QEMU holds no socket');
}
