/** A state file as libvirt 9.0 writes it for a running domain, shortened where it only repeats itself. */
export const DOMSTATUS = `<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh edit debian-12
or other application using the libvirt API.
-->

<domstatus state='running' reason='booted' pid='4242'>
  <taint flag='host-cpu'/>
  <monitor path='/var/lib/libvirt/qemu/domain-3-debian-12/monitor.sock' type='unix'/>
  <namespaces>
    <mount/>
  </namespaces>
  <vcpus>
    <vcpu id='0' pid='4251'/>
    <vcpu id='2' pid='4253'/>
  </vcpus>
  <qemuCaps>
    <flag name='hda-duplex'/>
    <flag name='iothread.poll-max-ns'/>
  </qemuCaps>
  <devices>
    <device alias='rng0'/>
    <device alias='virtio-disk0'/>
  </devices>
  <numad nodeset='0' cpuset='0-3'/>
  <libDir path='/var/lib/libvirt/qemu/domain-3-debian-12'/>
  <channelTargetDir path='/var/lib/libvirt/qemu/channel/target/domain-3-debian-12'/>
  <cpu mode='custom' match='exact' check='full'>
    <model fallback='forbid'>qemu64</model>
    <feature policy='require' name='x2apic'/>
  </cpu>
  <chardevStdioLogd/>
  <allowReboot value='yes'/>
  <nodename index='2'/>
  <blockjobs active='no'/>
  <agentTimeout>-2</agentTimeout>
  <domain type='kvm' id='3'>
    <name>debian-12</name>
    <uuid>8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10</uuid>
    <description>of the web shop</description>
    <metadata>
      <app:vm xmlns:app="http://example.org/app">
        <app:owner>Tenant &amp; sons</app:owner>
      </app:vm>
    </metadata>
    <memory unit='KiB'>2097152</memory>
    <vcpu placement='static' current='2'>4</vcpu>
    <vcpus>
      <vcpu id='0' enabled='yes' hotpluggable='no' order='1'/>
      <vcpu id='2' enabled='yes' hotpluggable='yes' order='2'/>
    </vcpus>
    <iothreads>2</iothreads>
    <iothreadids>
      <iothread id='1'/>
      <iothread id='4' thread_pool_min='0' thread_pool_max='8'>
        <poll max='32768' grow='0' shrink='0'/>
      </iothread>
    </iothreadids>
    <cputune>
      <vcpupin vcpu='0' cpuset='1'/>
      <vcpupin vcpu='2' cpuset='2-4,^3'/>
      <emulatorpin cpuset='0'/>
      <iothreadpin iothread='1' cpuset='5'/>
    </cputune>
    <os>
      <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
      <boot dev='hd'/>
    </os>
    <devices>
      <emulator>/usr/bin/qemu-system-x86_64</emulator>
      <disk type='block' device='disk'>
        <driver name='qemu' type='raw' cache='none' io='native' iothread='1' queues='2'/>
        <source dev='/dev/nvme0n1' index='1'>
          <privateData>
            <nodenames>
              <nodename type='storage' name='libvirt-1-storage'/>
            </nodenames>
          </privateData>
        </source>
        <target dev='vda' bus='virtio'/>
        <alias name='virtio-disk0'/>
      </disk>
    </devices>
    <seclabel type='dynamic' model='apparmor' relabel='yes'>
      <label>libvirt-8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10</label>
    </seclabel>
  </domain>
</domstatus>
`;
