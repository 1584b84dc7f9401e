/**
 * Loaded before a program (`node --import`), this writes each path that it opens or lists into the file `KT_OPENS`, one a line.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const log = fs.openSync(process.env['KT_OPENS'] ?? '/dev/null', 'a');

function counted<A extends readonly unknown[], R>(call: (...values: A) => R): (...values: A) => R {
  return (...values) => {
    fs.writeSync(log, `${String(values[0])}\n`);
    return call(...values);
  };
}

Object.assign(fs, {
  openSync: counted(fs.openSync),
  readFileSync: counted(fs.readFileSync),
  readdirSync: counted(fs.readdirSync as (path: string) => string[]),
});
Object.assign(fs.promises, { open: counted(fs.promises.open), readFile: counted(fs.promises.readFile) });
syncBuiltinESMExports();
