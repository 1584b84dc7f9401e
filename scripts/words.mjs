// Refuses the words that docs/style.md replaces, in code, docs and generated texts. Prints one line per
// finding.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { root } from './prepare.mjs';

/** Each word with the word to use. Finds identifiers too: `giveWay` as well as "give way". */
const WORDS = [
  [/\bmend(s|ed|ing)?\b/i, 'fix, repair'],
  [/\bbreathe[sd]?\b|\bbreathing\b|\bbreathe(?=[A-Z(])/i, 'yield'],
  [/\bgiv(e|es|ing) way\b|giveWay/i, 'yield'],
  [/misfortune/i, 'fault injection'],
  [/\bstrangers?\b/i, 'new, first seen'],
  [/\bnobody (who|that)\b|\bwhoever\b|\bwhomever\b/i, 'name who'],
  [/\bbecomes? of it\b|\bcame of it\b/i, 'result'],
  [/\bnot to be had\b|\bto be had\b/i, 'not available'],
  [/\bin vain\b/i, 'without success'],
  [/\bso long as\b/i, 'while'],
  [/\bof which (is|are|was|nothing)\b/i, 'rewrite the sentence'],
  [/\bonce in a while\b/i, 'give the interval'],
  [/\bmeanwhile\b/i, 'say when'],
  [/\banew\b/i, 'again'],
  [/\bput(s)? (it|them|that) right\b/i, 'fix'],
  [/\b(is|are|was|were) told\b|\btells\b|\btell (of|apart)\b/i, 'report, distinguish'],
  [/\blook(s|ed)? at\b|\ba look\b/i, 'read, check, scan'],
  [/\bwhere (it|they) should\b/i, 'expected affinity'],
  [/\bnext to (no|none|nothing)\b/i, 'almost no'],
  [/\bstands? still\b/i, 'stall, stop'],
  [/\bfrom time to time\b/i, 'give the interval'],
  [/\bcosts? itself\b/i, 'affects only'],
  [/\bnone but\b|\bnothing but\b/i, 'only'],
  [/\breckon(s|ed|ing)?\b/i, 'compute'],
  [/\bis said\b|\bare said\b/i, 'is reported'],
];

const SKIPPED =
  /^(LICENSE|package-lock\.json|docs\/style\.md|scripts\/words\.mjs|test\/fixtures\/|test\/golden\/)/;
const TEXT = /\.(ts|mjs|cjs|md|c|h|yml|yaml|json|html|css|sh|service)$|^Dockerfile$|^\.ci\/run$/;

const { stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
const files = stdout.split('\0').filter((name) => TEXT.test(name) && !SKIPPED.test(name));
if (files.length < 100) throw new Error('git lists too few files');
let findings = 0;
for (const file of files) {
  readFileSync(root + file, 'utf8')
    .split('\n')
    .forEach((line, i) => {
      for (const [pattern, instead] of WORDS) {
        const match = pattern.exec(line);
        if (match === null) continue;
        findings++;
        console.error(`${file}:${i + 1}: "${match[0]}": write ${instead} (docs/style.md)`);
      }
    });
}
console.log(`words: ${files.length} files, ${findings} findings`);
process.exitCode = findings === 0 ? 0 : 1;
