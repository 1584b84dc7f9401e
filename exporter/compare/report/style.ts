/** Style of the report in HTML. The colours are those of the live page (exporter/page/browser/page.css). */
export const STYLE = `
:root {
  color-scheme: light dark;
  --bg: #f6f7f9; --card: #fff; --text: #1b2330; --muted: #5a6676; --line: #dde2e9;
  --good: #14713d; --bad: #b3261e; --mark: #7b3fb5;
  --c0: #4d5a6b; --c1: #0b62c4; --c2: #14804a; --c3: #c2410c; --c4: #8b3fb8; --c5: #0e7490; --c6: #be185d; --c7: #a16207;
  font: 15px / 1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #0f1319; --card: #171d26; --text: #e4e9f0; --muted: #9aa7b8; --line: #2a3340;
    --good: #62d394; --bad: #ff8f86; --mark: #c99bff;
    --c0: #a9b6c6; --c1: #6cb2ff; --c2: #5fd394; --c3: #ff9d5c; --c4: #cf9bf5; --c5: #4fd0e0; --c6: #ff86b3; --c7: #e8c34a;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 48px; max-width: 1240px; background: var(--bg); color: var(--text); }
h1 { margin: 0 0 4px; font-size: 24px; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 36px 0 10px; font-size: 18px; }
h3 { margin: 0 0 6px; font-size: 14px; font-weight: 600; }
p { margin: 0 0 8px; max-width: 90ch; overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 20px; max-width: 90ch; overflow-wrap: anywhere; }
.muted { color: var(--muted); }
.grid-of-cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 14px; }
.card { padding: 12px 14px; border: 1px solid var(--line); border-radius: 8px; background: var(--card); margin-bottom: 14px; }
.grid-of-cards .card { margin: 0; }
svg { display: block; width: 100%; height: auto; font-size: 12px; fill: var(--text); font-variant-numeric: tabular-nums; }
svg .grid, svg .begin { stroke: var(--line); stroke-width: 1; }
svg .begin { stroke: var(--muted); stroke-dasharray: 3 3; }
svg .tick { fill: var(--muted); font-size: 11px; }
svg .whisker { fill: none; stroke: var(--text); stroke-width: 1.5; }
svg .line { fill: none; stroke: var(--colour); stroke-width: 1.5; stroke-linejoin: round; }
svg .bar { fill: var(--colour); fill-opacity: 0.8; }
svg .band { fill: var(--colour); fill-opacity: 0.1; }
${Array.from({ length: 8 }, (_, i) => `.c${i} { --colour: var(--c${i}); }`).join(' ')}
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 10px; padding: 0; list-style: none; max-width: none; }
.legend i { display: inline-block; width: 11px; height: 11px; margin-right: 6px; border-radius: 2px; background: var(--colour); }
.scroll { overflow-x: auto; }
.table { margin: 14px 0; padding: 2px 0 6px; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 8px 10px 3px; text-align: left; vertical-align: top; }
tr.of > * { padding-top: 0; }
tbody tr:not(.of) > * { border-top: 1px solid var(--line); }
thead th { color: var(--muted); font-weight: 600; font-size: 13px; vertical-align: bottom; }
th[scope="row"] { position: sticky; left: 0; background: var(--card); min-width: 11.5em; max-width: 16em; font-weight: 600; font-size: 14px; overflow-wrap: anywhere; }
th small { font-size: 12px; font-weight: 400; color: var(--muted); }
td { min-width: 5.5em; }
td b { font-size: 16px; font-weight: 600; white-space: nowrap; }
.gain { font-size: 12.5px; white-space: nowrap; }
.time { display: block; min-width: 13em; }
.gain .range { color: var(--muted); }
.better { color: var(--good); } .worse { color: var(--bad); } .changed { color: var(--mark); }
.same, .unknown { color: var(--muted); }
@media (max-width: 600px) {
  body { padding: 16px 12px 32px; }
  .card { padding: 10px; }
  th, td { padding-left: 8px; padding-right: 8px; }
  th[scope="row"] { min-width: 9.8em; font-size: 12.5px; }
  th small { font-size: 11px; }
  .wide { min-width: 640px; }
}
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  :root {
    color-scheme: light; font-size: 11px; print-color-adjust: exact; -webkit-print-color-adjust: exact;
    --bg: #fff; --card: #fff; --text: #000; --muted: #444; --line: #ccc; --good: #14713d; --bad: #b3261e; --mark: #7b3fb5;
    --c0: #4d5a6b; --c1: #0b62c4; --c2: #14804a; --c3: #c2410c; --c4: #8b3fb8; --c5: #0e7490; --c6: #be185d; --c7: #a16207;
  }
  body { padding: 0; max-width: none; }
  p, ul { max-width: none; }
  h2 { margin-top: 18px; break-after: avoid; }
  .card, tr, .grid-of-cards .card { break-inside: avoid; }
  .grid-of-cards { grid-template-columns: 1fr 1fr; }
  .scroll { overflow: visible; }
  td b { font-size: 13px; }
  .gain, th small { font-size: 9.5px; }
  th, td { padding: 4px 6px 1px; }
  th[scope="row"] { position: static; }
}
`;
