import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { ConfigError } from '../../../exporter/config/load.ts';
import { createListener } from '../../../exporter/http/listener.ts';
import { readWebConfig } from '../../../exporter/http/web-config.ts';
import { Certificates } from '../../../testing/certificates.ts';
import { temporaryFolder } from '../../../testing/folder.ts';
import { hasTool, which } from '../../../testing/tools.ts';

const folder = temporaryFolder({ after });

function write(text: string): string {
  const path = join(folder, 'web.yml');
  writeFileSync(path, text);
  return path;
}

function mistake(text: string): string {
  try {
    readWebConfig(write(text));
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.doesNotMatch(error.message, /\n/);
    assert.ok(error.message.startsWith(`--web.config.file: `), error.message);
    return error.message;
  }
  return assert.fail('no error');
}

describe('users', () => {
  test("are read in exporter-toolkit's spelling, with every prefix of bcrypt", () => {
    const hash = hashSync('secret', 4);
    const { users, tls } = readWebConfig(
      write(`basic_auth_users:\n  alice: ${hash}\n  bob: ${hash.replace('$2b$', '$2y$')}\n`),
    );
    assert.deepEqual([...users.keys()], ['alice', 'bob']);
    assert.equal(tls, undefined);
  });

  test('an empty file requires no login', () => {
    assert.equal(readWebConfig(write('')).users.size, 0);
  });

  test('a password where its hash should be is refused and not repeated in the message', () => {
    const message = mistake('basic_auth_users: { alice: hunter2 }\n');
    assert.match(message, /basic_auth_users\.alice: give a bcrypt hash/);
    assert.doesNotMatch(message, /hunter2/);
  });

  test('a cost that bcrypt does not have is refused', () => {
    for (const cost of ['03', '32', '99']) {
      const hash = `$2b$${cost}$${'.'.repeat(53)}`;
      assert.match(mistake(`basic_auth_users: { alice: ${hash} }\n`), /give a bcrypt hash/);
    }
  });
});

describe('mistakes', () => {
  test('an unknown key is named', () => {
    assert.match(mistake('basic_auth_user: {}\n'), /unknown key "basic_auth_user"/);
    assert.match(
      mistake('tls_server_config: { cert_file: a, key_file: b, ciphers: [] }\n'),
      /tls_server_config: unknown key "ciphers"/,
    );
  });

  test('a missing key and a wrong type are named', () => {
    assert.match(
      mistake('tls_server_config: { cert_file: a }\n'),
      /tls_server_config\.key_file: give a path/,
    );
    assert.match(mistake('basic_auth_users: [alice]\n'), /basic_auth_users: give users/);
    assert.match(mistake('[]\n'), /the document: /);
    assert.match(mistake('a: {\n'), /cannot use .*web\.yml: /);
  });

  test('a mode that does not enforce a certificate is refused', () => {
    assert.match(
      mistake('tls_server_config: { cert_file: a, key_file: b, client_auth_type: RequestClientCert }\n'),
      /client_auth_type: give NoClientCert or RequireAndVerifyClientCert/,
    );
  });

  test('mutual TLS without an authority, or an authority without mutual TLS, is refused', () => {
    assert.match(
      mistake(
        'tls_server_config: { cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert }\n',
      ),
      /client_ca_file: .*give a path/,
    );
    assert.match(
      mistake('tls_server_config: { cert_file: a, key_file: b, client_ca_file: c }\n'),
      /client_auth_type: .*give RequireAndVerifyClientCert/,
    );
  });

  test('a web configuration or certificate that cannot be read is named with the reason', () => {
    assert.throws(
      () => readWebConfig(join(folder, 'none.yml')),
      (error) => error instanceof ConfigError && /none\.yml.*ENOENT/.test(error.message),
    );
    assert.match(
      mistake('tls_server_config: { cert_file: none.crt, key_file: none.key }\n'),
      /tls_server_config\.cert_file: cannot read none\.crt: ENOENT/,
    );
  });

  test('a file that is no certificate is refused before listening', () => {
    writeFileSync(join(folder, 'bad.pem'), 'not a certificate\n');
    assert.match(
      mistake('tls_server_config: { cert_file: bad.pem, key_file: bad.pem }\n'),
      /tls_server_config: not a usable certificate and key: /,
    );
  });
});

