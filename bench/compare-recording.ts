import { createWriteStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { measureCompare } from './compare-process.ts';

// The time and memory of `compare` on a recording of nearly as many samples as it reads.

const VMS = 10;
const SERIES = 130;
const SCRAPES = 3000;
const INTERVAL = 15;
const end = Math.floor(Date.now() / 1000);
const start = end - SCRAPES * INTERVAL;

const { path: folder, remove } = memoryFolder('kt-compare-');
try {
  const file = join(folder, 'recording');
  const out = createWriteStream(file);
  const names = Array.from({ length: VMS }, (_, i) => `vm-${i}`);
  const series = names.flatMap((vm) => [
    `kvm_vm_vcpus{vm="${vm}"}`,
    `kvm_vm_disk_reads_completed_total{vm="${vm}",disk="vda"}`,
    `kvm_vm_disk_writes_completed_total{vm="${vm}",disk="vda"}`,
    ...Array.from(
      { length: SERIES - 3 },
      (_, i) => `kvm_thread_cpu_seconds_total{vm="${vm}",thread="vcpu${i}",role="vcpu",mode="user"}`,
    ),
  ]);
  out.write(`${JSON.stringify({ recording: 1, host: 'kvm1' })}\n`);
  for (let scrape = 1; scrape <= SCRAPES; scrape++) {
    const values = series.map((name, i) =>
      name.startsWith('kvm_vm_vcpus')
        ? 4
        : Number((scrape * (1000.5 + i) + ((scrape * 7919) % 97)).toFixed(2)),
    );
    const line = { at: start + scrape * INTERVAL, ...(scrape === 1 && { new: series }), values };
    if (!out.write(`${JSON.stringify(line)}\n`))
      await new Promise<void>((resolve) => out.once('drain', resolve));
  }
  await new Promise<void>((resolve) => out.end(resolve));
  const middle = (start + end) / 2;
  const { text } = await measureCompare([
    ...['--recording', file, '--vm', '*', '--format', 'html'],
    ...['--before', `${start}/${middle}`, '--after', `${middle}/${end}`],
  ]);
  const samples = SCRAPES * series.length;
  console.log(
    `${(samples / 1e6).toFixed(1)} million samples, ${(statSync(file).size / 1e6).toFixed(0)} MB: ${text}`,
  );
} finally {
  remove();
}
