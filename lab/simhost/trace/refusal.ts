/** The kernel refuses a command: the errno, and the reason for error_log if the kernel gives one. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(
    readonly code: string,
    readonly reason?: string,
  ) {
    super(reason === undefined ? code : `${code}: ${reason}`);
  }
}

/** An entry of error_log, kernel/trace/trace.c tracing_err_log_seq_show(). @param where `hist:kvm:kvm_exit` */
export function logEntry(where: string, reason: string, command: string): string {
  return `[  100.000000] ${where}: error: ${reason}\n  Command: ${command}\n           ^\n`;
}
