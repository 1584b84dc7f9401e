import { formatCpuList } from '../../../kernel/cpu-list.ts';
import type { SimThread } from '../thread.ts';
import type { SimVm } from '../vm.ts';
import { queueMapping } from './cmdline.ts';

/**
 * `/run/libvirt/qemu/<name>.xml`, libvirt src/qemu/qemu_domain.c qemuDomainObjPrivateXMLFormat(), as libvirt
 * 10 writes it, without the list of QEMU's capabilities.
 */
export function domstatusText(vm: SimVm): string {
  const vcpus = vm.vcpus
    .map(({ index, thread }) => `    <vcpu id='${index}' pid='${thread.tid}'/>\n`)
    .join('');
  const iothreads = vm.ioThreads.map((_, i) => `      <iothread id='${i + 1}'/>\n`).join('');
  const memory = (vm.spec.memoryMiB ?? 4096) * 1024;
  return `\
<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh edit ${vm.name}
or other application using the libvirt API.
-->

<domstatus state='running' reason='booted' pid='${vm.pid}'>
  <monitor path='/var/lib/libvirt/qemu/domain-${vm.id}-${vm.name}/monitor.sock' type='unix'/>
  <vcpus>
${vcpus}  </vcpus>
  <domain type='kvm' id='${vm.id}'>
    <name>${vm.name}</name>
    <uuid>${vm.uuid}</uuid>
    <memory unit='KiB'>${memory}</memory>
    <currentMemory unit='KiB'>${memory}</currentMemory>
    <vcpu placement='static'>${vm.vcpus.length}</vcpu>
    <iothreads>${vm.ioThreads.length}</iothreads>
    <iothreadids>
${iothreads}    </iothreadids>
${cputune(vm)}    <os>
      <type arch='x86_64' machine='pc-q35-9.2'>hvm</type>
    </os>
    <devices>
      <emulator>/usr/bin/qemu-system-x86_64</emulator>
${vm.disks.map((_, i) => disk(vm, i)).join('')}    </devices>
  </domain>
</domstatus>
`;
}

function cputune(vm: SimVm): string {
  const pin = ({ tid, spec }: SimThread): string[] => {
    const cpus = vm.pins.get(tid);
    if (cpus === undefined) return [];
    const set = `cpuset='${formatCpuList(cpus)}'/>\n`;
    if (spec.role === 'vcpu') return [`      <vcpupin vcpu='${spec.index}' ${set}`];
    if (spec.role === 'iothread') return [`      <iothreadpin iothread='${spec.index + 1}' ${set}`];
    return spec.role === 'emulator' ? [`      <emulatorpin ${set}`] : [];
  };
  const pins = vm.threads.flatMap(pin);
  return pins.length === 0 ? '' : `    <cputune>\n${pins.join('')}    </cputune>\n`;
}

function disk(vm: SimVm, index: number): string {
  const { id, file } = vm.disks[index] ?? { id: '', file: '' };
  const mapping = queueMapping(vm, index);
  const number = (iothread: string): string => iothread.replace('iothread', '');
  const attributes = `name='qemu' type='raw' cache='none' io='native' queues='${vm.queues}'`;
  const driver =
    mapping.length === 1
      ? `<driver ${attributes} iothread='${number(mapping[0]?.iothread ?? '')}'/>`
      : `<driver ${attributes}><iothreads>${mapping
          .map(
            ({ iothread, vqs }) =>
              `<iothread id='${number(iothread)}'>${vqs.map((queue) => `<queue id='${queue}'/>`).join('')}</iothread>`,
          )
          .join('')}</iothreads></driver>`;
  return `\
      <disk type='file' device='disk'>
        ${driver}
        <source file='${file}' index='${index + 1}'/>
        <target dev='${id}' bus='virtio'/>
        <alias name='${id}'/>
      </disk>
`;
}
