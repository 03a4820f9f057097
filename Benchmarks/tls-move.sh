#!/usr/bin/env bash
# What TLS costs a move: a stream of 1 GiB of plain pages played through `roost migrate relay` and `receive` over
# TCP on this host, stored in /dev/null, with TLS and without, by turns.
#
#     Benchmarks/tls-move.sh ROOST [OTHER-ROOST...]
#
# prints, for each program and turn, the processor seconds of sender and both ends, and the time from begin to end.
# Needs openssl, python3 and 1 GiB in TMPDIR.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 - <<'STREAM'
import os, struct

size, name, machine = 1 << 28, b"pc.ram", b"pc-q35-7.2"
footer = struct.pack(">QBI", 0x10, 0x7E, 2)
page = bytearray(os.urandom(4096))
with open("guest.stream", "wb") as file:
    file.write(b"QEVM" + struct.pack(">IBI", 3, 7, len(machine)) + machine)
    file.write(struct.pack(">BIB", 1, 2, 3) + b"ram" + struct.pack(">IIQ", 0, 4, size | 4))
    file.write(bytes([len(name)]) + name + struct.pack(">Q", size) + footer)
    file.write(struct.pack(">BI", 2, 2))
    for turn in range(4):
        for place in range(0, size, 4096):
            # Changed in each turn, so that none is left out.
            page[:8] = struct.pack(">Q", place + turn)
            head = struct.pack(">Q", place | 8 | (0x20 if place else 0))
            file.write(head + (b"" if place else bytes([len(name)]) + name) + page)
    file.write(footer + struct.pack(">BI", 3, 2) + footer + b"\0")
    file.write(struct.pack(">BI", 6, 14) + b'{"devices":[]}')
STREAM
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca \
    -keyout ca.key -out ca.pem 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -CA ca.pem -CAkey ca.key -keyout host.key -out host.pem 2>/dev/null

# Waits until a file says that somebody listens.
listens() {
    for _ in $(seq 600); do
        ! grep -q "listening\|waiting" "$1" || return 0
        sleep 0.1
    done
    cat "$1" >&2
    exit 1
}

move() {
    local roost=$1 kind=$2 begin
    local security=(--insecure)
    [ "$kind" = plain ] ||
        security=(--tls-certificate host.pem --tls-key host.key --tls-authority ca.pem)
    rm -f out.sock* said-*
    "$roost" migrate receive --listen tcp:127.0.0.1:45561 --output /dev/null "${security[@]}" >said-receive 2>&1 &
    local receive=$!
    listens said-receive
    "$roost" migrate relay --listen "unix:$work/out.sock" --connect tcp:localhost:45561 "${security[@]}" \
        >said-relay 2>&1 &
    local relay=$!
    listens said-relay
    begin=$(date +%s.%N)
    "$roost" migrate send guest.stream --connect "unix:$work/out.sock" >said-send 2>&1
    wait "$relay" && wait "$receive" || { cat said-* >&2; exit 1; }
    echo "$kind $(date +%s.%N) $begin" | awk '{ printf "%-6s %5.2f s\n", $1, $2 - $3 }'
}

for turn in 1 2 3 4 5; do
    for roost in "$@"; do
        for kind in plain tls; do
            TIMEFORMAT='%U %S'
            { time move "$roost" "$kind" >line; } 2>times
            awk -v line="$(cat line)" -v roost="$roost" -v turn="$turn" \
                '{ printf "turn %d  %s  %5.2f processor s  %s\n", turn, line, $1 + $2, roost }' times
        done
    done
done
