import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DomstatsParser, parseDomstats } from '../../probes/virsh-domstats.ts';
import { ROOT } from '../../testing/daemon.ts';
import { testRobustness } from './robustness.ts';

const CAPTURED = readFileSync(`${ROOT}test/fixtures/libvirt/domstats-9.0.txt`, 'latin1');

test('statistics, disks and IOThreads of a captured domain are read', () => {
  const domain = parseDomstats(CAPTURED).get('lv-1');
  assert.ok(domain);
  assert.equal(domain.state, 1);
  assert.deepEqual([...domain.vcpus.keys()], [0, 1]);
  assert.equal(domain.vcpus.get(0)?.get('exits'), 1468585);
  assert.equal(domain.vcpus.get(1)?.get('halt_wait_ns'), 22427191982);
  assert.equal(domain.vcpus.get(0)?.get('blocking'), 0);
  assert.equal(
    domain.vcpus.get(0)?.has('time'),
    false,
    'what libvirt counts itself is not a statistic of KVM',
  );
  assert.deepEqual([domain.types.get('exits'), domain.types.get('blocking')], ['cumulative', 'instant']);
  assert.deepEqual(
    domain.disks.map(({ name, path }) => [name, path]),
    [
      ['hda', '/var/lib/libvirt/images/boot.img'],
      ['vda', '/var/lib/libvirt/images/disk.img'],
    ],
  );
  assert.deepEqual(domain.disks[0]?.read, { operations: 1, bytes: 512, timeNs: 229210 });
  assert.deepEqual(domain.iothreads, [
    { id: 1, pollMaxNs: 32768, pollGrow: 0, pollShrink: 0, pollWeight: undefined },
  ]);
});

test('the poll-weight of libvirt 12.6', () => {
  const text =
    "Domain: 'web'\n  iothread.count=1\n  iothread.1.poll-max-ns=32768\n  iothread.1.poll-weight=2\n";
  assert.equal(parseDomstats(text).get('web')?.iothreads[0]?.pollWeight, 2);
});

test('flushes that libvirt does not report are unknown', () => {
  const disk = (more: string) =>
    parseDomstats(`Domain: 'web'\n  block.count=1\n  block.0.name=vda\n  block.0.rd.reqs=5\n${more}\n`).get(
      'web',
    )?.disks[0];
  assert.equal(disk('')?.flush, undefined);
  assert.equal(disk('  block.0.fl.reqs=3\n')?.flush?.operations, 3);
});

test('a busy domain has a state and no vCPU statistics', () => {
  const domain = parseDomstats("Domain: 'web'\n  state.state=4\n  vcpu.current=2\n  vcpu.0.state=1\n\n").get(
    'web',
  );
  assert.equal(domain?.state, 4);
  assert.equal(domain?.vcpus.size, 0);
});

test('several domains are kept apart, whatever their names', () => {
  const names = ['web', "o'brien", 'a=b', 'Domain: x', 'münchen'];
  const text = names
    .map((name, i) => `Domain: '${name}'\n  state.state=1\n  vcpu.0.exits.sum=${i}\n\n`)
    .join('');
  const domains = parseDomstats(text);
  assert.deepEqual([...domains.keys()], names);
  assert.deepEqual(
    names.map((name) => domains.get(name)?.vcpus.get(0)?.get('exits')),
    [0, 1, 2, 3, 4],
  );
});

test('a domain name that occurs twice, through a line break in a path, is ignored', () => {
  const forged = "  block.0.path=/x\nDomain: 'victim'\n  vcpu.0.exits.sum=9";
  const text = `Domain: 'evil'\n  vcpu.0.exits.sum=1\n${forged}\n\nDomain: 'victim'\n  vcpu.0.exits.sum=5\n\n`;
  assert.deepEqual([...parseDomstats(text).keys()], ['evil']);
  assert.deepEqual([...parseDomstats(text + text).keys()], []);
});

test('values that are not numbers are ignored', () => {
  const lines = [
    'exits.sum=-1',
    'a.sum=1e9',
    'b.sum=',
    'c.sum=0x1',
    `d.sum=${'9'.repeat(400)}`,
    'e.avg=1',
    'f.sum=7',
    'g.cur=yes',
  ];
  const text = `Domain: 'web'\n${lines.map((line) => `  vcpu.0.${line}\n`).join('')}`;
  assert.deepEqual(Object.fromEntries(parseDomstats(text).get('web')?.vcpus.get(0) ?? []), { f: 7, g: 1 });
});

