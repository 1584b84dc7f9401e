/** Repeats short work that needs no fixed times, until it is stopped. It does not keep the process alive. */
export function repeat(work: () => void, everyMs: number): { stop(): void } {
  const timer = setInterval(work, everyMs).unref();
  return { stop: () => clearInterval(timer) };
}
