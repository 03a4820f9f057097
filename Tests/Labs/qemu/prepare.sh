#!/bin/bash
# Prepares what the QEMU laboratory needs and Debian does not simply install, in a cache folder:
#
#   vmlinuz               Debian 12's kernel for virtual machines
#   modules/              those of its modules that a virtio disk needs, in the order of their numbers
#   initramfs.cpio.gz     busybox, the modules, guest/init, guest/disk and guest/pagewriter.c
#   qemu10/               QEMU 10.0 of bookworm-backports; run qemu10/qemu-system-x86_64
#
# Usage: prepare.sh [--guest] [CACHE_DIR]   by default .build-lab at the repository's root
#
# --guest makes the guest only, without QEMU 10: what the demonstration needs.
#
# Packages are downloaded and unpacked, never installed, through a package list of the cache's own:
# the system's sources, lists and packages stay as they are, and no privilege is needed. A second run
# finds everything there and returns at once; a changed guest source rebuilds the initramfs.
#
# Needs these packages of Debian 12 installed: qemu-system-x86 (QEMU 10 shares its libraries and
# option ROMs), gcc, libc6-dev, debian-archive-keyring, and those every Debian has. ROOST_DEBIAN_MIRROR
# names another mirror than the default.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
guestOnly=no
if [ "${1:-}" = --guest ]; then
    guestOnly=yes
    shift
