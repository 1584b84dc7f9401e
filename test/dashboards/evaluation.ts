import { after, type TestContext } from 'node:test';
import { type HistoryServer, historyServer } from '../../testing/history.ts';
import { hasTool } from '../../testing/tools.ts';

/** When it begins, in seconds of the epoch. */
export const START = 1_760_000_400;
const HOSTS = [{ instance: 'sim-host:9954', scenario: 'evaluation', seed: 1 }] as const;

/**
 * The evaluation on one host, for the tests of a suite. The first test that needs it creates it; it is removed after
 * the last.
 *
 * @returns the server for the tests; undefined if Prometheus is not installed
 */
export function evaluationOnce(): (context: TestContext) => Promise<HistoryServer | undefined> {
  let made: Promise<HistoryServer> | undefined;
  const ends: (() => unknown)[] = [];
  after(async () => {
    for (const end of ends.reverse()) await end();
  });
  return async (context) => {
    if (!hasTool(context, 'promtool', 'prometheus') || !hasTool(context, 'prometheus', 'prometheus'))
      return undefined;
    made ??= historyServer({ after: (end) => ends.push(end) }, HOSTS, START);
    return made;
  };
}
