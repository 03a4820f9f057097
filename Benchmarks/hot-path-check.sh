#!/bin/sh
# Lists the calls into Swift's runtime that hot functions make, and fails if there is any.
#
#     Benchmarks/hot-path-check.sh [SCRATCH]
#
# builds the libraries below for release in SCRATCH (default .build-release) and reads their
# object files. A function that is not found fails too: it was renamed, or is inlined everywhere
# and is to be named by what it is inlined into. Generic functions count in every specialization;
# the texts of errors (implicit closures) do not.
#
# `StreamAssembler.takePages` is not listed: it counts references at its begin and end, where it
# empties the writer and where it throws, and none for a page. That was read, and is not checked.
#
# Of the source, `DeltaEncoder.encode`, `PageCache.slot` and `PageCache.replace` are inlined into
# `SourceEngine.encode`, which is listed; `send`, `sendZero`, `PageCache.zeroed` and
# `SourceMemory.isHole` into `SourceEngine.sendPages`, which is not: it counts references at its
# begin and end and where it throws. Nor is `SourceEngine.compress`, which counts them for a batch
# of 32 pages, and has its access to a batch checked for each page. Both were read.

set -eu
cd "$(dirname "$0")/.."
scratch=${1:-.build-release}

# Module, then the demangled function as far as its parameters. One a line.
hot_functions() {
    cat <<'LIST'
RoostMemory (extension in RoostMemory):Swift.RawSpan.isZero.getter
RoostMemory (extension in RoostMemory):Swift.RawSpan.isEqual(
RoostMemory (extension in RoostMemory):Swift.MutableRawSpan.replaceAll(
RoostMemory (extension in RoostMemory):Swift.MutableRawSpan.fill(
RoostMemory static RoostMemory.XBZRLE.encode(
RoostMemory static RoostMemory.XBZRLE.decode(
RoostMemory RoostMemory.ByteQueue.append(Swift.RawSpan)
RoostMemory RoostMemory.ByteQueue.bytes.getter
RoostMemory RoostMemory.ByteQueue.removeFirst(
RoostMemory RoostMemory.ByteQueue.fill(
RoostMemory RoostMemory.ByteQueue.drain(
RoostMemory RoostMemory.MappedRegion.bytes.getter
RoostMemory RoostMemory.MappedRegion.mutableBytes.getter
RoostMemory RoostMemory.MappedRegion.page(
RoostMemory RoostMemory.MappedRegion.mutablePage(
RoostMigration RoostMigration.StreamParser.records<
RoostMigration RoostMigration.BlockTable.index(
RoostMigration RoostMigration.GuestMemory.apply(
RoostMigration RoostMigration.GuestMemory.holds(
RoostMigration RoostMigration.GuestMemory.(locate in
RoostMigration RoostMigration.GuestMemory.(fill in
RoostMigration RoostMigration.GuestMemory.(applyDelta in
RoostMigration RoostMigration.PageBits.contains(
RoostMigration RoostMigration.PageBits.insert(
RoostMigration RoostMigration.StreamWriter.zeroPage(
RoostMigration RoostMigration.StreamWriter.plainPage(
RoostMigration RoostMigration.StreamWriter.deltaPage(
RoostMigration RoostMigration.StreamWriter.compressedPage(
RoostMigration RoostMigration.StreamWriter.(beginPage in
RoostMigration RoostMigration.RelayForwarder.page(
RoostMigration RoostMigration.FrameWriter.page(
RoostMigration RoostMigration.FrameWriter.(zeroPage in
RoostMigration RoostMigration.DirtyBitmap.contains(
RoostMigration RoostMigration.DirtyBitmap.mark(
RoostMigration RoostMigration.DirtyBitmap.clear(
RoostMigration RoostMigration.DirtyBitmap.firstDirty(
RoostMigration RoostMigration.PageSearch.step(
RoostMigration RoostMigration.PageCache.insert(
RoostMigration RoostMigration.SourceEngine.(encode in
LIST
}

# Reference counting, allocation, exclusivity checks, casts and witness look-ups.
calls='swift_(retain|release|bridgeObject|unknownObject|alloc|dealloc|slowAlloc|slowDealloc'
calls="$calls|beginAccess|endAccess|isUniquelyReferenced|dynamicCast|getWitnessTable"
calls="$calls|getAssociated|getGenericMetadata|allocError|once|initStack)"

modules=$(hot_functions | cut -d ' ' -f 1 | sort -u)
for module in $modules; do
    swift build -c release --target "$module" --scratch-path "$scratch" >&2
done

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
failed=0
for module in $modules; do
    # Each line: the function's name, then one call, or "-" for a function that makes none.
    found=$(find "$scratch/release/$module.build/" -name '*.o' |
        xargs objdump -dr --no-show-raw-insn |
        awk -v calls="$calls" '
            /^[0-9a-f]+ <.*>:$/ {
                name = $2; sub(/^</, "", name); sub(/>:$/, "", name); print name, "-"
            }
            $2 ~ /^R_X86_64_(PLT32|PC32|GOTPCREL.*)$/ && $3 ~ "^" calls {
                call = $3; sub(/[-+@].*$/, "", call); print name, call
            }' | sort -u)
    echo "$found" | cut -d ' ' -f 1 | swift demangle --compact >"$work/names"
    lines=$(echo "$found" | cut -d ' ' -f 2 | paste -d '\t' - "$work/names")
    hot_functions | sed -n "s/^$module //p" >"$work/hot"
    while IFS= read -r function; do
        matches=$(echo "$lines" | grep -v "	implicit closure " | grep -F -- "$function" || true)
        if [ -z "$matches" ]; then
            echo "not found: $function"
            failed=1
        elif bad=$(echo "$matches" | cut -f 1 | grep -v -x -e - | sort -u | tr '\n' ' ') &&
            [ -n "$bad" ]; then
            echo "calls the runtime: $function $bad"
            failed=1
        else
            echo "clean: $function"
        fi
    done <"$work/hot"
done
exit "$failed"
