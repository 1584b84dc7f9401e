import { createHmac, randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import basicAuth from 'basic-auth';
import { compare } from 'bcryptjs';
import type { RequestHandler } from 'express';

/** bcrypt is slow on purpose: who came in once is remembered, by a digest of user, password and hash. */
const MAX_REMEMBERED = 100;
/** Comparisons that may wait for their turn; a flood of wrong passwords must not keep the daemon from its work. */
const MAX_WAITING = 16;
/** The rest after a wrong password, in times of what the comparison took: guessing gets a fifth of the daemon's time. */
const REST = 4;

/** Basic authentication; lets everyone in while there are no users. */
export function authentication(users: () => ReadonlyMap<string, string>): RequestHandler {
  const secret = randomBytes(32);
  const remembered = new Set<string>();
  const underWay = new Map<string, Promise<boolean>>();
  let last: Promise<unknown> = Promise.resolve();

  return async (request, response, next) => {
    const known = users();
    if (known.size === 0) return next();
    const given = basicAuth(request);
    const answer = given === undefined ? false : await judge(known, given.name, given.pass);
    if (answer === true) return next();
    if (answer === 'busy') {
      response.status(503).set('Retry-After', '1').type('text').send('Too many logins at a time.\n');
      return;
    }
    response
      .status(401)
      .set('WWW-Authenticate', 'Basic realm="kvm-telemetry", charset="UTF-8"')
      .type('text')
      .send('Unauthorized.\n');
  };

  /** One comparison at a time: bcrypt in JavaScript keeps everything else waiting. */
  function compareInTurn(password: string, hash: string): Promise<boolean> {
    const comparison = last.then(async () => {
      const start = performance.now();
      const right = await compare(password, hash);
      return { right, pauseMs: right ? 0 : (performance.now() - start) * REST };
    });
    last = comparison.then(
      ({ pauseMs }) => setTimeout(pauseMs),
      () => undefined,
    );
    return comparison.then(({ right }) => right);
  }

  async function judge(
    known: ReadonlyMap<string, string>,
    user: string,
    password: string,
  ): Promise<boolean | 'busy'> {
    // An unknown user's password is compared too, so that the time taken does not tell who exists.
    const [decoy = ''] = known.values();
    const hash = known.get(user);
    const key = createHmac('sha256', secret)
      .update(JSON.stringify([user, password, hash]))
      .digest('base64');
    if (remembered.has(key)) return true;
    const same = underWay.get(key);
    if (same !== undefined) return same;
    if (underWay.size >= MAX_WAITING) return 'busy';

    const comparison = compareInTurn(password, hash ?? decoy).then((right) => right && hash !== undefined);
    underWay.set(key, comparison);
    try {
      const right = await comparison;
      if (right) remember(key);
      return right;
    } finally {
      underWay.delete(key);
    }
  }

  function remember(key: string): void {
    remembered.add(key);
    const [oldest] = remembered;
    if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
  }
}
