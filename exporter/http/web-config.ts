import { dirname, resolve } from 'node:path';
import { createSecureContext, type SecureVersion } from 'node:tls';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { ConfigError } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import { readNamedFile } from '../config/read-file.ts';

const TLS_VERSIONS = { TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' } as const satisfies Record<string, SecureVersion>;

const path = z.string({ error: 'give a path' }).min(1, { error: 'give a path' });
const version = z.enum(['TLS12', 'TLS13'], { error: 'give TLS12 or TLS13' });

const tlsServerConfig = z.strictObject({
  cert_file: path,
  key_file: path,
  client_ca_file: path.optional(),
  // The modes in between request a client certificate but do not enforce it, which would give false security.
  client_auth_type: z
    .enum(['NoClientCert', 'RequireAndVerifyClientCert'], {
      error: 'give NoClientCert or RequireAndVerifyClientCert',
    })
    .default('NoClientCert'),
  min_version: version.default('TLS12'),
  max_version: version.optional(),
});

const schema = z.strictObject({
  tls_server_config: tlsServerConfig
    // Without client_ca_file, Go's servers accept any certificate signed by one of the system's CAs.
    .refine((tls) => tls.client_auth_type === 'NoClientCert' || tls.client_ca_file !== undefined, {
      path: ['client_ca_file'],
      error: 'client_auth_type needs it: give a path',
    })
    .refine((tls) => tls.client_ca_file === undefined || tls.client_auth_type !== 'NoClientCert', {
      path: ['client_auth_type'],
      error: 'client_ca_file is not used without it: give RequireAndVerifyClientCert',
    })
    .optional(),
  basic_auth_users: z
    .record(
      z.string(),
      z
        .string({ error: 'give a bcrypt hash' })
        .regex(/^\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/, {
          error: 'give a bcrypt hash, as htpasswd -nBC 10 USER prints it',
        }),
      { error: 'give users and their bcrypt hashes' },
    )
    .optional(),
});

export interface TlsOptions {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
  /** Only clients with a certificate signed by `ca` are accepted. */
  readonly requestCert: boolean;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion | undefined;
}

export interface WebConfig {
  readonly tls: TlsOptions | undefined;
  /** bcrypt hashes by user. */
  readonly users: ReadonlyMap<string, string>;
}

export const OPEN: WebConfig = { tls: undefined, users: new Map() };

/**
 * Reads a web configuration file in the format of the Prometheus exporters. Paths in it are relative to the
 * file.
 *
 * @see https://prometheus.io/docs/prometheus/latest/configuration/https/
 * @throws ConfigError
 */
export function readWebConfig(file: string): WebConfig {
  let document: unknown;
  try {
    document = parseYaml(readNamedFile(file).toString('utf8'), { maxAliasCount: 0, logLevel: 'error' });
  } catch (error) {
    throw new ConfigError(
      `--web.config.file: cannot use ${file}: ${String((error as Error).message).split('\n')[0]}`,
    );
  }
  const result = schema.safeParse(document ?? {});
  if (!result.success) {
    throw new ConfigError(`--web.config.file: ${file}: ${sentenceOn(result.error.issues[0])}`);
  }
  const { tls_server_config: tls, basic_auth_users: users } = result.data;
  return {
    users: new Map(Object.entries(users ?? {})),
    tls: tls === undefined ? undefined : readTls(file, tls),
  };
}

/** Never quotes the value: an invalid bcrypt hash may be a plain-text password. */
function sentenceOn(issue: z.core.$ZodIssue | undefined): string {
  const where = issue?.path.join('.') || 'the document';
  if (issue?.code !== 'unrecognized_keys') return `${where}: ${issue?.message}`;
  const [key = ''] = issue.keys;
  const known = Object.keys(issue.path.length === 0 ? schema.shape : tlsServerConfig.shape);
  return `${where}: unknown key ${JSON.stringify(key)}${didYouMean(key, known)}`;
}

type TlsServerConfig = NonNullable<z.infer<typeof schema>['tls_server_config']>;

function readTls(webConfig: string, config: TlsServerConfig): TlsOptions {
  const read = (key: 'cert_file' | 'key_file' | 'client_ca_file', name: string): Buffer => {
    try {
      return readNamedFile(resolve(dirname(webConfig), name));
    } catch (error) {
      throw new ConfigError(
        `--web.config.file: ${webConfig}: tls_server_config.${key}: cannot read ${name}: ${(error as Error).message}`,
      );
    }
  };
  const tls: TlsOptions = {
    cert: read('cert_file', config.cert_file),
    key: read('key_file', config.key_file),
    ca: config.client_ca_file === undefined ? undefined : read('client_ca_file', config.client_ca_file),
    requestCert: config.client_auth_type !== 'NoClientCert',
    minVersion: TLS_VERSIONS[config.min_version],
    maxVersion: config.max_version === undefined ? undefined : TLS_VERSIONS[config.max_version],
  };
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new ConfigError(
      `--web.config.file: ${webConfig}: tls_server_config: not a usable certificate and key: ${(error as Error).message}`,
    );
  }
  return tls;
}