fi
cache=${1:-$(cd "$here/../../.." && pwd)/.build-lab}
mirror=${ROOST_DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The cloud flavour: it boots on q35, pc and microvm, and is a third of the general kernel's package.
kernelMetapackage=linux-image-cloud-amd64
kernelModules=(virtio_pci virtio_blk)
qemuPackages=(qemu-system-x86 qemu-system-common qemu-system-data seabios)

say() { printf 'prepare: %s\n' "$*"; }
fail() {
    printf 'prepare: %s\n' "$*" >&2
    exit 1
}

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# Two runs at once would unpack into each other's folders.
exec 9>"$cache/.lock"
flock 9

work=$cache/.work
rm -rf "$work"
mkdir "$work"
trap 'rm -rf "$work"' EXIT

# --- packages

aptOptions=(
    -o Dir::Etc::sourcelist="$cache/apt/sources.list"
    -o Dir::Etc::sourceparts=-
    -o Dir::Etc::preferences=/dev/null
    -o Dir::Etc::preferencesparts=/dev/null
    -o Dir::State="$cache/apt/state"
    -o Dir::State::status=/var/lib/dpkg/status
    -o Dir::Cache="$cache/apt/cache"
    -o Acquire::Languages=none
    # As root, apt would download as a user who cannot write to the cache.
    -o APT::Sandbox::User="$(id -un)"
    -q -q
)

listsFetched=no
needLists() {
    [ "$listsFetched" = no ] || return 0
    [ -f "$keyring" ] || fail "$keyring is missing: install debian-archive-keyring"
    say "fetching Debian's package lists"
    mkdir -p "$cache/apt/state/lists/partial" "$cache/apt/cache/archives/partial"
    local suite
    for suite in bookworm bookworm-updates bookworm-backports; do
        echo "deb [arch=amd64 signed-by=$keyring] $mirror $suite main"
    done >"$cache/apt/sources.list"
    # `update` only warns about a list that it could not fetch, unless told otherwise.
    apt-get "${aptOptions[@]}" -o APT::Update::Error-Mode=any update >/dev/null ||
        fail "cannot fetch the package lists from $mirror"
    listsFetched=yes
}

# download FOLDER PACKAGE...: unpacks each into FOLDER.
download() {
    local folder=$1 package
    shift
    mkdir -p "$work/archives" "$folder"
    for package in "$@"; do
        say "downloading $package"
        rm -f "$work"/archives/*.deb
        (cd "$work/archives" && apt-get "${aptOptions[@]}" download "$package") ||
            fail "cannot download the package $package from $mirror"
        dpkg-deb -x "$work"/archives/*.deb "$folder" || fail "cannot unpack the package $package"
    done
}

# --- the guest

prepareKernel() {
    # Only modules of the very same package can be loaded.
    if [ -s "$cache/vmlinuz" ] && [ -d "$cache/modules" ]; then return 0; fi
    needLists
    local package
    package=$(apt-cache "${aptOptions[@]}" depends "$kernelMetapackage" |
        sed -n 's/^ *Depends: \(linux-image-6[^ ]*\)$/\1/p' | tail -n 1)
    [ -n "$package" ] || fail "$mirror has no kernel that $kernelMetapackage depends on"
    download "$work/kernel" "$package"
    cp "$work"/kernel/boot/vmlinuz-* "$work/vmlinuz"
    mkdir "$work/modules"
    local module
    for module in "${kernelModules[@]}"; do addModule "$module"; done
    rm -rf "$cache/modules"
    mv "$work/vmlinuz" "$cache/vmlinuz"
    mv "$work/modules" "$cache/modules"
    say "made vmlinuz and modules from $package"
}

# addModule NAME: copies a module of the unpacked kernel, after those it depends on, under a name
# that begins with its number.
addModule() {
    local name=$1 file depended
    for file in "$work"/modules/??-"$name.ko"; do
        [ ! -e "$file" ] || return 0
    done
    file=$(find "$work/kernel" -name "$name.ko")
    [ -n "$file" ] || fail "the kernel's package has no module $name"
    for depended in $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr ',' ' '); do
        addModule "$depended"
    done
    cp "$file" "$work/modules/$(printf '%02d' "$(find "$work/modules" -type f | wc -l)")-$name.ko"
}

prepareInitramfs() {
    local image=$cache/initramfs.cpio.gz source newest=
    for source in "$here/guest/init" "$here/guest/disk" "$here/guest/pagewriter.c" \
        "$cache/modules"; do
        if [ "$source" -nt "$image" ]; then newest=$source; fi
    done
    [ -n "$newest" ] || return 0

    if [ ! -x "$cache/busybox" ]; then
        needLists
        download "$work/busybox" busybox-static
        cp "$work/busybox/bin/busybox" "$work/busybox.new"
        mv "$work/busybox.new" "$cache/busybox"
    fi

    local root=$work/initramfs
    mkdir -p "$root/bin" "$root/dev" "$root/lib/modules" "$root/proc" "$root/sys"
    cp "$cache/busybox" "$root/bin/busybox"
    cp "$cache"/modules/*.ko "$root/lib/modules"
    cp "$here/guest/init" "$root/init"
    cp "$here/guest/disk" "$root/bin/disk"
    cc -O2 -Wall -Wextra -Werror -static -o "$root/bin/pagewriter" "$here/guest/pagewriter.c" ||
        fail "cannot compile pagewriter.c: gcc and libc6-dev are needed"
    chmod 755 "$root/init" "$root"/bin/*
    chmod 644 "$root"/lib/modules/*
    # The same sources give the same bytes: fixed times, owners, order, device and inode numbers.
    find "$root" -exec touch -h -d @0 {} +
    (cd "$root" && find . | LC_ALL=C sort |
        "$cache/busybox" cpio -o -H newc -R 0:0 --ignore-devno --renumber-inodes 2>/dev/null) |
        gzip -n -9 >"$work/initramfs.cpio.gz"
    mv "$work/initramfs.cpio.gz" "$image"
    say "made initramfs.cpio.gz"
}

# --- QEMU 10

prepareQEMU10() {
    [ ! -x "$cache/qemu10/qemu-system-x86_64" ] || return 0
    needLists
    # Whatever an installation would bring beyond the four packages themselves: libraries that this
    # system lacks, or has in too old a version.
    local extra
    extra=$(apt-get "${aptOptions[@]}" -s --no-install-recommends -t bookworm-backports \
        install "${qemuPackages[@]}" qemu-utils- | awk -v known=" ${qemuPackages[*]} " '
            $1 == "Inst" && index(known, " " $2 " ") == 0 {
                version = $3 ~ /^\[/ ? $4 : $3
                sub(/^\(/, "", version)
                print $2 "=" version
            }') || fail "cannot find out what QEMU 10 depends on"
    # shellcheck disable=SC2086  # a list of words
    download "$work/qemu10" "${qemuPackages[@]/%//bookworm-backports}" $extra

    # The firmware must be this version's own, before the installed one. The option ROMs of network
    # cards are in a package both versions share.
    cat >"$work/qemu10/qemu-system-x86_64" <<'WRAPPER'
#!/bin/sh
# Runs the unpacked QEMU 10 with its own libraries, modules and firmware.
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$here/usr/lib/x86_64-linux-gnu:$here/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
QEMU_MODULE_DIR=$here/usr/lib/x86_64-linux-gnu/qemu
export LD_LIBRARY_PATH QEMU_MODULE_DIR
exec "$here/usr/bin/qemu-system-x86_64" -L "$here/usr/share/qemu" -L "$here/usr/share/seabios" \
    -L "$here/usr/lib/ipxe/qemu" -L /usr/lib/ipxe/qemu "$@"
WRAPPER
    chmod 755 "$work/qemu10/qemu-system-x86_64"

    checkQEMU10 "$work/qemu10/qemu-system-x86_64"
    rm -rf "$cache/qemu10"
    mv "$work/qemu10" "$cache/qemu10"
    say "made qemu10/qemu-system-x86_64"
}

# Starts each machine and has it quit: a missing library, module or firmware file shows here.
checkQEMU10() {
    local version machine answer
    version=$("$1" --version | head -n 1) || fail "the unpacked QEMU 10 does not run"
    case $version in
        *' version 10.0.'*) ;;
        *) fail "bookworm-backports has '$version' where 10.0 was expected" ;;
    esac
    for machine in q35 pc microvm; do
        answer=$(printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"quit"}' |
            timeout 60 "$1" -accel tcg -machine "$machine" -nodefaults -display none -qmp stdio \
                2>&1) || fail "QEMU 10 does not start the machine $machine: $answer"
    done
    say "$version starts q35, pc and microvm"
}

prepareKernel
prepareInitramfs
if [ "$guestOnly" = no ]; then prepareQEMU10; fi
say "ready in $cache"
