#!/bin/sh
# Everything `make bench` runs: the tables of RESULTS.md, then the calls that hot functions make.
#
#     Benchmarks/run.sh [WORD]
#
# runs only the comparisons that `ratios WORD` would, and no more. Takes about an
# hour and 9 GiB of memory, half of it in /dev/shm. Needs libnbd-dev, nbdkit, qemu-nbd
# and fio besides, and libdpdk-dev for the peers of lookups. Real QEMUs are those that are installed;
# Tests/Labs/qemu/prepare.sh adds version 10.

set -eu
cd "$(dirname "$0")"
swift=${SWIFT:-swift}

"$swift" build -c release --product ratios --quiet
"$swift" build -c release --product loader --quiet
"$swift" build -c release --product source --quiet
"$swift" build -c release --product disk --quiet
"$swift" build -c release --product router --quiet
"$swift" build -c release --product destinations --quiet
"$swift" build -c release --product lookups --quiet
# The guest that checks itself, where `source` looks for it.
make --no-print-directory -C .. products >&2
binaries=$("$swift" build -c release --show-bin-path)

echo "$("$swift" --version 2>/dev/null | head -n 1); $(uname -sr); $(nproc) processors:"
sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort | uniq -c
echo "load average: $(cut -d ' ' -f 1-3 /proc/loadavg)"
echo
"$binaries/ratios" "$@"
[ $# = 0 ] || exit 0
echo
"$binaries/loader"
echo
echo "without huge pages:"
echo
"$binaries/loader" --no-huge-pages
for subject in throughput compression xbzrle tracking slow-down downtime memory; do
    echo
    echo "source, $subject:"
    echo
    "$binaries/source" "$subject"
done
for subject in "peers fio" "guests plot=../docs/disk-guests.svg" index floor memory; do
    echo
    echo "disk, $subject:"
    echo
    # shellcheck disable=SC2086 # A subject and its options.
    "$binaries/disk" $subject
done
echo
echo "lookups:"
echo
# Beside DPDK's tables where they are installed.
if pkg-config --exists libdpdk; then
    ./lookup-peers.sh
    "$binaries/lookups" peers=.build/lookup-peers.so
else
    echo "DPDK's tables are skipped: libdpdk-dev is not installed."
    "$binaries/lookups"
fi
for subject in forwarding scan; do
    echo
    echo "router, $subject:"
    echo
    "$binaries/router" "$subject"
done
for subject in references collector flush; do
    echo
    echo "destinations, $subject:"
    echo
    "$binaries/destinations" "$subject"
done
echo
./hot-path-check.sh
