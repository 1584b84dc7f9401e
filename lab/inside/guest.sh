#!/bin/bash
# Starts a Linux guest: guest.sh NAME NUMBER CPU DISK KERNEL INITRAMFS
# The guest has two vCPUs, a disk on an IOThread and a network card on vhost-net. All threads run on one CPU
# of the host, because the emulated SVM loses too many interrupts when a vCPU migrates. The QMP socket is
# where the exporter expects it. A second monitor, for the lab, reads commands from /run/lab/NAME.in; the
# guest's second serial port reads from /run/lab/NAME-load.in.
set -e
name=$1 number=$2 cpu=$3 disk=$4 kernel=$5 initramfs=$6
run=/run/lab/$name
mkfifo "$run.in" "$run.out" "$run-load.in" "$run-load.out"
cat "$run.out" >"$run.log" &
taskset -c "$cpu" qemu-system-x86_64 -name "guest=$name,debug-threads=on" -uuid "00000000-0000-4000-8000-00000000000$number" \
  -machine q35,accel=kvm,kernel_irqchip=on -cpu host -smp 2 -m 256 -nodefaults -display none \
  -kernel "$kernel" -initrd "$initramfs" \
  -append "console=ttyS0 quiet mitigations=off nokaslr panic=-1 lpj=10000000 audit=0 apparmor=0 nowatchdog lab.net=10.9.$number" \
  -object iothread,id=io0 \
  -blockdev "driver=host_device,filename=$disk,node-name=d0,cache.direct=on,aio=native" \
  -device virtio-blk-pci,drive=d0,iothread=io0,id=vda \
  -netdev "tap,id=n0,ifname=tap$number,script=no,downscript=no,vhost=on" \
  -device "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:0$number" \
  -serial "file:$run.console" -serial "pipe:$run-load" -qmp "unix:/run/kvm-telemetry/qmp/$name.sock,server=on,wait=off" \
  -chardev "pipe,id=lab,path=$run" -mon chardev=lab,mode=readline -pidfile "$run.pid" -daemonize
ip addr add "10.9.$number.1/24" dev "tap$number"
ip link set "tap$number" up
for pid in $(pgrep "^vhost-$(<"$run.pid")"); do taskset -pc "$cpu" "$pid" >/dev/null; done
for _ in {1..1300}; do
  grep -q 'LAB READY' "$run.console" 2>/dev/null && exit
  sleep 0.2
done
echo "guest $name did not start:" >&2
tail -n 20 "$run.console" >&2
exit 1
