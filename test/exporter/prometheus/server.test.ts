import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { describe, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { PrometheusError, TooMuchError } from '../../../exporter/prometheus/errors.ts';
import { HttpClient } from '../../../exporter/prometheus/request.ts';
import { PrometheusServer } from '../../../exporter/prometheus/server.ts';
import { formOf, httpServer } from '../../../testing/http-server.ts';

interface Started {
  readonly server: PrometheusServer;
  /** Milliseconds that were waited before each further try. */
  readonly waits: number[];
  readonly warnings: string[];
}

async function started(context: TestContext, handle: RequestListener, timeoutMs = 5000): Promise<Started> {
  const url = `${await httpServer(context, handle)}/prometheus/`;
  const waits: number[] = [];
  const warnings: string[] = [];
  const client = new HttpClient();
  context.after(() => client.close());
  const server = new PrometheusServer({
    url,
    client,
    timeoutMs,
    onWarning: (warning) => warnings.push(warning),
    wait: async (ms) => waits.push(ms),
  });
  return { server, waits, warnings };
}

const matrix = (values: readonly (readonly [number, string])[], more: object = {}): string =>
  JSON.stringify({
    status: 'success',
    data: { resultType: 'matrix', result: [{ metric: { vm: 'web' }, values }] },
    ...more,
  });

describe('the HTTP API of Prometheus', () => {
  test('sends a form below the prefix, and takes a packed response', async (context) => {
    const seen: string[] = [];
    const { server } = await started(context, async (request, response) => {
      seen.push(`${request.method} ${request.url} ${await formOf(request)}`);
      response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync(matrix([[15, '1']])));
    });
    assert.deepEqual(await server.samples('up[5m]', 60), [{ labels: { vm: 'web' }, samples: [[15, 1]] }]);
    assert.deepEqual(seen, ['POST /prometheus/api/v1/query query=up%5B5m%5D&time=60']);
  });

  test('leaves out NaN and infinity', async (context) => {
    const { server } = await started(
      context,
      (_, response) =>
        void response.end(
          matrix([
            [0, 'NaN'],
            [15, '+Inf'],
            [30, '-Inf'],
            [45, '2.5e-3'],
          ]),
        ),
    );
    assert.deepEqual((await server.range('up', 0, 45, 15))[0]?.samples, [[45, 0.0025]]);
  });

  test('passes on warnings of a partial response', async (context) => {
    const { server, warnings } = await started(
      context,
      (_, response) => void response.end(matrix([], { warnings: ['store 1 is down'], isPartial: true })),
    );
    await server.range('up', 0, 45, 15);
    assert.deepEqual(warnings, ['store 1 is down', 'the response is partial']);
  });

  test('measures the difference between the clock of the server and ours', async (context) => {
    const { server } = await started(
      context,
      (_, response) =>
        void response
          .writeHead(200, { Date: new Date(Date.now() + 3_600_000).toUTCString() })
          .end(matrix([])),
    );
    await server.range('up', 0, 45, 15);
    assert.ok(Math.abs((server.skewSeconds ?? 0) - 3600) < 30);
  });
});

