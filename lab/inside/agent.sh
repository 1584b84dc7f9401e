#!/bin/bash
# The host's pid 1: mounts what a real host has mounted, then runs the commands that the outer machine sends.
export HOME=/root LANG=C.UTF-8
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/lib/lab
busybox=/usr/local/lib/lab/busybox
$busybox --install -s /usr/local/lib/lab
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p -m 755 /run/kvm-telemetry/qmp /run/lab
$busybox hostname kvm-host
$busybox ip link set lo up
if [ -d /sys/class/net/eth0 ]; then
  $busybox ip addr add 10.0.2.15/24 dev eth0
  $busybox ip link set eth0 up
fi

# The name of a command arrives on the second serial port; its text, output and exit code are in the shared
# folder. An empty line is a tick, five times a second: each interrupt makes the emulated CPU check for
# interrupts that it lost.
$busybox stty -F /dev/ttyS1 -echo
exec 3</dev/ttyS1
echo ready >/lab/ready
while read -r name <&3; do
  [ -f "/lab/$name.sh" ] || continue
  (
    setsid bash "/lab/$name.sh" >"/lab/$name.out" 2>"/lab/$name.err" </dev/null 3<&-
    echo $? >"/lab/$name.rc.new"
    mv "/lab/$name.rc.new" "/lab/$name.rc"
  ) &
done
