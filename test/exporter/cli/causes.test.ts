import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { askForCauses, causesText } from '../../../exporter/cli/causes.ts';
import { resolveConfig } from '../../../exporter/config/load.ts';
import type { Config } from '../../../exporter/config/options.ts';
import type { LiveCauses } from '../../../exporter/page/live.ts';

const FOUND: LiveCauses = {
  vm: 'db',
  pid: '7',
  isKnown: true,
  worsening: { metric: 'iops', from: 135_000, to: 66_000, since: 1_800_000_000 },
  causes: [
    { cause: 'quota', before: 0, after: 0.5, unit: 'ratio', explains: 0.98, text: 'a CPU quota takes 50%' },
    { cause: 'lost_pin', before: null, after: null, unit: null, explains: 0.001, text: 'a \u001b[31mthread' },
  ],
  unknown: ['frequency', 'memory_pressure'],
};

function configOf(address: string): Config {
  return resolveConfig({ 'web.listenAddress': address }, {}, {});
}

/** A server that listens where the daemon would. */
async function daemon(context: TestContext, respond: RequestListener): Promise<Config> {
  const server = createServer(respond).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  context.after(() => server.close());
  return configOf(`:${(server.address() as AddressInfo).port}`);
}

const json =
  (body: unknown): RequestListener =>
  (_, response) => {
    response.end(JSON.stringify(body));
  };

test('the command queries the daemon for one VM and prints its answer', async (context) => {
  const asked: (string | undefined)[] = [];
  const config = await daemon(context, (request, response) => {
    asked.push(request.url);
    json(FOUND)(request, response);
  });
  const found = await askForCauses(config, 'db', 7);
  assert.deepEqual(asked, ['/api/v1/causes?vm=db']);
  assert.deepEqual(found, FOUND);
  const [head, ...lines] = causesText(found).split('\n');
  assert.match(
    head ?? '',
    /^causes {4}Its I\/O fell from 135k to 66k a second \(-51%\) at .*\d\d:\d\d:\d\d\.$/,
  );
  assert.deepEqual(lines, [
    '          changed in the same minutes, strongest first:',
    '  1. CPU quota, up to 98% of the loss: a CPU quota takes 50%',
    '  2. lost pin, up to 1% of the loss: a \\u{1b}[31mthread',
    '          Not known: CPU frequency, memory pressure.',
  ]);
});

test('"nothing changed" is an answer', () => {
  const nothing = causesText({ ...FOUND, causes: [], unknown: [] });
  assert.match(
    nothing,
    /\n {10}Nothing that this exporter reads changed: the guest may request less I\/O\.$/,
  );
  const { worsening: _, ...steady } = FOUND;
  assert.equal(causesText({ ...steady, causes: [] }), 'causes    Its I/O is not worse than before.');
  assert.match(causesText({ ...steady, causes: [], isKnown: false }), /^causes {4}Unknown: too few/);
});

test('without a daemon on the address, or with another program there, the causes are unknown with the reason', async (context) => {
  const problem = async (config: Config, pid = 7): Promise<string> =>
    causesText(await askForCauses(config, 'db', pid));
  assert.match(
    await problem(configOf('127.0.0.1:1')),
    /^causes {4}unknown.*no daemon at http:\/\/127\.0\.0\.1:1 .*: start/,
  );
  assert.match(await problem(configOf('127.0.0.1:0')), /no fixed address$/);
  assert.match(await problem(await daemon(context, json(FOUND)), 8), /does not know this VM yet$/);
  assert.match(await problem(await daemon(context, json({ vm: 'db', causes: 5 }))), /is no kvm-telemetry/);
  assert.match(
    await problem(await daemon(context, (_, response) => response.end('<html>'))),
    /is no kvm-telemetry/,
  );
  for (const [status, text] of [
    [401, /wants a login: open its page$/],
    [404, /responds with HTTP 404$/],
  ] as const) {
    const config = await daemon(context, (_, response) => {
      response.writeHead(status).end();
    });
    assert.match(await problem(config), text);
  }
});
