import { CommanderError } from 'commander';
import { ConfigError } from '../config/load.ts';
import { OutputError } from './print.ts';
import { program } from './program.ts';
import { usageError } from './usage-error.ts';

const EXIT_USAGE = 2;

/** @returns the exit code: 0, 1 if doctor found a problem or a command failed, 2 for a usage error */
export async function run(argv: readonly string[]): Promise<number> {
  let code = 0;
  const exitWith = (result: number): void => {
    code = result;
  };
  const root = program(exitWith);
  try {
    await root.parseAsync([...argv]);
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      // Without a command, commander has printed the help.
      if (error.code !== 'commander.help')
        process.stderr.write(`kvm-telemetry: ${usageError(error.message, root, argv)}\n`);
      return EXIT_USAGE;
    }
    if (!(error instanceof ConfigError || error instanceof OutputError)) throw error;
    process.stderr.write(`kvm-telemetry: ${error.message}\n`);
    return error instanceof ConfigError ? EXIT_USAGE : 1;
  }
}
