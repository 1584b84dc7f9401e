import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { SecureVersion } from 'node:tls';
import basicAuth from 'basic-auth';
import { compare } from 'bcryptjs';
import type { RequestHandler } from 'express';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { ConfigError } from './load.ts';

const TLS_VERSIONS = { TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' } as const satisfies Record<string, SecureVersion>;

const schema = z.strictObject({
  tls_server_config: z
    .strictObject({
      cert_file: z.string(),
      key_file: z.string(),
      client_ca_file: z.string().optional(),
      // The modes in between ask for a certificate and do not insist: they would promise what they do not keep.
      client_auth_type: z.enum(['NoClientCert', 'RequireAndVerifyClientCert']).default('NoClientCert'),
      min_version: z.enum(['TLS12', 'TLS13']).default('TLS12'),
    })
    .optional(),
  basic_auth_users: z.record(z.string(), z.string().regex(/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/)).optional(),
});

export interface TlsOptions {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
  /** Only clients with a certificate of `ca` get in. */
  readonly requestCert: boolean;
  readonly minVersion: SecureVersion;
}

export interface WebConfig {
  readonly tls: TlsOptions | undefined;
  /** bcrypt hashes by user. */
  readonly users: ReadonlyMap<string, string>;
}

export const OPEN: WebConfig = { tls: undefined, users: new Map() };

/**
 * Reads a web configuration file, as all Prometheus exporters take it; paths in it are relative to the file.
 *
 * @see https://prometheus.io/docs/prometheus/latest/configuration/https/
 * @throws ConfigError
 */
export function readWebConfig(path: string): WebConfig {
  let document: unknown;
  try {
    document = parseYaml(readFileSync(path, 'utf8'), { maxAliasCount: 0 });
  } catch (error) {
    throw new ConfigError(
      `--web.config: cannot use ${path}: ${String((error as Error).message).split('\n')[0]}`,
    );
  }
  const result = schema.safeParse(document ?? {});
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new ConfigError(`--web.config: ${path}: ${issue?.path.join('.') || 'document'}: ${issue?.message}`);
  }
  const { tls_server_config: tls, basic_auth_users: users } = result.data;
  const file = (name: string): Buffer => {
    try {
      return readFileSync(resolve(dirname(path), name));
    } catch (error) {
      throw new ConfigError(`--web.config: cannot read ${name}: ${(error as NodeJS.ErrnoException).code}`);
    }
  };
  return {
    users: new Map(Object.entries(users ?? {})),
    tls:
      tls === undefined
        ? undefined
        : {
            cert: file(tls.cert_file),
            key: file(tls.key_file),
            ca: tls.client_ca_file === undefined ? undefined : file(tls.client_ca_file),
            requestCert: tls.client_auth_type !== 'NoClientCert',
            minVersion: TLS_VERSIONS[tls.min_version],
          },
  };
}

/** bcrypt is slow on purpose: who came in once is remembered, by a digest of user, password and hash. */
const MAX_REMEMBERED = 100;
/** Compared for an unknown user, so that the time taken does not tell who exists. */
const NOBODY = `$2b$10$${'.'.repeat(53)}`;

/** Basic authentication; lets everyone in where there are no users. */
export function authentication(users: ReadonlyMap<string, string>): RequestHandler {
  const remembered: Buffer[] = [];
  return async (request, response, next) => {
    if (users.size === 0) return next();
    const given = basicAuth(request);
    if (given !== undefined && (await isRight(given.name, given.pass))) return next();
    response
      .status(401)
      .set('WWW-Authenticate', 'Basic realm="kvm-telemetry"')
      .type('text')
      .send('Unauthorized.\n');
  };

  async function isRight(user: string, password: string): Promise<boolean> {
    const hash = users.get(user) ?? NOBODY;
    const digest = createHash('sha256').update(`${user}\0${password}\0${hash}`).digest();
    if (remembered.some((known) => timingSafeEqual(known, digest))) return true;
    const right = (await compare(password, hash)) && users.has(user);
    if (right) {
      remembered.push(digest);
      if (remembered.length > MAX_REMEMBERED) remembered.shift();
    }
    return right;
  }
}
