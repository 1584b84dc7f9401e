import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from '../config/options.ts';
import { logfmtOf } from './logfmt.ts';

/** A logger with the configured level and format. */
export function createLogger(
  { 'log.level': level, 'log.format': format }: Pick<Config, 'log.level' | 'log.format'>,
  destination: DestinationStream,
): Logger {
  if (format === 'json') return pino({ level }, destination);
  return pino({ level }, { write: (line) => destination.write(logfmtOf(line)) });
}
