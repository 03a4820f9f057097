#!/usr/bin/env bash
# Installs Roost's Debian package into a bare Debian 12, which has no Swift, and uses it there: the version,
# a disk served and copied, a stream verified, a process moved, a router with two hosts; the package is
# upgraded while the disk is served, and removed. Needs to be root.
#
#     Tests/Labs/install/run.sh [CACHE]         by default .build-lab at the repository's root
#
# What is installed comes from what `make build` made; without it, or where ROOST_TEST_BUILD names the folder of
# the tests' build, from the objects of that, linked anew. The bare system is made once (debootstrap) and kept in the cache. Everything runs in namespaces
# of its own, which take its processes, mounts and networks along when they end.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
cache=${1:-$root/.build-lab}
mirror=${ROOST_DEBIAN_MIRROR:-http://deb.debian.org/debian}
# What the package depends on, and what the uses need.
include=iproute2,iputils-ping,libssl3,libstdc++6,liburing2,libxxhash0,libzstd1,nbdkit,zlib1g

fail() {
    printf 'install lab: %s\n' "$*" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || fail "needs to be root"

begin=$SECONDS
mkdir -p "$cache"
exec 9>"$cache/.install-lock"
flock 9
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

bare=$cache/bare-bookworm.tar
if [ ! -e "$bare" ]; then
    debootstrap --variant=minbase --include="$include" bookworm "$work/bare" "$mirror" >"$work/log" 2>&1 ||
        { tail -n 20 "$work/log" >&2; fail "debootstrap failed"; }
    rm -f "$work"/bare/var/cache/apt/archives/*.deb
    tar -C "$work/bare" --one-file-system -cf "$bare.new" .
    mv "$bare.new" "$bare"
    rm -rf --one-file-system "$work/bare"
    echo "install lab: a bare Debian 12 in $((SECONDS - begin)) s"
fi

build=$root/.build-release/release
if [ -n "${ROOST_TEST_BUILD:-}" ] || [ ! -x "$build/roost" ]; then
    "$root/Extras/packaging/link-static.sh" "${ROOST_TEST_BUILD:-$root/.build-test/release}" "$work/build"
    build=$work/build
fi
COMPRESSION=none "$root/Extras/packaging/deb.sh" "$build" "$work/deb" >"$work/said"
# The next version: the same with another number.
package=$(echo "$work"/deb/*.deb)
dpkg-deb -R "$package" "$work/next"
sed -i 's/^Version: .*/&+upgrade/' "$work/next/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$work/next" "${package%_amd64.deb}+upgrade_amd64.deb" >/dev/null
rm -rf "$work/next"
echo "install lab: two packages in $((SECONDS - begin)) s; the first depends on:"
dpkg-deb -f "$package" Depends

mkdir "$work/system"
tar -C "$work/system" -xf "$bare"
cp "$work"/deb/*.deb "$work/system/root/"
cp "$here/inside.sh" "$work/system/root/"
cp "$root/Tests/RoostMigrationTests/Fixtures/streams/7.2-q35-stopped.stream.gz" "$work/system/root/guest.stream.gz"
# Its clocks, users and hosts are the machine's; nothing else of the machine is seen.
unshare --mount --pid --net --ipc --fork --kill-child bash -euc '
    mount --make-rprivate /
    # ip netns wants the root to be a mount.
    mount --bind "$1" "$1"
    cd "$1"
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount -t tmpfs tmpfs run
    mount -t tmpfs -o mode=755 tmpfs dev
    for device in null:1:3 zero:1:5 random:1:8 urandom:1:9; do
        IFS=: read -r name major minor <<<"$device"
        mknod -m 666 "dev/$name" c "$major" "$minor"
    done
    mkdir -p dev/net dev/shm
    mknod -m 666 dev/net/tun c 10 200
    mount -t tmpfs tmpfs dev/shm
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C chroot . bash /root/inside.sh
' - "$work/system"
echo "lab install: $((SECONDS - begin)).0 s"
