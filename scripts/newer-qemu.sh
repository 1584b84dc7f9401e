#!/bin/sh
# The QEMU of Debian's backports beside the installed one, for test/e2e/newer-qemu.test.ts.
#
#     scripts/newer-qemu.sh /var/tmp/newer-qemu
#     NEWER_QEMU=/var/tmp/newer-qemu/qemu npm test -- e2e/newer-qemu
set -eu
folder=$1
"$(dirname "$0")/unpack.sh" "$folder" bookworm-backports qemu-system-x86 qemu-system-common qemu-system-data seabios
cat >"$folder/qemu" <<END
#!/bin/sh
exec "$folder/root/usr/bin/qemu-system-x86_64" -L "$folder/root/usr/share/qemu" -L "$folder/root/usr/share/seabios" "\$@"
END
chmod +x "$folder/qemu"
"$folder/qemu" --version
