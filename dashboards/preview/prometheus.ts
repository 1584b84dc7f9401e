import type { Answer } from './preview.ts';

/** @throws Error with Prometheus' message */
async function ask<T>(url: string, path: string, parameters: Record<string, string>): Promise<T> {
  const response = await fetch(`${url}/api/v1/${path}`, {
    method: 'POST',
    body: new URLSearchParams(parameters),
  });
  const { data, error } = (await response.json()) as { data?: T; error?: string };
  if (data === undefined) throw new Error(error ?? response.statusText);
  return data;
}

export async function instant(url: string, query: string, at: number): Promise<Answer[]> {
  return (await ask<{ result: Answer[] }>(url, 'query', { query, time: `${at}` })).result;
}

export async function range(
  url: string,
  query: string,
  { from, to, step }: { readonly from: number; readonly to: number; readonly step: number },
): Promise<Answer[]> {
  // As in Grafana: points are at multiples of the step, so that they do not move between refreshes.
  const aligned = Math.ceil(from / step) * step;
  const parameters = { query, start: `${aligned}`, end: `${to}`, step: `${step}` };
  return (await ask<{ result: Answer[] }>(url, 'query_range', parameters)).result;
}

export async function series(
  url: string,
  selector: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Record<string, string>[]> {
  return ask(url, 'series', { 'match[]': selector, start: `${from}`, end: `${to}` });
}
