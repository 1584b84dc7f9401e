import { Agent, get } from 'node:http';
import { gunzipSync } from 'node:zlib';

/** Prometheus reuses its connections, so the benchmark does too. */
const agent = new Agent({ keepAlive: true });

export interface Answer {
  readonly seconds: number;
  readonly bytesOnTheWire: number;
  text(): string;
}

export function fetchMetrics(port: number, gzip: boolean): Promise<Answer> {
  const headers = {
    Accept: 'text/plain;version=0.0.4',
    'Accept-Encoding': gzip ? 'gzip' : 'identity',
    // The default would abort a slow scrape, and a partial scrape is cheaper.
    'X-Prometheus-Scrape-Timeout-Seconds': '60',
  };
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path: '/metrics', agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const seconds = (performance.now() - start) / 1000;
        const body = Buffer.concat(chunks);
        if (response.statusCode !== 200) reject(new Error(`/metrics answered ${response.statusCode}`));
        const zipped = response.headers['content-encoding'] === 'gzip';
        const text = (): string => (zipped ? gunzipSync(body) : body).toString();
        resolve({ seconds, bytesOnTheWire: body.length, text });
      });
    });
    request.once('error', reject);
  });
}

export function seriesIn(text: string): number {
  return text.match(/^[^#\n]/gm)?.length ?? 0;
}
