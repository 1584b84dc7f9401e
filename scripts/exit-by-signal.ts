/** Lets a signal end this process by an exit, before which what waits for `exit` is removed and ended. */
export function exitBySignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
}
