import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCmdline } from '../../probes/proc-pid-cmdline.ts';
import { parseQemuCommandLine, type QemuIdentity } from '../../probes/qemu-command-line.ts';
import { parseQemuOptions } from '../../probes/qemu-options.ts';
import { captured } from '../../testing/captured.ts';
import { testRobustness } from './robustness.ts';

const CAPTURED = captured('proc/244/cmdline');

/** The identity of the VM, without its monitors, which have tests of their own. */
function parse(
  ...options: string[]
): Pick<QemuIdentity, 'name' | 'uuid' | 'accels' | 'machine' | 'iothreads'> {
  return identityOf(['qemu-system-x86_64', ...options]);
}

function of(argv: readonly string[]): QemuIdentity {
  return parseQemuCommandLine(parseQemuOptions(argv).options);
}

function identityOf(
  argv: readonly string[],
): Pick<QemuIdentity, 'name' | 'uuid' | 'accels' | 'machine' | 'iothreads'> {
  const { name, uuid, accels, machine, iothreads } = of(argv);
  return { name, uuid, accels, machine, iothreads };
}

test('a captured command line is parsed', () => {
  assert.deepEqual(identityOf(parseCmdline(CAPTURED)), {
    name: 'vm-a',
    uuid: '22222222-2222-3333-4444-555555555541',
    accels: ['kvm'],
    machine: 'q35',
    iothreads: ['io0'],
  });
});

test("libvirt's command line, with its JSON objects, is understood", () => {
  const identity = parse(
    ...['-name', 'guest=debian,debug-threads=on', '-S'],
    ...['-object', '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/x"}'],
    ...['-machine', 'pc-q35-7.2,usb=off,vmport=off,dump-guest-core=off,memory-backend=pc.ram'],
    ...['-accel', 'kvm', '-cpu', 'host,migratable=on', '-m', '2048'],
    ...['-object', '{"qom-type":"memory-backend-ram","id":"pc.ram","size":2147483648}'],
    ...['-object', '{"qom-type":"iothread","id":"iothread1"}'],
    ...['-object', '{"qom-type":"iothread","id":"iothread2","poll-max-ns":50000}'],
    ...['-uuid', '8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10', '-no-user-config', '-nodefaults'],
  );
  assert.deepEqual(identity, {
    name: 'debian',
    uuid: '8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10',
    accels: ['kvm'],
    machine: 'pc-q35-7.2',
    iothreads: ['iothread1', 'iothread2'],
  });
});

test('the older spellings mean the same', () => {
  assert.deepEqual(parse('--name', 'vm', '-M', 'pc', '--enable-kvm'), {
    name: 'vm',
    uuid: undefined,
    accels: ['kvm'],
    machine: 'pc',
    iothreads: [],
  });
  assert.deepEqual(parse('-machine', 'accel=kvm:tcg,type=q35').accels, ['kvm', 'tcg']);
  assert.equal(parse('-machine', 'accel=kvm:tcg,type=q35').machine, 'q35');
  assert.equal(parse('-name', 'debug-threads=on,guest=vm').name, 'vm');
});

test('accelerators are in the order in which QEMU tries them', () => {
  assert.deepEqual(parse('-accel', 'kvm', '-accel', 'tcg').accels, ['kvm', 'tcg']);
  assert.deepEqual(parse('-accel', 'tcg,thread=multi').accels, ['tcg']);
  assert.deepEqual(parse('-enable-kvm').accels, ['kvm']);
  assert.deepEqual(parse('-m', '64').accels, []);
});

test('a doubled comma is one comma of the value', () => {
  assert.equal(parse('-name', 'a,,b,debug-threads=on').name, 'a,b');
  assert.equal(parse('-name', 'guest=a,,process=x').name, 'a,process=x');
  assert.equal(parse('-name', 'guest=x=y').name, 'x=y');
});

test('the sockets of QMP monitors are found in both spellings', () => {
  const monitors = (...options: string[]) => of(['qemu', ...options]).monitors;
  assert.deepEqual(of(parseCmdline(CAPTURED)).monitors, ['/run/vm/vm-a.qmp']);
  const chardev = ['-chardev', 'socket,id=m0,path=/run/a,,b.sock,server=on'];
  assert.deepEqual(monitors(...chardev, '-mon', 'chardev=m0,mode=control'), ['/run/a,b.sock']);
  assert.deepEqual(monitors(...chardev, '-mon', 'chardev=m0,mode=readline'), []);
  assert.deepEqual(monitors('-qmp', 'tcp:localhost:4444', '-mon', 'chardev=x,mode=control'), []);
  assert.deepEqual(monitors('-qmp', 'unix:/run/a,,b.sock,server,nowait'), ['/run/a,b.sock']);
});

