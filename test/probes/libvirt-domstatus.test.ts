import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { listDomstatus, parseDomstatus, readDomstatus } from '../../probes/libvirt-domstatus.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { DOMSTATUS } from './domstatus-sample.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };

function edited(from: string | RegExp, to: string): ReturnType<typeof parseDomstatus> {
  const text = DOMSTATUS.replace(from, () => to);
  assert.notEqual(text, DOMSTATUS);
  return parseDomstatus(text);
}

test('a running domain is read', () => {
  assert.deepEqual(parseDomstatus(DOMSTATUS), {
    metadata: { tenant: '', project: '', flavor: '' },
    name: 'debian-12',
    uuid: '8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10',
    pid: 4242,
    state: 'running',
    job: '',
    vcpus: [
      { id: 0, tid: 4251 },
      { id: 2, tid: 4253 },
    ],
    iothreads: [1, 4],
    pins: {
      vcpus: new Map([
        [0, [1]],
        [2, [2, 4]],
      ]),
      iothreads: new Map([[1, [5]]]),
      emulator: [0],
    },
    disks: [
      {
        target: 'vda',
        type: 'block',
        iothread: 1,
        iothreads: [],
        queues: 2,
        cache: 'none',
        io: 'native',
        source: '/dev/nvme0n1',
      },
    ],
    files: { disks: ['/dev/nvme0n1'], others: [] },
  });
});

test('the long job of a domain is its name, and nothing that is none', () => {
  const withJob = (attributes: string): string => edited('<vcpus>', `<job ${attributes}/><vcpus>`).job;
  assert.equal(withJob("type='none' async='migration out' phase='perform3' flags='0x301'"), 'migration out');
  for (const attributes of [
    "type='query' async='none'",
    "type='modify'",
    `async='${'x'.repeat(33)}'`,
    "async='A&#10;b'",
  ])
    assert.equal(withJob(attributes), '', attributes);
});

test('one vCPU and one IOThread are lists of one, none is an empty list', () => {
  assert.deepEqual(edited("<vcpu id='2' pid='4253'/>", '').vcpus, [{ id: 0, tid: 4251 }]);
  assert.deepEqual(edited(/<iothread id='4'[\s\S]*?<\/iothread>/, '').iothreads, [1]);
  assert.deepEqual(edited(/<vcpus>[\s\S]*?<\/vcpus>/, '<vcpus/>').vcpus, []);
});

test('a vCPU that is not plugged, or that TCG runs, has no thread', () => {
  assert.deepEqual(edited("pid='4253'", "pid='0'").vcpus, [{ id: 0, tid: 4251 }]);
  assert.deepEqual(edited("pid='4253'", "pid='-1'").vcpus, [{ id: 0, tid: 4251 }]);
});

test('libvirt before 2.2 lists the threads of the vCPUs without ids', () => {
  const text = `<domstatus state='running' pid='10'><vcpus><vcpu pid='11'/><vcpu pid='12'/></vcpus><domain><name>x</name><uuid>u</uuid></domain></domstatus>`;
  assert.deepEqual(parseDomstatus(text).vcpus, [
    { id: 0, tid: 11 },
    { id: 1, tid: 12 },
  ]);
});

test('IOThreads without ids are numbered from 1, up to a number that QEMU could start', () => {
  const withoutIds = DOMSTATUS.replace(/<iothreadids>[\s\S]*?<\/iothreadids>/, '');
  assert.deepEqual(parseDomstatus(withoutIds).iothreads, [1, 2]);
  const count = (text: string) =>
    parseDomstatus(withoutIds.replace('<iothreads>2<', `<iothreads>${text}<`)).iothreads.length;
  assert.deepEqual(['0', '-1', 'x', '', '9999999999'].map(count), [0, 0, 0, 0, 1024]);
});

test('a name may hold whatever XML escapes, digits only, and UTF-8', () => {
  const named = (name: string) => edited('<name>debian-12<', `<name>${name}<`).name;
  assert.equal(named('a&amp;b&lt;c&gt;d&quot;e&apos;f'), 'a&b<c>d"e\'f');
  assert.equal(named('0042'), '0042');
  assert.equal(named('true'), 'true');
  assert.equal(named(Buffer.from('été').toString('latin1')), 'été');
  assert.equal(named('&amp;lt;'), '&lt;');
  assert.equal(named('__proto__'), '__proto__');
});