/** Statistics of each vCPU of `web`, as objects. */
function vcpusOf(...lines: string[]): unknown {
  const web = parseDomstats(
    `Domain: 'other'\n  vcpu.0.a.sum=1\n  vcpu.0.b.cur=2\nDomain: 'web'\n${lines.join('\n')}\n`,
  );
  const { vcpus, types } = web.get('web') ?? {};
  return {
    ...Object.fromEntries([...(vcpus ?? [])].map(([index, row]) => [index, Object.fromEntries(row)])),
    types: Object.fromEntries(types ?? []),
  };
}

test('vCPUs may have other statistics than those before, more, fewer, or in another order', () => {
  const types = { a: 'cumulative', b: 'instant' };
  assert.deepEqual(vcpusOf('  vcpu.0.a.sum=3', '  vcpu.0.b.cur=4'), { 0: { a: 3, b: 4 }, types });
  assert.deepEqual(vcpusOf('  vcpu.0.a.sum=3', '  vcpu.1.b.cur=4'), { 0: { a: 3 }, 1: { b: 4 }, types });
  assert.deepEqual(vcpusOf('  vcpu.7.b.cur=4', '  vcpu.7.a.sum=3'), { 7: { a: 3, b: 4 }, types });
  assert.deepEqual(
    vcpusOf(
      '  vcpu.0.a.sum=3',
      '  vcpu.0.b.cur=4',
      '  vcpu.0.c.max=5',
      '  vcpu.1.a.sum=6',
      '  vcpu.1.b.cur=x',
    ),
    { 0: { a: 3, b: 4, c: 5 }, 1: { a: 6 }, types: { ...types, c: 'peak' } },
  );
});

test('a statistic that occurs twice has its last value and its first type, also after another vCPU', () => {
  assert.deepEqual(vcpusOf('  vcpu.0.x.sum=1', '  vcpu.0.y.sum=2', '  vcpu.0.x.cur=3'), {
    0: { x: 3, y: 2 },
    types: { x: 'cumulative', y: 'cumulative' },
  });
  assert.deepEqual(vcpusOf('  vcpu.0.x.sum=1', '  vcpu.1.x.sum=2', '  vcpu.0.y.sum=3', '  vcpu.0.x.max=4'), {
    0: { x: 4, y: 3 },
    1: { x: 2 },
    types: { x: 'cumulative', y: 'cumulative' },
  });
});

test('numbers are exact up to 2^53, and have at most 20 digits', () => {
  const values = [
    '0',
    '007',
    '999999999999999',
    '1000000000000001',
    '9007199254740991',
    '12345678901234567890',
  ];
  const lines = values.map((value, i) => `  vcpu.0.n${i}.sum=${value}`);
  const row = parseDomstats(`Domain: 'web'\n${lines.join('\n')}\n  vcpu.0.m.sum=123456789012345678901\n`);
  assert.deepEqual([...(row.get('web')?.vcpus.get(0)?.values() ?? [])], values.map(Number));
});

test('no domain is not an error; other output is', () => {
  assert.equal(parseDomstats('').size, 0);
  assert.equal(parseDomstats('\n').size, 0);
  assert.throws(() => parseDomstats('error: failed to connect\n'), { kind: 'malformed' });
});

test('the result does not depend on the chunk size', () => {
  for (const size of [1, 7, 100, 4096]) {
    const parser = new DomstatsParser();
    for (let at = 0; at < CAPTURED.length; at += size) parser.push(CAPTURED.slice(at, at + size));
    assert.deepEqual(parser.end().domains, parseDomstats(CAPTURED), `${size}`);
  }
});

test('a domain that is too large is dropped and reported by name; the others stay', () => {
  const parser = new DomstatsParser();
  parser.push("Domain: 'before'\n  vcpu.0.exits.sum=1\nDomain: 'large'\n");
  for (let i = 0; i < 100_000; i++) parser.push(`  vcpu.${i}.exits.sum=${'1'.padStart(20, '0')}0\n`);
  parser.push(`  vcpu.1.halted.sum=2\nDomain: 'line'\n  block.0.path=`);
  for (let i = 0; i < 100; i++) parser.push('x'.repeat(1000));
  parser.push("\n  vcpu.0.exits.sum=1\nDomain: 'after'\n  vcpu.0.exits.sum=1\n");
  const { domains, problems } = parser.end();
  assert.deepEqual([...domains.keys()], ['before', 'after']);
  assert.deepEqual(
    problems.map(({ kind, reason }) => [kind, /domain (\w+)/.exec(reason)?.[1]]),
    [
      ['too_large', 'large'],
      ['too_large', 'line'],
    ],
  );
});

testRobustness('parseDomstats', parseDomstats, [CAPTURED]);
