import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { hashSync } from 'bcryptjs';
import { type Daemon, ROOT, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { sample } from '../../testing/metrics.ts';
import { checkOpenMetrics } from '../../testing/openmetrics.ts';
import { hasTool } from '../../testing/tools.ts';

const HOST = `--path.rootfs=${ROOT}test/fixtures/hosts/linux-nvme-vhost/t0`;
const folder = temporaryFolder({ after });

/** A connection that sends this and then nothing. */
async function hang(context: TestContext, daemon: Daemon, text: string): Promise<Socket> {
  const socket = connect(Number(new URL(daemon.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  context.after(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(text);
  await sleep(50);
  return socket;
}

const logged = (daemon: Daemon, message: RegExp): number =>
  daemon.log.filter(({ msg }) => message.test(String(msg))).length;

describe('a running daemon', () => {
  const cleanUp: (() => unknown)[] = [];
  let daemon: Daemon;
  before(async () => {
    daemon = await startDaemon({ after: (work) => void cleanUp.push(work as () => unknown) }, [HOST]);
  });
  after(() => cleanUp.forEach((work) => void work()));

  test('responds at every documented address', async () => {
    const expected: [string, number, RegExp, RegExp][] = [
      ['/metrics', 200, /^text\/plain; version=0\.0\.4; charset=utf-8$/, /^kvm_vm_exits_total\{vm="/m],
      ['/', 200, /^text\/html; charset=utf-8$/, /<!doctype html>/i],
      ['/-/healthy', 200, /^text\/plain/, /healthy/],
      ['/-/ready', 200, /^text\/plain/, /ready/],
      ['/api/v1/inventory', 200, /^application\/json/, /"thread":"vcpu0"/],
      ['/nothing', 404, /^text\/plain/, /Not found/],
    ];
    for (const [path, status, type, body] of expected) {
      const response = await request(daemon.url + path);
      assert.equal(response.status, status, path);
      assert.match(response.headers['content-type'] ?? '', type, path);
      assert.match(String(response.body), body, path);
      assert.equal((await request(daemon.url + path, {}, 'HEAD')).status, status, `HEAD ${path}`);
    }
    assert.equal((await request(`${daemon.url}/metrics`, {}, 'POST')).status, 405);
    assert.equal((await request(`${daemon.url}/-/reload`, {}, 'POST')).status, 403, 'not enabled');
  });

  test('sends valid OpenMetrics, compressed on request', async () => {
    const accept = 'application/openmetrics-text;version=1.0.0';
    const plain = await request(`${daemon.url}/metrics`, { accept });
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.ok(checkOpenMetrics(String(plain.body)).size > 50);
    const zipped = await request(`${daemon.url}/metrics`, { accept, 'accept-encoding': 'gzip' });
    assert.equal(zipped.headers['content-encoding'], 'gzip');
    checkOpenMetrics(String(gunzipSync(zipped.body)));
  });

  test('accepts a short or invalid scrape timeout', async () => {
    for (const seconds of ['0.5', '10', '-1', 'x', '1e99']) {
      const { status, body } = await request(`${daemon.url}/metrics`, {
        'x-prometheus-scrape-timeout-seconds': seconds,
      });
      assert.equal(status, 200);
      assert.match(String(body), /^kvm_telemetry_collector_success\{collector="vms"\} 1$/m, seconds);
    }
  });

  test('sends 50 concurrent scrapes the same complete response', async () => {
    const responses = await Promise.all(Array.from({ length: 50 }, () => request(`${daemon.url}/metrics`)));
    for (const { status, body } of responses) {
      assert.equal(status, 200);
      assert.match(String(body), /^kvm_vm_exits_total\{vm="/m);
    }
    assert.ok(sample(await daemon.samples(), 'kvm_telemetry_scrapes_coalesced_total') > 0);
  });

  test('survives clients that disconnect during a response', async (context) => {
    for (let i = 0; i < 20; i++) {
      const text = 'GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n';
      const socket = await hang(context, daemon, i % 2 === 0 ? text : text.repeat(5));
      if (i % 3 === 0) socket.resetAndDestroy();
      else socket.destroy();
    }
    assert.equal((await request(`${daemon.url}/metrics`)).status, 200);
    assert.deepEqual(
      daemon.log.filter(({ level }) => Number(level) >= 50),
      [],
    );
  });

  test('rejects a huge header and data that is not HTTP', async (context) => {
    // The daemon hangs up once it has had enough: a client that still writes may miss the response.
    const refusal = await request(`${daemon.url}/metrics`, { 'x-huge': 'x'.repeat(20_000) }).then(
      ({ status }) => status,
      ({ code }: NodeJS.ErrnoException) => code,
    );
    assert.ok([431, 'ECONNRESET', 'EPIPE'].includes(refusal ?? ''), String(refusal));
    const socket = await hang(context, daemon, '');
    const response = new Promise((resolve) => socket.once('data', (chunk) => resolve(String(chunk))));
    socket.write('\x16\x03\x01 this is no HTTP\r\n\r\n');
    assert.match(String(await response), /^HTTP\/1\.1 400 /);
    assert.equal((await request(`${daemon.url}/-/healthy`)).status, 200);
  });
});

describe('reloading', () => {
  function configured(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  const metric = async (daemon: Daemon, name: string): Promise<number> =>
    sample(await daemon.samples(), `kvm_telemetry_${name}`);

  test('SIGHUP loads a valid file and keeps the old configuration if the file is invalid', async (context) => {
    const stateIn = (name: string): string => `state: { dir: ${JSON.stringify(join(folder, name))} }\n`;
    const file = configured('sighup.yaml', `collector: { interrupts: true }\n${stateIn('a')}`);
    const inFile = { KVM_TELEMETRY_STATE_DIR: undefined };
    const daemon = await startDaemon(context, [HOST, '--config', file], inFile);
    const hasInterrupts = async (): Promise<boolean> =>
      (await daemon.metrics()).includes('collector_success{collector="interrupts"}');
    assert.ok(await hasInterrupts());
    assert.equal(await metric(daemon, 'config_last_reload_successful'), 1);

    configured('sighup.yaml', `collector: { interrupts: false }\n${stateIn('b')}`);
    daemon.child.kill('SIGHUP');
    await until(() => logged(daemon, /^configuration reloaded$/) === 1, 'reloaded');
    const reloaded = daemon.log.find(({ msg }) => msg === 'configuration reloaded');
    assert.deepEqual(reloaded?.['needsRestart'], ['state.dir']);
    assert.ok(!(await hasInterrupts()));
    const loaded = await metric(daemon, 'config_last_reload_success_timestamp_seconds');
    assert.ok(Math.abs(loaded - Date.now() / 1000) < 60);

    configured('sighup.yaml', 'collector: { interrupts: maybe }\n');
    daemon.child.kill('SIGHUP');
    await until(() => logged(daemon, /not reloaded: .*interrupts: "maybe" is not allowed/) === 1, 'refused');
    assert.ok(!(await hasInterrupts()), 'still as before');
    assert.equal(await metric(daemon, 'config_last_reload_successful'), 0);
    assert.equal(await metric(daemon, 'config_last_reload_success_timestamp_seconds'), loaded);

    rmSync(file);
    daemon.child.kill('SIGHUP');
    await until(() => logged(daemon, /not reloaded: .*ENOENT/) === 1, 'refused');
    configured('sighup.yaml', '');
    daemon.child.kill('SIGHUP');
    await until(() => logged(daemon, /^configuration reloaded$/) === 2, 'reloaded');
    assert.equal(await metric(daemon, 'config_last_reload_successful'), 1);
    assert.equal(await daemon.stop(), 0);
  });

  test('POST /-/reload reports an error, and concurrent reloads leave one set of tasks', async (context) => {
    const file = configured('post.yaml', 'inventory: { schedule: "* * * * * *" }\n');
    const daemon = await startDaemon(context, [HOST, '--config', file, '--web.enable-lifecycle']);
    const reload = (): Promise<HttpResponse> => request(`${daemon.url}/-/reload`, {}, 'POST');
    const responses = await Promise.all(Array.from({ length: 20 }, reload));
    assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([200]));

    const passes = (): Promise<number> => metric(daemon, 'inventory_duration_seconds_count');
    const [before, start] = [await passes(), performance.now()];
    await sleep(2500);
    const rate = ((await passes()) - before) / ((performance.now() - start) / 1000);
    assert.ok(rate > 0 && rate < 2, `${rate} passes a second where one is scheduled`);

    configured('post.yaml', 'inventory: { schedule: often }\n');
    const { status, body } = await reload();
    assert.equal(status, 500);
    assert.match(String(body), /^Not reloaded: inventory\.schedule: "often" is not allowed: give a cron/);
  });

  test('a reload loads users, but not an invalid web configuration', async (context) => {
    const web = (password: string): string => `basic_auth_users: { alice: ${hashSync(password, 4)} }\n`;
    const daemon = await startDaemon(context, [HOST, '--web.config', configured('web.yml', web('old'))]);
    const login = async (password: string): Promise<number | undefined> => {
      const authorization = `Basic ${btoa(`alice:${password}`)}`;
      return (await request(`${daemon.url}/metrics`, { authorization })).status;
    };
    assert.deepEqual([await login('old'), await login('new')], [200, 401]);
    configured('web.yml', web('new'));
    daemon.child.kill('SIGHUP');
    await until(() => logged(daemon, /^configuration reloaded$/) === 1, 'reloaded');
    assert.deepEqual([await login('old'), await login('new')], [401, 200]);
    configured('web.yml', 'basic_auth_users: { alice: plain }\n');
    daemon.child.kill('SIGHUP');
    await until(() => logged(daemon, /not reloaded: --web\.config/) === 1, 'refused');
    assert.deepEqual([await login('plain'), await login('new')], [401, 200]);
  });
});

describe('starting and stopping', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} ends the daemon with code 0 at once, even with open connections`, async (context) => {
      const daemon = await startDaemon(context, [HOST]);
      await hang(context, daemon, '');
      await hang(context, daemon, 'GET /metrics HT');
      await hang(context, daemon, 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
      const begin = performance.now();
      assert.equal(await daemon.stop(signal), 0);
      assert.ok(performance.now() - begin < 2000, `${performance.now() - begin} ms`);
      assert.equal(logged(daemon, /^stopping$/), 1);
    });
  }

  test('SIGTERM does not wait for an unfinished TLS handshake', async (context) => {
    if (!hasTool(context, 'openssl', 'openssl')) return;
    const [key, cert] = [join(folder, 'tls.key'), join(folder, 'tls.crt')];
    await finished(
      spawn('openssl', [
        ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x'.split(' '),
        '-keyout',
        key,
        '-out',
        cert,
      ]),
    );
    const config = join(folder, 'tls.yml');
    writeFileSync(config, `tls_server_config: { cert_file: ${cert}, key_file: ${key} }\n`);
    const daemon = await startDaemon(context, [HOST, '--web.config', config]);
    assert.match(daemon.url, /^https:/);
    await hang(context, daemon, '\x16\x03\x01');
    const begin = performance.now();
    assert.equal(await daemon.stop(), 0);
    assert.ok(performance.now() - begin < 6000);
  });

  test('a busy port ends the daemon with code 2 and one line', async (context) => {
    const daemon = await startDaemon(context, [HOST]);
    const address = new URL(daemon.url).host;
    const second = spawn(process.execPath, [
      `${ROOT}dist/exporter/main.js`,
      'serve',
      HOST,
      `--web.listen-address=${address}`,
    ]);
    context.after(() => second.kill('SIGKILL'));
    const { code, out, errors } = await finished(second);
    assert.deepEqual([code, out], [2, '']);
    assert.equal(
      errors,
      `kvm-telemetry: --web.listen-address: cannot listen on "${address}": the port is in use: stop the other process or choose another port\n`,
    );
  });

  test('the daemon notifies systemd when it is ready', async (context) => {
    if (!hasTool(context, 'systemd-notify', 'systemd') || !hasTool(context, 'python3', 'python3')) return;
    const path = join(folder, 'notify.socket');
    const supervisor = spawn('python3', ['-c', SUPERVISOR, path]);
    context.after(() => supervisor.kill('SIGKILL'));
    let received = '';
    supervisor.stdout.on('data', (chunk) => {
      received += String(chunk);
    });
    await until(() => received.includes('listening'), 'the supervisor listens');
    const daemon = await startDaemon(context, [HOST], { NOTIFY_SOCKET: path });
    await until(() => received.includes('READY=1'), 'READY=1');
    assert.equal((await request(`${daemon.url}/-/ready`)).status, 200, 'and it is ready by then');
    await sleep(200);
    assert.equal(logged(daemon, /cannot notify systemd of readiness/), 0);
  });

  test('a failed notification is a warning', async (context) => {
    if (!hasTool(context, 'systemd-notify', 'systemd')) return;
    const daemon = await startDaemon(context, [HOST], { NOTIFY_SOCKET: join(folder, 'nobody') });
    await until(() => logged(daemon, /cannot notify systemd of readiness/) === 1, 'the warning');
    assert.equal((await request(`${daemon.url}/-/healthy`)).status, 200);
  });
});

/** What systemd does: a datagram socket, whose messages are printed. */
const SUPERVISOR = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('listening', flush=True)
while True:
    print(s.recv(4096).decode(), flush=True)
`;

import { type HttpResponse, request } from '../../testing/http-request.ts';
import { until } from '../../testing/patience.ts';

async function finished(child: ChildProcess): Promise<{ code: number | null; out: string; errors: string }> {
  let [out, errors] = ['', ''];
  child.stdout?.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    errors += String(chunk);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, errors };
}
