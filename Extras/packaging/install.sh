#!/usr/bin/env bash
# Installs what `make build` made: program, plugin and guest, manual pages, completions, units, examples.
#
#     Extras/packaging/install.sh BUILD         BUILD is the folder with the built files
#
# PREFIX (/usr/local), SYSCONFDIR (PREFIX/etc, or /etc below /usr and /usr/local) and DESTDIR as usual. What is
# replaced is replaced whole, so a program that runs goes on as it was.
set -euo pipefail

build=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
prefix=${PREFIX:-/usr/local}
case $prefix in
    /usr | /usr/local) sysconfdir=${SYSCONFDIR:-/etc} ;;
    *) sysconfdir=${SYSCONFDIR:-$prefix/etc} ;;
esac
root=${DESTDIR:-}$prefix
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ -x "$build/roost" ] || { echo "install.sh: there is no roost in $build: make build first" >&2; exit 1; }

for file in roost stamped-guest libRoostNBDKit.so; do
    # Names for debuggers are of use where it was built.
    strip --strip-unneeded -o "$work/$file" "$build/$file"
done
install -D -m 755 "$work/roost" "$root/bin/roost"
install -D -m 755 "$work/stamped-guest" "$root/lib/roost/stamped-guest"
install -D -m 644 "$work/libRoostNBDKit.so" "$root/lib/roost/libRoostNBDKit.so"

"$work/roost" --experimental-dump-help | "$here/Extras/packaging/manual.py" "$work/man" >"$work/said"
install -d "$root/share/man/man1"
for page in "$work"/man/*.1; do
    gzip -9n <"$page" >"$page.gz"
    install -m 644 "$page.gz" "$root/share/man/man1/"
done

complete() {
    "$work/roost" --generate-completion-script "$1" >"$work/completion"
    install -D -m 644 "$work/completion" "$root/share/$2"
}
complete bash bash-completion/completions/roost
complete zsh zsh/vendor-completions/_roost
complete fish fish/vendor_completions.d/roost.fish

for unit in "$here"/Extras/systemd/*.service; do
    sed -e "s|@BINDIR@|$prefix/bin|g" -e "s|@SYSCONFDIR@|$sysconfdir|g" "$unit" >"$work/unit"
    install -D -m 644 "$work/unit" "$root/lib/systemd/system/$(basename "$unit")"
done

install -d "${DESTDIR:-}$sysconfdir/roost/disk" "${DESTDIR:-}$sysconfdir/roost/net"
install -D -m 644 -t "$root/share/doc/roost" "$here/README.md" "$here/CHANGELOG.md" "$here/LICENSE"
install -D -m 644 -t "$root/share/doc/roost/examples" "$here/Extras/net/example.toml" \
    "$here/Extras/systemd/example-disk.conf"
install -D -m 644 -t "$root/share/doc/roost/schemas" "$here"/docs/schemas/*.json
echo "installed: $("$work/roost" --version | head -n 1), $(cat "$work/said"), below ${DESTDIR:-}$prefix"
