#!/bin/busybox sh
# First program of the host. Its root is the outer machine's root, read-only, under a writable overlay in
# memory.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "$module" || echo "insmod $module failed"; done </modules

mkdir -p /outer /layer /host
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro outer /outer
mount -t tmpfs tmpfs /layer
mkdir /layer/upper /layer/work
mount -t overlay overlay -o lowerdir=/outer,upperdir=/layer/upper,workdir=/layer/work /host
mkdir -p /host/lab /host/usr/local/lib/lab
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none lab /host/lab
for folder in proc sys dev; do mount --move /$folder /host/$folder; done
# Last in the PATH: provides only the programs that the outer machine lacks.
cp /bin/busybox /host/usr/local/lib/lab/
exec chroot /host /bin/bash /lab/agent.sh
