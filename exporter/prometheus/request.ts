import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createGunzip } from 'node:zlib';
import type { HttpConfig } from './http-config.ts';

/** A request failed before the response was complete. */
export class RequestError extends Error {
  constructor(
    message: string,
    /** Whether the same request may succeed later. */
    readonly isTransient: boolean,
    /** Whether nothing accepted the connection. */
    readonly isRefusal = false,
  ) {
    super(message);
  }
}

export class TooLargeError extends RequestError {
  constructor(bytes: number) {
    super(`the response is larger than ${bytes} bytes`, false);
  }
}

export interface Response {
  readonly status: number;
  /** Header lines, by name in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface Call {
  readonly url: string;
  /** Sent as a form with POST; without it the method is GET. */
  readonly form?: URLSearchParams;
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

/** Errors of a server that is starting or overloaded. */
const REFUSALS = new Set(['ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH']);
const TRANSIENT = new Set([...REFUSALS, 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN']);
const CONNECTIONS = 4;

/**
 * Sends requests to one server, with its login and certificates. It does not follow redirects, which would disclose
 * the login.
 */
export class HttpClient {
  readonly #agents: { readonly http: HttpAgent; readonly https: HttpsAgent };

  constructor(private readonly config: HttpConfig = { headers: {}, tls: {} }) {
    const options = { keepAlive: true, maxSockets: CONNECTIONS };
    this.#agents = { http: new HttpAgent(options), https: new HttpsAgent({ ...options, ...config.tls }) };
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /** @throws RequestError without the login in its message */
  async call({ url, form, timeoutMs, maxBytes }: Call): Promise<Response> {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await this.#send(url, form?.toString(), signal);
      const text = await textOf(response, maxBytes);
      if (!response.complete) throw new RequestError('the connection was closed within the response', true);
      return { status: response.statusCode ?? 0, headers: response.headers, text };
    } catch (error) {
      if (error instanceof RequestError) throw error;
      if (signal.aborted) throw new RequestError(`no response in ${timeoutMs / 1000} s`, true);
      throw inWords(error as NodeJS.ErrnoException);
    }
  }

  #send(url: string, body: string | undefined, signal: AbortSignal): Promise<IncomingMessage> {
    const isTls = url.startsWith('https:');
    const options: RequestOptions = {
      method: body === undefined ? 'GET' : 'POST',
      agent: isTls ? this.#agents.https : this.#agents.http,
      headers: {
        Accept: 'application/json',
        'Accept-Encoding': 'gzip',
        'User-Agent': 'kvm-telemetry',
        ...(body !== undefined && {
          'Content-Type': 'application/x-www-form-urlencoded',
          'Content-Length': Buffer.byteLength(body),
        }),
        ...this.config.headers,
      },
      signal,
    };
    return new Promise((resolve, reject) => {
      const sent = (isTls ? httpsRequest : httpRequest)(url, options, resolve);
      sent.once('error', reject);
      sent.end(body);
    });
  }
}

async function textOf(response: IncomingMessage, maxBytes: number): Promise<string> {
  const isPacked = response.headers['content-encoding'] === 'gzip';
  // pipe() does not pass errors on.
  const body = isPacked ? response.pipe(createGunzip()) : response;
  if (isPacked) response.once('error', (error) => body.destroy(error));
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      response.destroy();
      throw new TooLargeError(maxBytes);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function inWords({ code, message }: NodeJS.ErrnoException): RequestError {
  const isCut = code === 'Z_BUF_ERROR' || message === 'aborted';
  if (isCut) return new RequestError('the connection was closed within the response', true);
  const known = code ?? '';
  return new RequestError(message, TRANSIENT.has(known), REFUSALS.has(known));
}
