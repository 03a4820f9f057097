#!/bin/bash
# Builds the fuzzer of the parsers and runs it.
#
# Usage: run.sh SECONDS | -runs=N      further arguments go to libFuzzer as they are
#
# The seeds are the recorded streams, cut to a length at which thousands run each second, the
# captured packets, and every input that once failed (`crashes/`). A new failure is written to
# `crashes/` and ends the run with another status than 0: keep it there, with the fix.
#
# BUILD_DIR is where it is built and where its corpus grows, by default .build beside this file.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD_DIR:-$here/.build}
recordings=$here/../RoostMigrationTests/Fixtures/streams
captures=$here/../RoostRouterTests/Fixtures/captures

[ $# -ge 1 ] || {
    printf 'usage: run.sh SECONDS | -runs=N [libFuzzer argument...]\n' >&2
    exit 2
}
case $1 in
    -*) ;;
    *)
        seconds=$1
        shift
        set -- "-max_total_time=$seconds" "$@"
        ;;
esac

swift build --package-path "$here" --scratch-path "$build" -c release --product RoostFuzz \
    -Xswiftc -sanitize=fuzzer -Xswiftc -parse-as-library
swiftc -sanitize=fuzzer -o "$build/fuzz" "$build/release/libRoostFuzz.a" -lz -lzstd -luring

# Each seed is given to all entries: the first byte chooses.
seeds=$build/seeds
corpus=$build/corpus
mkdir -p "$corpus" "$here/crashes"
if [ ! -d "$seeds" ]; then
    mkdir "$seeds.new"
    for recording in "$recordings"/*.gz; do
        name=$(basename "$recording" .gz)
        # Blocks of the head and the first pages; most of the state of the devices is in `whole`.
        {
            printf '\0'
            gzip -dc "$recording" | head -c 6000
        } >"$seeds.new/$name.head" || true
        {
            printf '\1\377'
            gzip -dc "$recording" | head -c 6000
        } >"$seeds.new/$name.pieces" || true
    done
    for recording in "$recordings"/7.2-{q35-stopped,q35-ignore-shared}.stream.gz; do
        name=$(basename "$recording" .gz)
        {
            printf '\0'
            gzip -dc "$recording"
        } >"$seeds.new/$name.whole"
        { printf '\0' && cat "$recording"; } >"$seeds.new/$name.gzip"
    done
    for frame in "$recordings"/../packed/*.zst; do
        { printf '\0' && cat "$frame"; } >"$seeds.new/$(basename "$frame")"
    done
    # libvirt's head, version 2, 4 bytes of description, raw.
    {
        printf '\0LibvirtQemudSave\2\0\0\0\4\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0'
        head -c 56 /dev/zero
        printf 'x\0\0\0'
        gzip -dc "$recordings/7.2-q35-stopped.stream.gz" | head -c 3000
    } >"$seeds.new/libvirt" || true
    printf '\2\20\2ab\356\17\1c\375\17\2de' >"$seeds.new/delta"
    # A request of a disk's ring, a READ of one segment; and a store's WRITE.
    { printf '\3\0\1' && head -c 110 /dev/zero; } >"$seeds.new/request"
    printf '\4\30\13\0\0\0\1\0\0\0\0\0\0\0\10\0\0\0data/a\0x' >"$seeds.new/store"
    # Each captured frame: a file's head has 24 bytes, each frame's 16 with its length at the ninth.
    for capture in "$captures"/*.pcap; do
        size=$(stat -c %s "$capture")
        offset=24
        while [ "$offset" -lt "$size" ]; do
            length=$(od -An -tu4 -j "$((offset + 8))" -N 4 "$capture" | tr -d ' ')
            {
                printf '\5'
                tail -c "+$((offset + 17))" "$capture" | head -c "$length"
            } >"$seeds.new/$(basename "$capture" .pcap)-$offset" || true
            offset=$((offset + 16 + length))
        done
    done
    mv "$seeds.new" "$seeds"
fi

exec "$build/fuzz" -max_len=140000 -timeout=10 -rss_limit_mb=1024 -len_control=20 \
    -artifact_prefix="$here/crashes/" "$@" "$corpus" "$seeds" "$here/crashes"
