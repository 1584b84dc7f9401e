/** The logger of a state file in a command: warnings go to stderr. */
export const warningsOnly = {
  info: (): void => undefined,
  warn: (fields: object, message: string): void =>
    void process.stderr.write(`kvm-telemetry: ${message}: ${JSON.stringify(fields)}\n`),
};
