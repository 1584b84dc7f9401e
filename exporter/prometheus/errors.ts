/** A server that cannot serve a query. The message names the server, what is wrong and the fix. */
export class PrometheusError extends Error {
  override readonly name = 'PrometheusError';
}

/** The query has more samples or bytes than the server or this client takes: a smaller one may succeed. */
export class TooMuchError extends PrometheusError {}