test('a monitor that connects to another program, or without a path, cannot be used', () => {
  const monitors = (...options: string[]) => of(['qemu', ...options]).monitors;
  // Proxmox VE has both.
  const own = [
    '-chardev',
    'socket,id=qmp,path=/run/100.qmp,server=on,wait=off',
    '-mon',
    'chardev=qmp,mode=control',
  ];
  const events = [
    '-chardev',
    'socket,id=e,path=/run/qmeventd.sock,reconnect=5',
    '-mon',
    'chardev=e,mode=control',
  ];
  assert.deepEqual(monitors(...events, ...own), ['/run/100.qmp']);
  assert.deepEqual(monitors('-qmp', 'unix:/run/client.sock'), []);
  const abstract = 'socket,id=a,path=name,abstract=on,server=on';
  assert.deepEqual(monitors('-chardev', abstract, '-mon', 'chardev=a,mode=control'), []);
});

test('a value that looks like an option is a value', () => {
  const identity = parse('-name', '-uuid', '-uuid', '-name');
  assert.deepEqual([identity.name, identity.uuid], ['-uuid', '-name']);
});

test('missing, truncated or invalid parts do not affect the others', () => {
  assert.deepEqual(of([]).iothreads, []);
  assert.equal(parse('-name').name, undefined);
  assert.equal(parse('-name', '').name, undefined);
  for (const object of ['{', '{}', '[]', 'null', '{"qom-type":"iothread"}', '', ',', 'iothread']) {
    assert.deepEqual(parse('-object', object, '-name', 'vm'), { ...parse('-name', 'vm') }, object);
  }
});

test('any name with doubled commas is read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
      const name = text.replaceAll('\0', '');
      if (name !== '') assert.equal(parse('-name', `guest=${name.replaceAll(',', ',,')}`).name, name);
    }),
  );
});

testRobustness('parseQemuCommandLine', (text) => of(parseCmdline(text)), [CAPTURED]);
testRobustness('parseQemuCommandLine, of an object,', (text) => parse('-object', text), [
  '{"qom-type":"iothread","id":"iothread1"}',
  'iothread,id=io0',
]);

test('the UUID of SMBIOS is that of the VM; the last one holds', () => {
  const uuid = (...options: string[]) => parse(...options).uuid;
  assert.equal(uuid('-smbios', 'type=1,uuid=a'), 'a');
  assert.equal(uuid('-smbios', 'type=1,uuid=a', '-uuid', 'b'), 'b');
  assert.equal(uuid('-uuid', 'b', '-smbios', 'type=1,uuid=a', '-smbios', 'type=1,serial=s'), 'a');
  assert.equal(uuid('-smbios', 'type=2,uuid=a'), undefined);
});

test('a monitor may come before its socket', () => {
  const options = ['-mon', 'chardev=m,mode=control', '-chardev', 'socket,id=m,path=/run/m,server=on'];
  assert.deepEqual(of(['qemu', ...options]).monitors, ['/run/m']);
});

test('QEMU that prints a version or a list runs no guest', () => {
  const answers = (...options: string[]) => of(['qemu', ...options]).onlyAnswers;
  for (const options of [
    ['-version'],
    ['--help'],
    ['-h'],
    ['-M', 'help'],
    ['-cpu', '?'],
    ['-device', 'help'],
    // Each of these was tried with QEMU 7.2: it prints and exits.
    ['-device', 'virtio-blk-pci,help'],
    ['-device', 'virtio-blk-pci,?'],
    ['-machine', 'q35,help'],
    ['-accel', 'help'],
    ['-netdev', 'help'],
    ['-object', 'help'],
    ['-object', 'iothread,help'],
    ['-chardev', 'file,help'],
    ['-drive', 'format=help'],
    ['-nic', 'model=help'],
    ['-net', 'nic,model=help'],
    ...[
      'd',
      'trace',
      'display',
      'vga',
      'tpmdev',
      'audiodev',
      'L',
      'spice',
      'rtc',
      'boot',
      'smp',
      'action',
    ].map((name) => [`-${name}`, 'help']),
    ...['msg', 'vnc', 'global'].map((name) => [`-${name}`, 'help']),
    ['-audio-help'],
  ])
    assert.equal(answers(...options), true, options.join(' '));
  // These are values: QEMU 7.2 runs, or looks for a file of that name.
  for (const options of [
    ['-name', 'help'],
    ['-k', 'help'],
    ['-drive', 'file=help,format=raw'],
    ['-bios', 'help'],
    ['-device', 'virtio-blk-pci,serial=help,drive=d0'],
    ['-chardev', 'file,path=help,id=c0'],
    ['-append', 'help'],
  ])
    assert.equal(answers(...options), false, options.join(' '));
});

test('the number of a VM in Proxmox VE, if it can be one', () => {
  const vmid = (...argv: string[]) => of(['kvm', ...argv]).vmid;
  assert.equal(vmid('-id', '101', '-name', 'web'), 101);
  assert.equal(vmid('-id', '999999999'), 999_999_999);
  for (const id of ['99', '0101', '1000000000', '../101', '101.conf', '-1', ''])
    assert.equal(vmid('-id', id), undefined, id);
  assert.equal(vmid('-append', '-id 101'), undefined);
});
