#!/bin/sh
# Unpacks packages of another suite of Debian below <folder>/root, for tests. It installs nothing.
#
#     scripts/unpack.sh <folder> <suite> <package>...
#
#     scripts/unpack.sh /var/tmp/newer-vmagent trixie victoria-metrics
#     NEWER_VMAGENT=/var/tmp/newer-vmagent/root/usr/bin/vmagent npm test -- alerts/fleet
set -eu
folder=$1 suite=$2
shift 2
mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] http://deb.debian.org/debian $suite main" >"$folder/sources.list"
apt() {
  apt-get -q -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" "$@"
}
apt update
(cd "$folder" && apt download "$@")
for package in "$folder"/*.deb; do dpkg -x "$package" "$folder/root"; done
