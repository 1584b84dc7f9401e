import { constants } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { SourceError } from './errors.ts';

/** include/uapi/asm-generic/fcntl.h; node:fs does not export it. */
const O_PATH = 0o10000000;
const NO_FOLLOW = O_PATH | constants.O_NOFOLLOW;
/** Linux's limit, MAXSYMLINKS. */
const MAX_LINKS = 40;
const MAX_STEPS = 512;

/**
 * Opens a regular file below `root` and never outside it. The owner of the tree may change it at any time, so
 * each step starts from a directory that is held open, and no step follows a symbolic link. The link's target
 * is walked like the path instead; an absolute target starts at `root`.
 *
 * @param root a directory, or the kernel's own link to one: `/proc/<pid>/root`
 * @throws SourceError failed if it is not a regular file; an error of node:fs if it does not exist
 */
export async function openBelow(root: string, path: string): Promise<FileHandle> {
  const held: FileHandle[] = [await open(root, O_PATH | constants.O_DIRECTORY)];
  const at = (): string => `/proc/self/fd/${held.at(-1)?.fd}`;
  const leave = async (depth: number): Promise<void> => {
    for (const handle of held.splice(depth)) await handle.close();
  };
  try {
    const rest = path.split('/').reverse();
    let links = 0;
    for (let steps = 0; rest.length > 0; steps++) {
      const name = rest.pop() ?? '';
      if (steps > MAX_STEPS) throw new SourceError('failed', path, 'a path of too many parts');
      if (name === '' || name === '.') continue;
      if (name === '..') {
        await leave(Math.max(1, held.length - 1));
        continue;
      }
      const step = await open(`${at()}/${name}`, NO_FOLLOW);
      held.push(step);
      if (!(await step.stat()).isSymbolicLink()) continue;
      await leave(held.length - 1);
      links++;
      if (links > MAX_LINKS) throw new SourceError('failed', path, 'too many links');
      const target = await readlink(`${at()}/${name}`);
      if (target.startsWith('/')) await leave(1);
      rest.push(...target.split('/').reverse());
    }
    if (!(await held.at(-1)?.stat())?.isFile()) throw new SourceError('failed', path, 'is no regular file');
    return await open(at(), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } finally {
    await leave(0);
  }
}
