import type { TracefsWriter } from '../../exporter/trace/writer.ts';
import { sourceError } from '../../probes/errors.ts';
import type { Tracefs } from '../simhost/trace/tracefs.ts';

/**
 * Writes to a simulated tracefs. Commands take effect before the call returns, and fail as in the kernel.
 *
 * @param root of tracefs in the paths
 */
export function writerFor(tracefs: () => Tracefs, root: string): TracefsWriter {
  const nameOf = (path: string): string => path.slice(root.length + 1);
  const instanceOf = (path: string): string => nameOf(path).replace('instances/', '');
  const done = async (path: string, work: (tracefs: Tracefs) => void): Promise<void> => {
    try {
      work(tracefs());
    } catch (error) {
      throw sourceError(error, path);
    }
  };
  return {
    makeDirectory: (path) => done(path, (it) => it.makeInstance(instanceOf(path))),
    removeDirectory: (path) => done(path, (it) => it.removeInstance(instanceOf(path))),
    append: (path, line) => done(path, (it) => it.append(nameOf(path), line)),
  };
}
