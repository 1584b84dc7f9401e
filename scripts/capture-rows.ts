// Writes what the BPF iterators give on this host to FOLDER/bpf, for a copy of the host (--path.rootfs=FOLDER).
// With process ids, only the VMs of these. Usage, as root: npm run build && node dist/scripts/capture-rows.js FOLDER [PID ...]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootsOf } from '../exporter/config/roots.ts';
import { captureRows } from '../probes/bpf/capture.ts';
import { openLibbpf } from '../probes/bpf/libbpf.ts';
import { createHost } from '../probes/host.ts';

const [folder, ...pids] = process.argv.slice(2);
if (folder === undefined) throw new Error('name the folder of the copy');
const only = pids.length === 0 ? undefined : new Set(pids.map(Number));
const rows = captureRows(openLibbpf(), createHost(rootsOf({ 'path.rootfs': '/' })), only);
mkdirSync(join(folder, 'bpf'), { recursive: true });
for (const [name, bytes] of Object.entries(rows)) writeFileSync(join(folder, 'bpf', name), bytes);
