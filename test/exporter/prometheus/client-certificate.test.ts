import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { PrometheusError } from '../../../exporter/prometheus/errors.ts';
import { readHttpConfig } from '../../../exporter/prometheus/http-config.ts';
import { HttpClient } from '../../../exporter/prometheus/request.ts';
import { PrometheusServer } from '../../../exporter/prometheus/server.ts';
import { Certificates } from '../../../testing/certificates.ts';
import { temporaryFolder } from '../../../testing/folder.ts';
import { hasTool } from '../../../testing/tools.ts';

const SUCCESS = JSON.stringify({
  status: 'success',
  data: { resultType: 'vector', result: [{ metric: { vm: 'web' }, value: [100, '4'] }] },
});

/** A server with TLS that accepts only clients with a certificate of its authority. */
async function guardedServer(context: TestContext, folder: string, peers: string[]): Promise<string> {
  const pem = (name: string): Buffer => readFileSync(join(folder, name));
  const tls = { cert: pem('server.crt'), key: pem('server.key'), ca: pem('ca.crt') };
  const server = createServer(
    { ...tls, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const { CN } = (request.socket as TLSSocket).getPeerCertificate().subject;
      peers.push(String(CN));
      response.end(SUCCESS);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a server that demands a certificate of the client', async (context) => {
  if (!hasTool(context, 'openssl', 'openssl')) return;
  const folder = temporaryFolder(context);
  const certificates = new Certificates(folder);
  for (const name of ['ca', 'other-ca']) certificates.authority(name);
  for (const name of ['server', 'client']) certificates.issue(name, 'ca');
  certificates.issue('intruder', 'other-ca');
  const peers: string[] = [];
  const url = await guardedServer(context, folder, peers);
  const query = async (tls: string): Promise<number | undefined> => {
    const path = join(folder, 'http.yml');
    writeFileSync(path, `tls_config: { ${tls} }\n`);
    const client = new HttpClient(readHttpConfig(path));
    try {
      const server = new PrometheusServer({ url, client, wait: async () => undefined });
      return (await server.instant('kvm_vm_vcpus', 100))[0]?.samples[0]?.[1];
    } finally {
      client.close();
    }
  };

  assert.equal(await query('ca_file: ca.crt, cert_file: client.crt, key_file: client.key'), 4);
  assert.deepEqual(peers, ['client']);
  // The server's alert and the end of the connection arrive in either order.
  for (const tls of ['ca_file: ca.crt', 'ca_file: ca.crt, cert_file: intruder.crt, key_file: intruder.key'])
    await assert.rejects(query(tls), PrometheusError, tls);
  const login = 'cert_file: client.crt, key_file: client.key';
  await assert.rejects(query(login), /certificate/);
  await assert.rejects(query(`ca_file: ca.crt, ${login}, server_name: other.example`), /does not match/);
  assert.deepEqual(peers, ['client']);
});
