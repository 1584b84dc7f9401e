import { constants } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { SourceError, sourceError } from './errors.ts';

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
  return walking(root, async (walk) => {
    await walk.to(path, 'links');
    if (!(await walk.here.stat()).isFile()) throw new SourceError('failed', path, 'is no regular file');
    return open(walk.at, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  });
}

/**
 * The kind of entry at a path in a folder: a regular file, nothing, or something else. A symbolic link on the path
 * inside the folder is something else. Opens nothing for reading.
 *
 * @param folder a directory below `root`; links on its own path stay below `root`
 * @throws an error of node:fs if there is no such folder
 */
export async function kindBelow(root: string, folder: string, path: string): Promise<FileKind> {
  return walking(root, async (walk) => {
    await walk.to(folder, 'links');
    try {
      await walk.to(path, 'no links');
    } catch (error) {
      return sourceError(error, path).code === 'ENOENT' ? 'absent' : 'other';
    }
    return (await walk.here.stat()).isFile() ? 'file' : 'other';
  });
}

export type FileKind = 'file' | 'absent' | 'other';

async function walking<T>(root: string, use: (walk: Walk) => Promise<T>): Promise<T> {
  const walk = new Walk(await open(root, O_PATH | constants.O_DIRECTORY));
  try {
    return await use(walk);
  } finally {
    await walk.end();
  }
}

/** The directories from the root to the current place, all held open. */
class Walk {
  readonly #held: FileHandle[];
  #steps = 0;
  #links = 0;

  constructor(private readonly root: FileHandle) {
    this.#held = [root];
  }

  get here(): FileHandle {
    return this.#held.at(-1) ?? this.root;
  }

  get at(): string {
    return `/proc/self/fd/${this.here.fd}`;
  }

  async to(path: string, links: 'links' | 'no links'): Promise<void> {
    const rest = path.split('/').reverse();
    while (rest.length > 0) {
      const name = rest.pop() ?? '';
      if (++this.#steps > MAX_STEPS) throw new SourceError('failed', path, 'a path of too many parts');
      if (name === '' || name === '.') continue;
      if (name === '..') {
        await this.#leave(Math.max(1, this.#held.length - 1));
        continue;
      }
      const step = await open(`${this.at}/${name}`, NO_FOLLOW);
      this.#held.push(step);
      if (!(await step.stat()).isSymbolicLink()) continue;
      await this.#leave(this.#held.length - 1);
      if (links === 'no links' || ++this.#links > MAX_LINKS)
        throw new SourceError('failed', path, 'too many links');
      const target = await readlink(`${this.at}/${name}`);
      if (target.startsWith('/')) await this.#leave(1);
      rest.push(...target.split('/').reverse());
    }
  }

  async end(): Promise<void> {
    await this.#leave(0);
  }

  async #leave(depth: number): Promise<void> {
    for (const handle of this.#held.splice(depth)) await handle.close();
  }
}