describe('a server in trouble', () => {
  const FAILURES: [string, RequestListener, number[]][] = [
    ['503', (_, response) => void response.writeHead(503).end(), [1000, 2000]],
    [
      '429 with Retry-After',
      (_, response) => void response.writeHead(429, { 'Retry-After': '7' }).end(),
      [7000, 7000],
    ],
    ['no response', () => undefined, [1000, 2000]],
    ['a closed connection', (request) => void request.socket.destroy(), [1000, 2000]],
    [
      'half a response',
      (_, response) => {
        response.writeHead(200, { 'Content-Length': '1000' });
        response.write('{"status":"succ');
        setTimeout(() => response.socket?.destroy(), 20);
      },
      [1000, 2000],
    ],
    [
      'half a packed response',
      (_, response) => {
        const packed = gzipSync(matrix([[15, '1']]));
        response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(packed.subarray(0, packed.length - 20));
      },
      [1000, 2000],
    ],
  ];
  for (const [what, fail, waits] of FAILURES) {
    test(`${what}: tries again with back-off`, async (context) => {
      let requests = 0;
      const { server, ...seen } = await started(
        context,
        (request, response) =>
          ++requests < 3 ? fail(request, response) : void response.end(matrix([[15, '1']])),
        500,
      );
      assert.equal((await server.range('up', 0, 15, 15)).length, 1);
      assert.deepEqual(seen.waits, waits);
    });
  }

  test('gives up after five tries, with URL, reason and fix', async (context) => {
    const { server, waits } = await started(
      context,
      (_, response) =>
        void response.writeHead(503).end(JSON.stringify({ status: 'error', error: 'no\u0007t ready' })),
    );
    await assert.rejects(server.range('up', 0, 15, 15), (error: Error) => {
      assert.ok(error instanceof PrometheusError);
      assert.match(
        error.message,
        /^http:\/\/127\.0\.0\.1:\d+\/prometheus: status 503: no.*t ready \(5 tries\): check that the server runs/,
      );
      assert.ok(!error.message.includes('\u0007'));
      return true;
    });
    assert.deepEqual(waits, [1000, 2000, 4000, 8000]);
  });

  test('a server that never accepted a connection is reported as a wrong URL', async () => {
    const client = new HttpClient();
    const server = new PrometheusServer({
      url: 'http://127.0.0.1:1',
      client,
      wait: () => Promise.reject(new Error()),
    });
    const message = /^http:\/\/127\.0\.0\.1:1: connect ECONNREFUSED .*: check the URL/;
    await assert.rejects(server.range('up', 0, 15, 15), { name: 'PrometheusError', message });
  });

  const REFUSALS: [string, number, string, RegExp][] = [
    ['401', 401, '', /status 401: give the login in --http\.config\.file/],
    ['404', 404, '', /status 404: give the URL before \/api\/v1/],
    ['a redirect', 302, '', /status 302: a redirect: give the URL to which it leads/],
    ['400', 400, '{"status":"error","error":"parse error"}', /status 400: parse error: check the URL/],
    ['a page', 200, '<html>', /the response is not one of the API: check the URL: is it a Prometheus\?/],
    ['another API', 200, '{}', /the response is not one of the API/],
  ];
  for (const [what, status, body, message] of REFUSALS) {
    test(`${what} is not tried again`, async (context) => {
      let requests = 0;
      const { server } = await started(context, (_, response) => {
        requests++;
        response.writeHead(status).end(body);
      });
      await assert.rejects(server.range('up', 0, 15, 15), { name: 'PrometheusError', message });
      assert.equal(requests, 1);
    });
  }

  test('a long message keeps its begin with the query and its end with the reason', async (context) => {
    const reason = 'the number of matching timeseries exceeds 300000; narrow down the search';
    const error = `error when executing query="${'x'.repeat(5000)}": ${reason}`;
    const { server } = await started(
      context,
      (_, response) => void response.writeHead(422).end(JSON.stringify({ status: 'error', error })),
    );
    await assert.rejects(server.range('up', 0, 15, 15), ({ message }: Error) => {
      assert.match(message, /query="x+…x+": the number of matching timeseries exceeds 300000; narrow down/);
      return message.length < 500;
    });
  });

  test('422 asks for a smaller query', async (context) => {
    const { server } = await started(
      context,
      (_, response) => void response.writeHead(422).end('{"status":"error","error":"too many samples"}'),
    );
    await assert.rejects(server.range('up', 0, 15, 15), (error) => {
      assert.ok(error instanceof TooMuchError);
      assert.match(error.message, /status 422: too many samples: give a shorter time/);
      return true;
    });
  });

  test('a query that takes longer than the server allows is not tried again, and asks for a smaller one', async (context) => {
    let requests = 0;
    const error = {
      status: 'error',
      errorType: 'timeout',
      error: 'query timed out in expression evaluation',
    };
    const { server } = await started(context, (_, response) => {
      requests++;
      response.writeHead(503).end(JSON.stringify(error));
    });
    await assert.rejects(server.range('up', 0, 15, 15), TooMuchError);
    assert.equal(requests, 1);
  });

  test('a response without end is cut', async (context) => {
    const { server } = await started(context, (_, response) => {
      const more = (): void => {
        while (response.write(Buffer.alloc(1 << 20, ' ')));
        response.once('drain', more);
      };
      more();
    });
    await assert.rejects(server.range('up', 0, 15, 15), TooMuchError);
  });
});
