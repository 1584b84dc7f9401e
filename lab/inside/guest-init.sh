#!/bin/busybox sh
# First program of the guest: random I/O on the disk from each vCPU, and a ping five times a second. A line on
# the second serial port changes the I/O: "DEPTH read" or "DEPTH mixed".
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
load() {
  killall iogen 2>/dev/null
  for cpu in 0 1; do iogen /dev/vda $cpu "$1" "$2" & done
}
load 1 mixed
stty -F /dev/ttyS1 -echo
while :; do
  while read -r depth kind; do load "$depth" "$kind"; done </dev/ttyS1
  sleep 1
done