test("a tenant's metadata cannot pose as the domain's own name, pid or threads", () => {
  const { name, pid, vcpus, iothreads } = edited(
    '<app:owner>',
    "<domstatus pid='1'/><name>evil</name><vcpus><vcpu id='9' pid='9'/></vcpus><iothreadids><iothread id='9'/></iothreadids><app:owner>",
  );
  assert.deepEqual([name, pid, vcpus.length, iothreads], ['debian-12', 4242, 2, [1, 4]]);
});

test('a description of a hundred thousand escaped characters does not hide the domain', () => {
  assert.equal(edited('>of the web shop<', `>${'&amp;&quot;'.repeat(50_000)}<`).name, 'debian-12');
});

test('entities that a document declares do not blow up', () => {
  const levels = Array.from({ length: 12 }, (_, i) => `<!ENTITY e${i + 1} "${`&e${i};`.repeat(10)}">`);
  const bomb = `<!DOCTYPE domstatus [<!ENTITY e0 "0123456789">${levels.join('')}]>`;
  const text = `${bomb}${DOMSTATUS.replace('debian-12', '&e12;')}`;
  const outcome = (() => {
    try {
      return parseDomstatus(text).name;
    } catch (error) {
      return error;
    }
  })();
  assert.ok(typeof outcome === 'string' ? outcome.length < 1e6 : (outcome as Error).name === 'SourceError');
});

test('what is not a running domain is malformed', () => {
  for (const text of [
    '',
    ' ',
    '<',
    '<a/>',
    'domstatus',
    '<domstatus/>',
    "<domstatus pid='1'><domain/></domstatus>",
    '{}',
    '\0',
  ]) {
    assert.throws(() => parseDomstatus(text), malformed, text);
  }
  assert.throws(() => edited("pid='4242'", "pid='x'"), malformed);
  assert.throws(() => edited("pid='4242'", ''), malformed);
  assert.throws(() => edited('<uuid>', '<uuid><x/>'), malformed);
  assert.throws(() => edited('<name>debian-12</name>', '<name>a</name><name>b</name>'), malformed);
});

test('state files are listed beside the pid files and directories of libvirt', (context) => {
  const { host, write, remove } = hostTree(context);
  assert.deepEqual(listDomstatus(host), []);
  write('run/libvirt/qemu/debian-12.xml', DOMSTATUS);
  write('run/libvirt/qemu/debian-12.pid', '4242\n');
  write('run/libvirt/qemu/debian-12.xml.new', '');
  write('run/libvirt/qemu/autostarted', '');
  assert.deepEqual(listDomstatus(host), ['debian-12.xml']);
  assert.equal(readDomstatus(host, 'debian-12.xml').pid, 4242);
  remove('run/libvirt/qemu/debian-12.xml');
  assert.throws(() => readDomstatus(host, 'debian-12.xml'), { name: 'SourceError', kind: 'absent' });
});

test('a file of a domain with letters beyond ASCII in its name can be opened', (context) => {
  const { host, write } = hostTree(context);
  write('run/libvirt/qemu/été.xml', DOMSTATUS);
  const [file = ''] = listDomstatus(host);
  assert.equal(readDomstatus(host, file).pid, 4242);
});

test('any name that libvirt may escape comes back', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => text.trim() === text && !/[\r\n]/.test(text));
  fc.assert(
    fc.property(name, (text) => {
      const escaped = text
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll("'", '&apos;')
        .replaceAll('"', '&quot;');
      assert.equal(edited('>debian-12<', `>${Buffer.from(escaped).toString('latin1')}<`).name, text);
    }),
  );
});

testCutIsNeverMisread('parseDomstatus', parseDomstatus, DOMSTATUS);
const XML_UNITS = [' ', '<', '&', '"', '\0', '- ', '<a>', '<a/>', "<a b='", '&amp;', '<!--', '<![CDATA['];
testRobustness('parseDomstatus', parseDomstatus, [DOMSTATUS], XML_UNITS);
