// Writes what the BPF iterators give on this host to FOLDER/bpf, for a copy of the host (--path.rootfs=FOLDER).
// Usage, as root: npm run build && node dist/scripts/capture-rows.js FOLDER
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { captureRows } from '../probes/bpf/capture.ts';
import { openLibbpf } from '../probes/bpf/libbpf.ts';
import { createHost } from '../probes/host.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('name the folder of the copy');
const roots = { debugfs: '', tracefs: '', libvirt: '', libvirtConfig: '' };
const rows = captureRows(openLibbpf(), createHost({ ...roots, procfs: '/proc', sysfs: '/sys' }));
mkdirSync(join(folder, 'bpf'), { recursive: true });
for (const [name, bytes] of Object.entries(rows)) writeFileSync(join(folder, 'bpf', name), bytes);
