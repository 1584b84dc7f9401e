import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDomainPins, readDomainPins } from '../../probes/libvirt-domain-xml.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

/** As libvirt 9.0 writes it to /etc/libvirt/qemu/web.xml, shortened. */
const DEFINITION = `<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh edit web
or other application using the libvirt API.
-->

<domain type='kvm'>
  <name>web</name>
  <uuid>8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10</uuid>
  <metadata>
    <app:vm xmlns:app="http://example.org/app">
      <app:owner>Tenant &amp; sons</app:owner>
    </app:vm>
  </metadata>
  <memory unit='KiB'>2097152</memory>
  <vcpu placement='static' cpuset='0-3'>4</vcpu>
  <iothreads>2</iothreads>
  <cputune>
    <vcpupin vcpu='0' cpuset='1'/>
    <vcpupin vcpu='1' cpuset='2-4,^3'/>
    <emulatorpin cpuset='0'/>
    <iothreadpin iothread='1' cpuset='5'/>
  </cputune>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
  </devices>
</domain>
`;

const parse = (text: string) => parseDomainPins(text, [0, 1, 2], [1, 2]);
const edited = (from: string | RegExp, to: string) => {
  assert.notEqual(DEFINITION.replace(from, to), DEFINITION);
  return parse(DEFINITION.replace(from, to));
};
const malformed = { name: 'SourceError', kind: 'malformed' };

test('pins, and the shared set for threads without a pin', () => {
  assert.deepEqual(parse(DEFINITION), {
    vcpus: new Map([
      [0, [1]],
      [1, [2, 4]],
      [2, [0, 1, 2, 3]],
    ]),
    iothreads: new Map([
      [1, [5]],
      [2, [0, 1, 2, 3]],
    ]),
    emulator: [0],
  });
  assert.deepEqual([...edited(" cpuset='0-3'>", '>').vcpus.keys()], [0, 1]);
});

test('a definition without pins has none', () => {
  const { vcpus, iothreads, emulator } = parseDomainPins(
    "<domain type='kvm'><name>x</name></domain>",
    [0],
    [1],
  );
  assert.deepEqual([vcpus.size, iothreads.size, emulator], [0, 0, undefined]);
});

test('a set that cannot be read costs its own pin only', () => {
  const { vcpus, emulator } = edited("cpuset='2-4,^3'", "cpuset='nonsense'");
  assert.deepEqual([[...vcpus.keys()], emulator], [[0, 2], [0]]);
});

test("a tenant's metadata cannot pose as pins", () => {
  const fake = "<cputune><vcpupin vcpu='0' cpuset='7'/></cputune><app:owner>";
  assert.deepEqual(edited('<app:owner>', fake).vcpus.get(0), [1]);
});

test('text that is not a definition is malformed', () => {
  for (const text of [
    '',
    ' ',
    '<',
    '<domain/>',
    '<domain></domain>',
    'x</domain>',
    '<domstatus></domstatus>',
    '\0',
  ])
    assert.throws(() => parse(text), malformed, text);
  assert.throws(() => edited(/<\/domain>\n$/, '<'), malformed);
});

test('the file is read from the configured directory', (context) => {
  const { host, write } = hostTree(context);
  const path = `${host.roots.libvirtConfig}/web.xml`;
  assert.throws(() => readDomainPins(host, path, [0], []), { name: 'SourceError', kind: 'absent' });
  write('etc/libvirt/qemu/web.xml', DEFINITION);
  assert.deepEqual(readDomainPins(host, path, [0], []).vcpus.get(0), [1]);
});

testCutIsNeverMisread('parseDomainPins', parse, DEFINITION);
const XML_UNITS = [' ', '<', '&', '"', '\0', '- ', '<a>', '<a/>', "<a b='", '&amp;', '<!--', '<![CDATA['];
testRobustness('parseDomainPins', parse, [DEFINITION], XML_UNITS);
