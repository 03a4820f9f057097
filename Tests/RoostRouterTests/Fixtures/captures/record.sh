#!/bin/bash
# Records the captures beside this file: what the kernel's network stack sends in three namespaces,
# of which the middle one routes. Needs root, iproute2, iputils, traceroute, tcpdump, ethtool's ioctl
# through python3. Leaves no namespace behind.
#
#     host a  192.0.2.1/24, 2001:db8:1::1/64    router r    198.51.100.1/24, 2001:db8:2::1/64  host b
#            `---- MTU 1500 -- 192.0.2.254, 2001:db8:1::fe | 198.51.100.254, 2001:db8:2::fe -- 1300 ----'

set -euo pipefail
out=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=capture$$
a=$prefix-a r=$prefix-r b=$prefix-b

clean() {
    for name in "$a" "$r" "$b"; do ip netns del "$name" 2>/dev/null || true; done
}
trap clean EXIT

within() { ip netns exec "$@"; }

# Turns off the checksums that a virtual link leaves undone.
finish_checksums() {
    within "$1" python3 - "$2" <<'PY'
import array, fcntl, socket, struct, sys
for command in (0x17, 0x15, 0x1F, 0x21, 0x25, 0x2C):  # TX checksum, RX checksum, TSO, UFO, GSO, GRO off
    value = array.array("B", struct.pack("II", command, 0))
    request = struct.pack("16sP", sys.argv[1].encode(), value.buffer_info()[0]) + bytes(16)
    try:
        fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8946, request)
    except OSError:
        pass
PY
}

# start NAME NAMESPACE INTERFACE: captures until stop.
captures=()
start() {
    ip netns exec "$2" tcpdump -U -q -n -i "$3" -w "$out/$1.pcap" --immediate-mode 2>"/tmp/$prefix.$1" &
    captures+=("$!")
    until grep -qs 'listening on' "/tmp/$prefix.$1"; do sleep 0.1; done
}
stop() {
    sleep "${1:-0.3}"
    kill -INT "${captures[@]}"
    wait "${captures[@]}" || true
    captures=()
    rm -f "/tmp/$prefix".*
}
forget() { # the neighbours, so that they are asked for again
    for name in "$a" "$r" "$b"; do within "$name" ip neigh flush all; done
}

clean
for name in "$a" "$r" "$b"; do
    ip netns add "$name"
    within "$name" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
        net.ipv6.conf.default.router_solicitation_delay=0
    within "$name" ip link set lo up
done
within "$r" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 \
    net.ipv6.icmp.ratelimit=0
within "$b" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
ip link add p1 netns "$a" address 02:00:00:00:00:0a type veth peer name p1 netns "$r" address 02:00:00:00:01:fe
ip link add p2 netns "$r" address 02:00:00:00:02:fe type veth peer name p2 netns "$b" address 02:00:00:00:00:0b
for end in "$a p1" "$r p1" "$r p2" "$b p2"; do finish_checksums $end; done
within "$r" ip link set p2 mtu 1300
within "$b" ip link set p2 mtu 1300
within "$r" ip address add 192.0.2.254/24 dev p1
within "$r" ip address add 198.51.100.254/24 dev p2
within "$r" ip -6 address add 2001:db8:1::fe/64 dev p1 nodad
within "$r" ip -6 address add 2001:db8:2::fe/64 dev p2 nodad
within "$a" ip address add 192.0.2.1/24 dev p1
within "$a" ip -6 address add 2001:db8:1::1/64 dev p1 nodad
within "$b" ip address add 198.51.100.1/24 dev p2
within "$b" ip -6 address add 2001:db8:2::1/64 dev p2 nodad
within "$r" ip link set p1 up
within "$r" ip link set p2 up
within "$b" ip link set p2 up
sleep 0.5

# The end of a link comes up: router solicitation, multicast listener reports with a router alert.
within "$a" ip link set p1 up # tcpdump needs it; down again to come up once more
start link-up "$a" p1
within "$a" ip link set p1 down
within "$a" ip link set p1 up
stop 2
within "$a" ip -6 address add 2001:db8:1::1/64 dev p1 nodad 2>/dev/null || true
within "$a" ip route add default via 192.0.2.254
within "$a" ip -6 route add default via 2001:db8:1::fe
within "$b" ip route add default via 198.51.100.254
within "$b" ip -6 route add default via 2001:db8:2::fe
sleep 1

forget
start arp-ping "$a" p1
within "$a" ping -q -c 2 -i 0.2 192.0.2.254 >/dev/null
within "$r" ip neigh flush all
within "$r" ping -q -c 1 -s 1 192.0.2.1 >/dev/null
stop

forget
start nd-ping6 "$a" p1
within "$a" ping -6 -q -c 2 -i 0.2 2001:db8:1::fe >/dev/null
within "$a" ping -6 -q -c 1 fe80::ff:fe00:1fe%p1 >/dev/null
stop 6 # the answers are confirmed: unicast solicitations

start traceroute "$a" p1
within "$a" traceroute -n -q 1 -m 3 198.51.100.1 >/dev/null
within "$a" traceroute -6 -n -q 1 -m 3 2001:db8:2::1 >/dev/null
stop