describe('TLS', () => {
  before(() => {
    if (which('openssl') === undefined) return;
    const certificates = new Certificates(folder);
    certificates.authority('ca');
    certificates.authority('other-ca');
    certificates.issue('server', 'ca');
    certificates.issue('renewed', 'ca');
    certificates.issue('client', 'ca');
    certificates.issue('intruder', 'other-ca');
  });

  const pem = (name: string): Buffer => readFileSync(join(folder, name));

  async function listen(context: TestContext, more = ''): Promise<number> {
    const { tls } = readWebConfig(
      write(
        `tls_server_config:\n  cert_file: server.crt\n  key_file: ${join(folder, 'server.key')}\n${more}`,
      ),
    );
    const listener = createListener((_, response) => response.end('in'), tls, {
      warn: assert.fail,
      error: assert.fail,
    });
    context.after(() => listener.close());
    return listener.listen('127.0.0.1:0');
  }

  function get(port: number, options: RequestOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const request = httpsRequest(
        { host: '127.0.0.1', port, ca: pem('ca.crt'), agent: false, ...options },
        (response) => {
          let body = '';
          response.on('data', (chunk) => {
            body += String(chunk);
          });
          response.on('end', () => resolve(body));
        },
      );
      request.on('error', reject).end();
    });
  }

  test('serves with a certificate, its path relative to the file', async (context) => {
    if (!hasTool(context, 'openssl', 'openssl')) return;
    assert.equal(await get(await listen(context)), 'in');
  });

  test('with mutual TLS, only a client with a certificate of the authority is accepted', async (context) => {
    if (!hasTool(context, 'openssl', 'openssl')) return;
    const port = await listen(
      context,
      '  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n',
    );
    assert.equal(await get(port, { cert: pem('client.crt'), key: pem('client.key') }), 'in');
    await assert.rejects(get(port));
    await assert.rejects(get(port, { cert: pem('intruder.crt'), key: pem('intruder.key') }));
  });

  test('a client older than min_version is refused', async (context) => {
    if (!hasTool(context, 'openssl', 'openssl')) return;
    const port = await listen(context, '  min_version: TLS13\n');
    assert.equal(await get(port), 'in');
    await assert.rejects(get(port, { maxVersion: 'TLSv1.2' }));
  });

  test('a key of another certificate is refused before listening', (context) => {
    if (!hasTool(context, 'openssl', 'openssl')) return;
    assert.match(
      mistake('tls_server_config: { cert_file: server.crt, key_file: client.key }\n'),
      /not a usable certificate and key: .*mismatch/,
    );
  });

  test('a renewed certificate is used without a restart', async (context) => {
    if (!hasTool(context, 'openssl', 'openssl')) return;
    const config = (name: string) =>
      readWebConfig(write(`tls_server_config: { cert_file: ${name}.crt, key_file: ${name}.key }\n`)).tls;
    const listener = createListener((_, response) => response.end('in'), config('server'), {
      warn: assert.fail,
      error: assert.fail,
    });
    context.after(() => listener.close());
    const port = await listener.listen('127.0.0.1:0');
    const names: string[] = [];
    const checkServerIdentity = (_: string, { subject }: { subject: { CN: string } }): undefined => {
      names.push(subject.CN);
    };
    await get(port, { checkServerIdentity } as RequestOptions);
    const renewed = config('renewed');
    assert.ok(renewed);
    listener.renew(renewed);
    await get(port, { checkServerIdentity } as RequestOptions);
    assert.deepEqual(names, ['server', 'renewed']);
  });
});
