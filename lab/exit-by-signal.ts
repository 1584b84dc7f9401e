/** Makes a signal end this process through exit(), so that `exit` handlers can clean up. */
export function exitBySignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
}