within "$r" ip route add prohibit 203.0.113.0/25
within "$r" ip -6 route add prohibit 2001:db8:3::/64
start unreachable "$a" p1
within "$a" ping -q -c 1 -W 1 203.0.113.1 >/dev/null || true
within "$a" ping -q -c 1 -W 1 203.0.113.200 >/dev/null || true
within "$a" ping -q -c 1 -W 4 198.51.100.9 >/dev/null || true
within "$a" ping -6 -q -c 1 -W 1 2001:db8:3::1 >/dev/null || true
within "$a" ping -6 -q -c 1 -W 1 2001:db8:4::1 >/dev/null || true
within "$a" ping -6 -q -c 1 -W 4 2001:db8:2::9 >/dev/null || true
stop

start too-big "$a" p1
within "$a" ping -q -c 1 -W 1 -M do -s 1400 198.51.100.1 >/dev/null || true
within "$a" ping -6 -q -c 1 -W 1 -M do -s 1400 2001:db8:2::1 >/dev/null || true
stop
within "$a" ip route flush cache
within "$a" ip -6 route flush cache

# Another router on a's link, for the redirects to name; it need not answer.
within "$r" ip neigh add 192.0.2.253 lladdr 02:00:00:00:00:fd dev p1
within "$r" ip -6 neigh add fe80::fd lladdr 02:00:00:00:00:fd dev p1
within "$r" ip route add 203.0.113.128/25 via 192.0.2.253
within "$r" ip -6 route add 2001:db8:5::/64 via fe80::fd dev p1
start redirect "$a" p1
within "$a" ping -q -c 1 -W 1 203.0.113.129 >/dev/null || true
within "$a" ping -6 -q -c 1 -W 1 2001:db8:5::1 >/dev/null || true
stop

# Before and behind the router, which fragments for its smaller link.
start fragments-before "$r" p1
start fragments-behind "$r" p2
within "$a" ping -q -c 1 -M dont -s 4000 198.51.100.1 >/dev/null
within "$a" ping -q -c 1 -M dont -s 1300 198.51.100.1 >/dev/null
within "$a" ping -6 -q -c 1 -s 1200 2001:db8:2::1 >/dev/null
within "$a" ping -6 -q -c 1 -s 4000 2001:db8:1::fe >/dev/null
within "$a" python3 - <<'PY'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: fragment
# An experimental option (RFC 4727, not copied), router alert (copied), no operation, end.
s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([30, 11] + [1] * 9 + [0x94, 4, 0, 0, 1]))
s.sendto(bytes(i & 255 for i in range(3000)), ("198.51.100.1", 9))
PY
stop

start options6 "$a" p1
within "$a" python3 - <<'PY'
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(41, 54, bytes([0, 0, 5, 2, 0, 0, 1, 0]))          # IPV6_HOPOPTS: router alert, PadN
s.setsockopt(41, 59, bytes([0, 0, 1, 4, 0, 0, 0, 0]))          # IPV6_DSTOPTS: PadN
s.sendto(b"options", ("2001:db8:2::1", 9))
s.sendto(bytes(3000), ("2001:db8:1::fe", 9))
PY
stop

start tcp-udp "$a" p1
within "$b" python3 - <<'PY' &
import socket
for family, address in ((socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8:2::1")):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 8080))
    listener.listen()
    peer, _ = listener.accept()
    peer.sendall(peer.recv(100))
    peer.close()
datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.bind(("::", 8081))
for _ in range(2):
    data, sender = datagrams.recvfrom(100)
    datagrams.sendto(data, sender)
PY
within "$a" python3 - <<'PY'
import socket, time
for family, address in ((socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8:2::1")):
    while True:
        stream = socket.socket(family)
        try:
            stream.connect((address, 8080))
            break
        except OSError:
            time.sleep(0.1)
    stream.sendall(b"odd")
    stream.recv(100)
    stream.close()
time.sleep(0.2)
for family, address in ((socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8:2::1")):
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    datagrams.sendto(b"datagram!", (address, 8081))
    datagrams.recv(100)
PY
wait %+ 2>/dev/null || true
stop

# Tagged frames come from a script, as the kernel need not have tagged devices: one tag, two tags.
start vlan "$a" p1
within "$a" python3 - <<'PY'
import socket, struct
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
ends = bytes.fromhex("0200000001fe" "02000000000a")
addresses = socket.inet_aton("203.0.113.1") + socket.inet_aton("203.0.113.2")
request = bytes.fromhex("0001080006040001" "02000000000a") + addresses[:4] + bytes(6) + addresses[4:]
echo = b"\x08\0\0\0\0\1\0\1tagged"
echo = echo[:2] + checksum(echo) + echo[4:]
header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(echo), 7, 0, 64, 1, 0) + addresses
packet = header[:10] + checksum(header) + header[12:] + echo
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("p1", 0))
s.send(ends + bytes.fromhex("8100" "0005" "0806") + request)
s.send(ends + bytes.fromhex("8100" "6005" "0800") + packet)
s.send(ends + bytes.fromhex("88a8" "0007" "8100" "0009" "0800") + packet)
PY
stop
chown "$(stat -c %u:%g "$out")" "$out"/*.pcap
