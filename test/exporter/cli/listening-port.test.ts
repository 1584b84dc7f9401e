import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { listeningPort, portOf } from '../../../exporter/cli/listening-port.ts';

const LISTENS = `setTimeout(() => require('net').createServer().listen(0, '127.0.0.1', function () {
  console.log(this.address().port);
}), 100)`;

test('the port that a program chose is known as soon as it listens', async (context) => {
  const child = spawn(process.execPath, ['-e', LISTENS], { stdio: ['ignore', 'pipe', 'ignore'] });
  context.after(() => child.kill('SIGKILL'));
  const port = await listeningPort(child);
  const [line] = (await child.stdout.take(1).toArray()) as Buffer[];
  assert.equal(port, Number(String(line)));
});

test('a program that exits or is missing has no port', async () => {
  const child = spawn('true', { stdio: 'ignore' });
  assert.equal(await listeningPort(child), undefined);
  const missing = spawn('/nonexistent', { stdio: 'ignore' });
  missing.once('error', () => undefined);
  assert.equal(await listeningPort(missing), undefined);
});

test('a program that does not listen in time is reported', async (context) => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  context.after(() => child.kill('SIGKILL'));
  await assert.rejects(listeningPort(child, 50), /did not listen on a TCP port in 50 ms/);
});

test("a port of another process is not this one's", async (context) => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  context.after(() => child.kill('SIGKILL'));
  const server = createServer();
  context.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  assert.equal(portOf(child.pid ?? 0), undefined);
  assert.equal(typeof portOf(process.pid), 'number');
});
