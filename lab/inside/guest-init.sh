#!/bin/busybox sh
# First program of the guest: random I/O from each vCPU on the disk, and a ping five times a second.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "$module" || echo "insmod $module failed"; done </modules
for word in $(cat /proc/cmdline); do
  case $word in lab.net=*) net=${word#lab.net=} ;; esac
done
ifconfig eth0 "$net.2" netmask 255.255.255.0 up
ping -q -i 0.2 "$net.1" >/dev/null 2>&1 &
echo "LAB READY $(cat /proc/uptime)"
iogen /dev/vda 0 &
iogen /dev/vda 1 &
while :; do sleep 1000; done
