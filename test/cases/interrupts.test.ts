import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { interrupts } from '../../exporter/collectors/interrupts.ts';
import { IoPathCpus } from '../../exporter/collectors/io-path-cpus.ts';
import { Families } from '../../exporter/metrics/families.ts';
import type { SourceError } from '../../probes/errors.ts';
import { caseText } from '../../testing/cases.ts';
import { type HostTree, hostTree } from '../../testing/host-tree.ts';

interface Scraped {
  readonly values: ReadonlyMap<string, number>;
  readonly problems: readonly SourceError[];
}

/** A collector that reads the tree again and again. */
function scraper(tree: HostTree): () => Promise<Scraped> {
  const collector = interrupts(new IoPathCpus());
  return async () => {
    const families = new Families(10_000);
    const problems: SourceError[] = [];
    const collection = { host: tree.host, families, vms: [], yieldIfDue: async () => undefined };
    await collector.collect(collection as never, (problem) => problems.push(problem));
    const values = families
      .sorted()
      .flatMap(({ name, labels, values: all }) =>
        labels.map((block, i) => [`${name}{${block}}`, all[i] ?? Number.NaN] as const),
      );
    return { values: new Map(values), problems };
  };
}

function treeOf(context: TestContext, name: string, ...parts: string[]): HostTree {
  const tree = hostTree(context);
  tree.write('proc/interrupts', caseText(name, ...parts, 'proc/interrupts'));
  return tree;
}

test('case interrupts-sum-wraps: the sum does not fall when a column passes 2^32', async (context) => {
  const tree = treeOf(context, 'interrupts-sum-wraps', 't0');
  const scrape = scraper(tree);
  const key = 'kvm_interrupts_total{type="PIN"}';
  const first = (await scrape()).values.get(key) ?? Number.NaN;
  tree.write('proc/interrupts', caseText('interrupts-sum-wraps', 't1', 'proc/interrupts'));
  const second = (await scrape()).values.get(key) ?? Number.NaN;
  assert.equal(first, 41494900465);
  assert.equal(second - first, 3_200_000);
});

test('case nvme-shared-line: each queue of a line has its interrupts and CPUs', async (context) => {
  const tree = treeOf(context, 'nvme-shared-line');
  tree.write('proc/irq/16/effective_affinity_list', '3\n');
  for (const irq of [127, 128]) tree.write(`proc/irq/${irq}/effective_affinity_list`, '0\n');
  const { values, problems } = await scraper(tree)();
  assert.deepEqual(problems, []);
  for (const queue of [0, 1]) {
    const labels = `controller="nvme0",queue="${queue}"`;
    assert.equal(values.get(`kvm_nvme_queue_interrupts_total{${labels}}`), 1_204_443);
    assert.equal(values.get(`kvm_nvme_queue_affinity_info{${labels},cpus="3"}`), 1);
  }
  assert.equal(values.get('kvm_nvme_queue_interrupts_total{controller="nvme1",queue="1"}'), 78_012);
  assert.equal(values.get('kvm_interrupts_total{type="LOC"}'), 1_404_536);
});

test('case arm64-interrupts: the text identifies the types that x86 calls RES, CAL and LOC', async (context) => {
  const tree = treeOf(context, 'arm64-interrupts');
  for (const irq of [55, 56, 57]) tree.write(`proc/irq/${irq}/effective_affinity_list`, '0\n');
  const { values } = await scraper(tree)();
  const of = (type: string): number | undefined => values.get(`kvm_interrupts_total{type="${type}"}`);
  assert.deepEqual([of('RES'), of('CAL'), of('LOC')], [4_023_364, 160_492, 7_822_597]);
  assert.equal(of('kvm guest vtimer'), 12345 + 22345 + 32345 + 42345);
  assert.equal(values.get('kvm_nvme_queue_interrupts_total{controller="nvme0",queue="1"}'), 908_812);
});

test('the sum does not fall while a CPU is offline', async (context) => {
  const tree = hostTree(context);
  const scrape = scraper(tree);
  const at = async (text: string): Promise<number | undefined> => {
    tree.write('proc/interrupts', text);
    return (await scrape()).values.get('kvm_interrupts_total{type="RES"}');
  };
  assert.equal(await at(' CPU0 CPU1\nRES: 10 1000 Rescheduling interrupts\n'), 1010);
  assert.equal(await at(' CPU0\nRES: 12 Rescheduling interrupts\n'), 1012);
  assert.equal(await at(' CPU0 CPU1\nRES: 12 1001 Rescheduling interrupts\n'), 1013);
});

test('POWER: two lines LOC, IPIs with a number, and doorbells', async (context) => {
  const tree = hostTree(context);
  const scrape = scraper(tree);
  // LKML 2024 "POWER9: duplicate interrupt line in /proc/interrupts".
  const text = (timer: number, others: number): string =>
    [
      '           CPU0       CPU8',
      ' 16:       4051       3210  XIVE-IPI   0 Edge      IPI-0',
      ' 18:        900        800  XIVE-IRQ 4063233 Edge      nvme0q1',
      `LOC:      ${timer}      ${timer}   Local timer interrupts for timer event device`,
      `LOC:      ${others}      ${others}   Local timer interrupts for others`,
      'DBL:        100        200   Doorbell interrupts',
      '',
    ].join('\n');
  const loc = async (...counts: [number, number]): Promise<number | undefined> => {
    tree.write('proc/interrupts', text(...counts));
    return (await scrape()).values.get('kvm_interrupts_total{type="LOC"}');
  };
  assert.equal(await loc(1000, 100), 2200);
  assert.equal(await loc(1008, 102), 2220);
});

test('LoongArch: the text follows its name and a number', async (context) => {
  const tree = hostTree(context);
  tree.write('proc/interrupts', ' CPU0 CPU1\nIPI0: 3 4  LoongArch  1  Rescheduling interrupts\n');
  assert.equal((await scraper(tree)()).values.get('kvm_interrupts_total{type="RES"}'), 7);
});

test('one queue of two lines is one series', async (context) => {
  const tree = hostTree(context);
  tree.write('proc/interrupts', ' CPU0\n 1: 5 X nvme0q1\n 2: 6 X nvme0q1\n');
  for (const irq of [1, 2]) tree.write(`proc/irq/${irq}/effective_affinity_list`, '0\n');
  const { values } = await scraper(tree)();
  assert.equal(values.get('kvm_nvme_queue_interrupts_total{controller="nvme0",queue="1"}'), 11);
});
