/**
 * A cron expression for an interval in seconds. The interval must divide a minute or, in whole minutes, an
 * hour.
 */
export function cronOf(seconds: number): string {
  if (Number.isInteger(seconds) && seconds > 0 && 60 % seconds === 0) {
    return seconds === 60 ? '0 * * * * *' : `*/${seconds} * * * * *`;
  }
  const minutes = seconds / 60;
  if (Number.isInteger(minutes) && 60 % minutes === 0) return `0 */${minutes} * * * *`;
  throw new RangeError(`${seconds} s divides neither a minute nor, in whole minutes, an hour`);
}
