import { createHmac, randomBytes } from 'node:crypto';
import basicAuth from 'basic-auth';
import type { RequestHandler } from 'express';
import { compareInThread } from './bcrypt.ts';
import { LoginQueue, type Verdict } from './login-queue.ts';
import { peerOf } from './peer.ts';

/** bcrypt is slow by design, so successful logins are cached by a digest of user, password and hash. */
const MAX_REMEMBERED = 100;

export interface Authentication {
  readonly handler: RequestHandler;
  /** Answers pending logins and rejects all further ones. */
  close(): void;
}

/** Basic authentication. Accepts every request while no users are configured. */
export function authentication(
  users: () => ReadonlyMap<string, string>,
  queue = new LoginQueue(compareInThread),
): Authentication {
  const secret = randomBytes(32);
  const remembered = new Set<string>();

  const handler: RequestHandler = async (request, response, next) => {
    const known = users();
    if (known.size === 0) return next();
    const given = basicAuth(request);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const peer = peerOf(request.socket.remoteAddress);
    const answer =
      given === undefined ? false : await judge(known, given.name, given.pass, peer, gone.signal);
    if (response.destroyed) return;
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

  async function judge(
    known: ReadonlyMap<string, string>,
    user: string,
    password: string,
    peer: string,
    gone: AbortSignal,
  ): Promise<Verdict> {
    // Compare the password of an unknown user as well, so that the response time does not reveal which users
    // exist.
    const [decoy = ''] = known.values();
    const hash = known.get(user);
    const key = createHmac('sha256', secret)
      .update(JSON.stringify([user, password, hash]))
      .digest('base64');
    if (remembered.has(key)) return true;
    const verdict = await queue.ask(peer, key, { password, hash: hash ?? decoy }, gone);
    if (verdict !== true) return verdict;
    if (hash === undefined) return false;
    remember(key);
    return true;
  }

  function remember(key: string): void {
    remembered.add(key);
    const [oldest] = remembered;
    if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
  }

  return { handler, close: () => queue.close() };
}
