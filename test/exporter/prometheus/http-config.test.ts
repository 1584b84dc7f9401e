import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readHttpConfig } from '../../../exporter/prometheus/http-config.ts';
import { temporaryFolder } from '../../../testing/folder.ts';

const folder = temporaryFolder({ after });
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const configOf = (text: string): ReturnType<typeof readHttpConfig> => readHttpConfig(file('http.yml', text));

test('logins: secrets from files beside the configuration', () => {
  file('secret', 's3cret\n');
  const basic = `Basic ${Buffer.from('ann:s3cret').toString('base64')}`;
  assert.deepEqual(configOf('basic_auth: { username: ann, password_file: secret }').headers, {
    Authorization: basic,
  });
  assert.deepEqual(configOf('authorization: { credentials_file: secret }').headers, {
    Authorization: 'Bearer s3cret',
  });
  assert.deepEqual(configOf('bearer_token_file: secret').headers, { Authorization: 'Bearer s3cret' });
  assert.deepEqual(configOf('http_headers: { X-Scope-OrgID: { values: [team-a] } }').headers, {
    'X-Scope-OrgID': 'team-a',
  });
});

test('certificates', () => {
  file('ca.pem', 'CA');
  file('own.pem', 'CERT');
  file('own.key', 'KEY');
  const { tls } = configOf(
    'tls_config: { ca_file: ca.pem, cert_file: own.pem, key_file: own.key, server_name: mimir }',
  );
  assert.deepEqual(tls, {
    ca: Buffer.from('CA'),
    cert: Buffer.from('CERT'),
    key: Buffer.from('KEY'),
    servername: 'mimir',
  });
});

const REFUSED: [string, RegExp][] = [
  ['{', /not YAML/],
  ['basic_auht: {}', /unknown key "basic_auht": did you mean "basic_auth"\?/],
  ['tls_config: { insecure_skip_verify: true }', /insecure_skip_verify is not supported: give ca_file/],
  ['basic_auth: { username: ann }', /password is missing: give password_file/],
  ['basic_auth: { username: ann, password: a, password_file: b }', /password is set twice/],
  ['basic_auth: { username: ann, password_file: none }', /password_file: cannot read .*none: ENOENT/],
  ['{ basic_auth: { username: a, password: b }, bearer_token_file: c }', /give one of basic_auth/],
  ['tls_config: { cert_file: own.pem }', /give cert_file and key_file together/],
  ['authorization: { credentials: "a\\nb" }', /Authorization has characters that HTTP does not allow/],
  ['basic_auth: 7', /basic_auth is not usable/],
];
for (const [text, message] of REFUSED) {
  test(`refuses ${text}`, () => {
    assert.throws(() => configOf(text), { name: 'ConfigError', message });
  });
}
