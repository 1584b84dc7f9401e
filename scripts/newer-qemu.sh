#!/bin/sh
# Unpacks the QEMU of Debian's backports beside the installed one, for test/e2e/newer-qemu.test.ts. It installs nothing.
#
#     scripts/newer-qemu.sh /var/tmp/newer-qemu
#     NEWER_QEMU=/var/tmp/newer-qemu/qemu npm test -- e2e/newer-qemu
set -eu
folder=$1
mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] http://deb.debian.org/debian bookworm-backports main" >"$folder/sources.list"
apt() {
  apt-get -q -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" "$@"
}
apt update
(cd "$folder" && apt download qemu-system-x86 qemu-system-common qemu-system-data seabios)
for package in "$folder"/*.deb; do dpkg -x "$package" "$folder/root"; done
cat >"$folder/qemu" <<END
#!/bin/sh
exec "$folder/root/usr/bin/qemu-system-x86_64" -L "$folder/root/usr/share/qemu" -L "$folder/root/usr/share/seabios" "\$@"
END
chmod +x "$folder/qemu"
"$folder/qemu" --version
