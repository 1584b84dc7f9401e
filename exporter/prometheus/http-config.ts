import { dirname, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { ConfigError, notYaml } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import { readNamedFile } from '../config/read-file.ts';

/** The login to a server. Contains secrets: never log it. */
export interface HttpConfig {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: {
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
    readonly servername?: string;
  };
}

const word = z.string().min(1).max(4096);
const header = z.strictObject({
  values: z.array(word).max(1).optional(),
  files: z.array(word).max(1).optional(),
});
/** As in https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config. */
const schema = z.strictObject({
  basic_auth: z
    .strictObject({ username: word, password: word.optional(), password_file: word.optional() })
    .optional(),
  authorization: z
    .strictObject({
      type: word.default('Bearer'),
      credentials: word.optional(),
      credentials_file: word.optional(),
    })
    .optional(),
  bearer_token_file: word.optional(),
  http_headers: z.record(z.string().regex(/^[\w-]{1,100}$/), header).optional(),
  tls_config: z
    .strictObject({
      ca_file: word.optional(),
      cert_file: word.optional(),
      key_file: word.optional(),
      server_name: word.optional(),
    })
    .optional(),
});
type Parsed = z.infer<typeof schema>;

/**
 * Reads a file with the keys of Prometheus' `http_config`. Paths in it are relative to the file. @throws ConfigError
 */
export function readHttpConfig(path: string): HttpConfig {
  const parsed = parse(textAt('--http.config.file', path), path);
  const read = (key: string, file: string): Buffer =>
    bytesAt(`${path}: ${key}`, resolve(dirname(path), file));
  const secret = (key: string, given: string | undefined, file: string | undefined): string => {
    if (given !== undefined && file !== undefined)
      throw new ConfigError(`${path}: ${key} is set twice: give ${key} or ${key}_file`);
    if (given !== undefined) return given;
    if (file === undefined) throw new ConfigError(`${path}: ${key} is missing: give ${key}_file`);
    return read(`${key}_file`, file).toString().trim();
  };
  const headers = { ...headersOf(parsed, read), ...loginOf(parsed, path, secret) };
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\x20-\x7e]*$/.test(value))
      throw new ConfigError(`${path}: the value of ${name} has characters that HTTP does not allow`);
  }
  return { headers, tls: tlsOf(parsed, path, read) };
}

function parse(text: string, path: string): Parsed {
  let document: unknown;
  try {
    document = parseYaml(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch (error) {
    throw new ConfigError(`${path}: ${notYaml(error)}`);
  }
  const { success, data, error } = schema.safeParse(document ?? {});
  if (success) return data;
  const issue = error.issues[0];
  const [name = ''] = issue?.code === 'unrecognized_keys' ? issue.keys : [];
  if (name === 'insecure_skip_verify')
    throw new ConfigError(`${path}: insecure_skip_verify is not supported: give ca_file`);
  const where = issue?.path.join('.') || 'the document';
  if (name !== '') {
    const known = Object.keys(schema.shape);
    throw new ConfigError(`${path}: ${where}: unknown key ${JSON.stringify(name)}${didYouMean(name, known)}`);
  }
  throw new ConfigError(
    `${path}: ${where} is not usable: see http_config in the documentation of Prometheus`,
  );
}

type Read = (key: string, file: string) => Buffer;

function loginOf(
  { basic_auth, authorization, bearer_token_file }: Parsed,
  path: string,
  secret: (key: string, given: string | undefined, file: string | undefined) => string,
): Record<string, string> {
  if ([basic_auth, authorization, bearer_token_file].filter((each) => each !== undefined).length > 1)
    throw new ConfigError(`${path}: give one of basic_auth, authorization and bearer_token_file`);
  if (basic_auth !== undefined) {
    const password = secret('password', basic_auth.password, basic_auth.password_file);
    return { Authorization: `Basic ${Buffer.from(`${basic_auth.username}:${password}`).toString('base64')}` };
  }
  if (bearer_token_file !== undefined)
    return { Authorization: `Bearer ${secret('bearer_token', undefined, bearer_token_file)}` };
  if (authorization === undefined) return {};
  const { type, credentials, credentials_file } = authorization;
  return { Authorization: `${type} ${secret('credentials', credentials, credentials_file)}` };
}

function headersOf({ http_headers = {} }: Parsed, read: Read): Record<string, string> {
  return Object.fromEntries(
    Object.entries(http_headers).flatMap(([name, { values = [], files = [] }]) => {
      const given = [...values, ...files.map((file) => read(`http_headers.${name}`, file).toString().trim())];
      return given.length === 0 ? [] : [[name, given[0] ?? '']];
    }),
  );
}

function tlsOf({ tls_config: tls = {} }: Parsed, path: string, read: Read): HttpConfig['tls'] {
  const { ca_file, cert_file, key_file, server_name } = tls;
  if ((cert_file === undefined) !== (key_file === undefined))
    throw new ConfigError(`${path}: tls_config: give cert_file and key_file together`);
  return {
    ...(ca_file !== undefined && { ca: read('ca_file', ca_file) }),
    ...(cert_file !== undefined && { cert: read('cert_file', cert_file) }),
    ...(key_file !== undefined && { key: read('key_file', key_file) }),
    ...(server_name !== undefined && { servername: server_name }),
  };
}

function textAt(what: string, path: string): string {
  return bytesAt(what, path).toString('utf8');
}

function bytesAt(what: string, path: string): Buffer {
  try {
    return readNamedFile(path);
  } catch (error) {
    throw new ConfigError(`${what}: cannot read ${path}: ${(error as Error).message}`);
  }
}
