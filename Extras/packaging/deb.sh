#!/usr/bin/env bash
# Makes a Debian package of what `make build` made.
#
#     Extras/packaging/deb.sh BUILD FOLDER      writes FOLDER/roost_VERSION_amd64.deb
#
# COMPRESSION is xz, or another that dpkg-deb knows.
#
# What it depends on is read from the programs themselves. An upgrade restarts nothing: a disk that is served
# is served on by the program that serves it, until its unit is restarted.
set -euo pipefail
umask 022

build=$1
output=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree

DESTDIR=$tree PREFIX=/usr "$here/Extras/packaging/install.sh" "$build"
version=$("$tree/usr/bin/roost" --version | sed -n '1s/^roost //p')

# Debian's places for what others than make would look for there.
mkdir -p "$tree/usr/share/doc/roost"
mv "$tree/usr/share/doc/roost/LICENSE" "$tree/usr/share/doc/roost/copyright"
gzip -9n <"$tree/usr/share/doc/roost/CHANGELOG.md" >"$tree/usr/share/doc/roost/changelog.gz"
rm "$tree/usr/share/doc/roost/CHANGELOG.md"

# dpkg-shlibdeps wants a source package around it.
mkdir -p "$work/debian" "$tree/DEBIAN"
printf 'Source: roost\n\nPackage: roost\nArchitecture: amd64\n' >"$work/debian/control"
(cd "$work" && dpkg-shlibdeps -O -xroost --ignore-missing-info \
    tree/usr/bin/roost tree/usr/lib/roost/stamped-guest tree/usr/lib/roost/libRoostNBDKit.so) \
    >"$work/depends" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }
depends=$(sed -n 's/^shlibs:Depends=//p' "$work/depends")
[ -n "$depends" ] || { echo "deb.sh: dpkg-shlibdeps found no dependencies" >&2; exit 1; }

cat >"$tree/DEBIAN/control" <<CONTROL
Package: roost
Version: $version
Architecture: amd64
Maintainer: Roost's developers <roost@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Depends: $depends
Recommends: nbdkit
Suggests: qemu-system-x86, xenstore-utils
Section: admin
Priority: optional
Description: the host side of a virtual machine
 Roost moves the memory of running guests, QEMU's or plain processes, to
 another host; serves them their disks over Xen's split block protocol; and
 routes their packets.
CONTROL

# Units are known from the next look on; nothing is started, restarted or enabled.
for script in postinst postrm; do
    cat >"$tree/DEBIAN/$script" <<'SCRIPT'
#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload || true
[ "$1" != purge ] || rmdir /etc/roost/disk /etc/roost/net /etc/roost 2>/dev/null || true
SCRIPT
    chmod 755 "$tree/DEBIAN/$script"
done

# A removal ends what runs; an upgrade does not.
cat >"$tree/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop 'roost-disk@*.service' 'roost-net@*.service' roost-hypervisor.service || true
    systemctl disable roost-disk@.service roost-net@.service roost-hypervisor.service || true
fi
SCRIPT
chmod 755 "$tree/DEBIAN/prerm"

mkdir -p "$output"
dpkg-deb --root-owner-group -Z"${COMPRESSION:-xz}" --build "$tree" "$output/roost_${version}_amd64.deb" >/dev/null
echo "$output/roost_${version}_amd64.deb: $(stat -c %s "$output/roost_${version}_amd64.deb") bytes"
