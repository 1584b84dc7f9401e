// `node scripts/rooms.mjs`: files and lines of each room of the exporter, and imports between rooms. With a
// folder as its argument it reads another checkout, for a comparison (docs/architecture.md).
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { root } from './prepare.mjs';

const [folder = root] = process.argv.slice(2);
const { stdout } = spawnSync('git', ['ls-files', '-z', 'exporter', 'probes', 'kernel', 'promql'], {
  cwd: folder,
  encoding: 'utf8',
});
const files = stdout.split('\0').filter((name) => name.endsWith('.ts'));
if (files.length === 0) throw new Error(`${folder} has no sources`);

/** A loose file of the exporter is a room of its own. */
function roomOf(file) {
  const [top, second = ''] = file.split('/');
  return top === 'exporter' ? second : `${top}/`;
}

const rooms = new Map();
const arrows = new Map();
for (const file of files) {
  const text = readFileSync(posix.join(folder, file), 'utf8');
  const room = rooms.get(roomOf(file)) ?? { files: 0, lines: 0 };
  room.files++;
  room.lines += text.split('\n').length - 1;
  rooms.set(roomOf(file), room);
  for (const [, target] of text.matchAll(/\bfrom '(\.[^']+)'/g)) {
    const to = roomOf(posix.join(posix.dirname(file), target));
    if (to === roomOf(file)) continue;
    const arrow = `${roomOf(file)} -> ${to}`;
    arrows.set(arrow, (arrows.get(arrow) ?? 0) + 1);
  }
}
const total = [...rooms.values()].reduce((sum, { lines }) => sum + lines, 0);
for (const [name, { files: count, lines }] of [...rooms].sort())
  console.log(`${name.padEnd(24)} ${String(count).padStart(3)} files ${String(lines).padStart(6)} lines`);
const back = [...arrows.keys()].filter((arrow) => arrows.has(arrow.split(' -> ').reverse().join(' -> ')));
console.log(`${files.length} files in ${rooms.size} rooms, ${total} lines`);
console.log(`${arrows.size} pairs of rooms with imports, ${back.length / 2} of them in both directions`);
