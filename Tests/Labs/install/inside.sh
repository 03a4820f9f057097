#!/usr/bin/env bash
# What the install laboratory does inside the bare system.
set -euo pipefail
cd /root

step() { printf 'install lab: %s\n' "$*"; }
fail() {
    printf 'install lab: %s\n' "$*" >&2
    exit 1
}
# Waits for something to become true, a minute at most.
await() {
    local what=$1 left=600
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "waited a minute for $what"
        sleep 0.1
    done
}
files() { find / -xdev \( -path /root -o -path /var/lib/dpkg -o -path /var/log -o -path /tmp \) -prune -o -print | sort; }

[ ! -e /usr/lib/swift ] && [ -z "$(find / -xdev -name 'libswift*')" ] || fail "there is Swift here"
files >before
[ "$(ls roost_*.deb | wc -l)" = 2 ] || fail "there are not two packages"
first=$(ls roost_*.deb | grep -v upgrade)
second=$(ls roost_*.deb | grep upgrade)

step "install $first"
dpkg -i "$first" >said 2>&1 || { cat said >&2; fail "dpkg -i failed"; }
roost --version | head -n 3
roost --help >help && grep -q '^USAGE: roost' help || fail "there is no help"
ldd /usr/bin/roost /usr/lib/roost/stamped-guest /usr/lib/roost/libRoostNBDKit.so >needed
! grep -E 'not found|swift' needed || fail "libraries are missing"
[ -s /usr/share/man/man1/roost-disk-serve.1.gz ] || fail "there is no manual page"
for file in bash-completion/completions/roost zsh/vendor-completions/_roost fish/vendor_completions.d/roost.fish; do
    [ -s "/usr/share/$file" ] || fail "there is no $file"
done
! grep -r '@[A-Z]*@' /lib/systemd/system/roost-* || fail "a unit has a place left open"

step "a disk is served and copied"
head -c 8M /dev/urandom >image.raw
roost disk serve --image image.raw --name web1 >served 2>&1 &
server=$!
await "the disk" grep -q 'disk web1: serving' served
roost disk connect web1 --copy-to copy.raw --quiet
cmp image.raw copy.raw || fail "the copy differs"

step "nbdkit loads the plugin"
roost disk connect web1 --nbdkit /run/web1.sock >connected 2>&1 &
client=$!
await "nbdkit's socket" test -S /run/web1.sock
await "nbdkit" grep -qs '^nbdkit$' /proc/[0-9]*/comm
kill -TERM "$client"
wait "$client" || { cat connected >&2; fail "the client did not end well"; }

step "upgrade to $second while the disk is served"
dpkg -i "$second" >said 2>&1 || { cat said >&2; fail "the upgrade failed"; }
dpkg-query -W -f '${Version}\n' roost | grep -q upgrade || fail "it is not the new version"
kill -0 "$server" || { cat served >&2; fail "the upgrade ended the disk's server"; }
roost disk connect web1 --copy-to copy2.raw --quiet
cmp image.raw copy2.raw || fail "the copy after the upgrade differs"
kill -TERM "$server"
wait "$server" || { cat served >&2; fail "the server did not end well"; }
roost disk serve --image image.raw --name web1 >served 2>&1 &
server=$!
await "the disk" grep -q 'disk web1: serving' served
roost disk connect web1 --copy-to copy3.raw --quiet
cmp image.raw copy3.raw || fail "the copy from the new server differs"
kill -TERM "$server"
wait "$server"

step "a stream is verified"
roost stream verify guest.stream.gz

step "a process is moved"
roost migrate bench --memory 16M --quiet | tail -n 1

step "a router carries packets"
ip link set lo up
for host in left:2:1 right:130:129; do
    IFS=: read -r name own router <<<"$host"
    ip netns add "$name"
    ip netns exec "$name" ip tuntap add "tap-$name" mode tap
    ip netns exec "$name" ip address add "192.0.2.$own/25" dev "tap-$name"
    ip netns exec "$name" ip link set "tap-$name" up
    ip netns exec "$name" ip route add default via "192.0.2.$router"
done
roost net up /usr/share/doc/roost/examples/example.toml >routed 2>&1 &
router=$!
await "the router" roost net show
await "a ping through the router" ip netns exec left ping -c 1 -W 1 192.0.2.130
kill -TERM "$router"
wait "$router" || { cat routed >&2; fail "the router did not end well"; }

step "remove"
# The hypervisor that the disk started for itself goes on for others; here it is the last.
for process in /proc/[0-9]*; do
    if [ "$(cat "$process/comm" 2>/dev/null)" = roost ]; then kill -TERM "${process#/proc/}"; fi
done
dpkg -P roost >said 2>&1 || { cat said >&2; fail "dpkg -P failed"; }
! grep -i warning said || fail "removing left something"
files >after
diff before after || fail "these files were left, or are gone"
step "nothing is left"
