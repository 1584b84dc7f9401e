import { fork } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { startExporter } from './daemon.ts';
import { generateHost, pidOf, removeVm, uuidOf, vmName, writeVm } from './generate-host.ts';
import { fetchMetrics, seriesIn } from './http.ts';
import { cpuSeconds, memory } from './process-cost.ts';
import { median } from './statistics.ts';

const FIXTURES = fileURLToPath(new URL('../../test/fixtures/hosts/linux-nvme-vhost/t0', import.meta.url));
const SOCKETS = '/run/kvm-telemetry/qmp';
const SOCKET_FD = 200;

const { values } = parseArgs({
  options: {
    vms: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '20' },
    births: { type: 'string', default: '1000' },
  },
});
const vms = Number(values.vms);
const rounds = Number(values.rounds);
const births = Number(values.births);

const { path: scratch } = memoryFolder('kt-');
exitBySignal();
const rootfs = `${scratch}/h`;
const sockets = `${rootfs}${SOCKETS}`;
const listening = new Map<number, string>();

process.stderr.write(`${vms} VMs: generating the host\n`);
generateHost(FIXTURES, rootfs, vms);
mkdirSync(sockets, { recursive: true });
mkdirSync(`${rootfs}/proc/1/net`, { recursive: true });
const monitors = fork(fileURLToPath(new URL('./qmp-monitors.js', import.meta.url)), [`${FIXTURES}/qmp/vm-a`]);
process.once('exit', () => monitors.kill());
for (let index = 0; index < vms; index++) await giveMonitor(index);

const withMonitors = await measure([]);
const without = await measure(['--no-collector.qmp']);
const leak = await birthsAndDeaths();
monitors.disconnect();
monitors.kill();

const ms = (seconds: number): string => (seconds * 1000).toFixed(1);
process.stdout.write(
  [
    '| VMs | KVM statistics from | CPU ms a scrape | wall ms | series | RSS MiB |',
    '|--:|---|--:|--:|--:|--:|',
    `| ${vms} | debugfs | ${ms(without.cpu)} | ${ms(without.wall)} | ${without.series} | ${without.rss.toFixed(0)} |`,
    `| ${vms} | QMP | ${ms(withMonitors.cpu)} | ${ms(withMonitors.wall)} | ${withMonitors.series} | ${withMonitors.rss.toFixed(0)} |`,
    '',
    `Descriptors of the exporter: ${leak.before} before and ${leak.after} after ${births} VMs were born and died; RSS ${leak.rssBefore.toFixed(0)} and ${leak.rssAfter.toFixed(0)} MiB.`,
    '',
  ].join('\n'),
);

interface Cost {
  readonly cpu: number;
  readonly wall: number;
  readonly series: number;
  readonly rss: number;
}

async function measure(flags: readonly string[]): Promise<Cost> {
  // The sampler is off because its cost is not part of the scrape.
  const daemon = await startExporter(rootfs, [
    '--sampler.schedule=0 0 0 1 1 *',
    '--inventory.schedule=0 0 0 1 1 *',
    ...flags,
  ]);
  for (let i = 0; i < 5; i++) await fetchMetrics(daemon.port, false);
  const cpus: number[] = [];
  const walls: number[] = [];
  let text = '';
  for (let round = 0; round < rounds; round++) {
    const before = cpuSeconds(daemon.pid);
    const answer = await fetchMetrics(daemon.port, false);
    cpus.push(cpuSeconds(daemon.pid) - before);
    walls.push(answer.seconds);
    text = answer.text();
  }
  const rss = memory(daemon.pid).rssMiB;
  await daemon.stop();
  const vcpus = text.match(/^kvm_vcpu_exits_total\{/gm)?.length ?? 0;
  if (vcpus !== (flags.length === 0 ? vms * 8 : 0)) throw new Error(`${vcpus} vCPUs with exits`);
  return { cpu: median(cpus), wall: median(walls), series: seriesIn(text), rss };
}

/** Each round, ten VMs exit and ten start with new process ids, then a scrape discovers them. */
async function birthsAndDeaths(): Promise<{
  before: number;
  after: number;
  rssBefore: number;
  rssAfter: number;
}> {
  const daemon = await startExporter(rootfs);
  const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
  for (let i = 0; i < 5; i++) await fetchMetrics(daemon.port, false);
  const before = descriptors();
  const rssBefore = memory(daemon.pid).rssMiB;
  const BATCH = 10;
  for (let born = 0; born < births; born += BATCH) {
    for (let i = 0; i < BATCH; i++) {
      await takeMonitor(born + i);
      removeVm(rootfs, born + i);
      writeVm(FIXTURES, rootfs, vms + born + i);
      await giveMonitor(vms + born + i);
    }
    await fetchMetrics(daemon.port, false);
  }
  const text = (await fetchMetrics(daemon.port, false)).text();
  const answered = text.match(/^kvm_vm_source_up\{.*source="qmp"\} 1$/gm)?.length ?? 0;
  if (answered !== vms) throw new Error(`${answered} of ${vms} VMs answer`);
  const result = { before, after: descriptors(), rssBefore, rssAfter: memory(daemon.pid).rssMiB };
  await daemon.stop();
  return result;
}

async function giveMonitor(index: number): Promise<void> {
  const pid = pidOf(index);
  symlinkSync(`socket:[${pid}]`, `${rootfs}/proc/${pid}/fd/${SOCKET_FD}`);
  listening.set(pid, `${SOCKETS}/${vmName(index)}.sock`);
  writeListening();
  await ask({ open: `${sockets}/${vmName(index)}.sock`, pid, uuid: uuidOf(index) });
}

async function takeMonitor(index: number): Promise<void> {
  listening.delete(pidOf(index));
  writeListening();
  await ask({ close: `${sockets}/${vmName(index)}.sock` });
}

function writeListening(): void {
  const lines = [...listening].map(
    ([inode, path]) => `0000000000000000: 00000002 00000000 00010000 0001 01 ${inode} ${path}`,
  );
  writeFileSync(
    `${rootfs}/proc/1/net/unix`,
    `Num RefCount Protocol Flags Type St Inode Path\n${lines.join('\n')}\n`,
  );
}

function ask(message: object): Promise<void> {
  return new Promise((resolve) => {
    monitors.once('message', () => resolve());
    monitors.send(message);
  });
}
