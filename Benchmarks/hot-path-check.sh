#!/bin/sh
# Lists the calls into Swift's runtime that hot functions make, and fails if there is any.
#
#     Benchmarks/hot-path-check.sh
#
# builds what `make build` does, and reads the object files of the libraries below. A function that is not found fails too: it was renamed, or is inlined everywhere
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
#
# Of disks, both ends' queues and what they call for a request of the embedded hypervisor, compiled
# for its types and in general. What is inlined everywhere is counted in its callers: the ends of a
# ring, `GrantPool`, `BackendCounters.add`. Not listed is how callers reach a frontend's thread
# (`BlockFrontend.submit`, `FrontendLane`, `FrontendLoop`): it takes a lock and keeps the caller's
# closure and buffers, some references for each request. Nor is `EmbeddedGrantMapper.unmap`, which
# holds on to a window for the length of its system call.

# Of the router, what is done for a packet from a port's frames to the next one's. What is inlined
# everywhere is counted in its callers: the headers, `ForwardingReader.find`, `PortView`,
# `PacketCounters`, `WorkerRound.stage`, `KeyedIndex.find` in `NeighbourView.find`. Not listed is
# `WorkerRound.transmit`, which holds on to a port for the length of a call that sends up to 64
# frames, once for each port that a batch goes to; nor `Worker.run`, into which `WorkerRound.receive` is
# inlined, which does so for a batch that it receives. Both were read. Nor is `ForwardingStep.ending`, of packets that are not forwarded: a
# nameless function of the compiler's lies behind it and would be counted as its own.

set -eu
cd "$(dirname "$0")/.."
scratch=.build-release

# Module, then the demangled function as far as its parameters, without the constraints of
# noncopyable types. One a line.
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
RoostBlock RoostBlock.BackendQueue.(advance in
RoostBlock RoostBlock.BackendQueue.(begin in
RoostBlock RoostBlock.BackendQueue.(complete in
RoostBlock RoostBlock.BackendQueue.(count in
RoostBlock RoostBlock.BackendQueue.(finish in
RoostBlock RoostBlock.BackendQueue.(put in
RoostBlock RoostBlock.BackendQueue.(setPlace in
RoostBlock RoostBlock.BackendQueue.copyData(
RoostBlock RoostBlock.BackendQueue.takeCompletions(
RoostBlock RoostBlock.BackendQueue.takeRequests(
RoostBlock RoostBlock.BackendQueue.takeSegments(
RoostBlock RoostBlock.FrontendQueue.(end in
RoostBlock RoostBlock.FrontendQueue.(put in
RoostBlock RoostBlock.FrontendQueue.complete(
RoostBlock RoostBlock.FrontendQueue.giveBack(
RoostBlock RoostBlock.FrontendQueue.submit(
RoostBlock RoostBlock.FrontendQueue.takeCompletion(
RoostBlock RoostBlock.FrontendQueue.transfer(
RoostBlock RoostBlock.BackendRing.look(
RoostBlock RoostBlock.BackendRing.put(
RoostBlock RoostBlock.BlockRequest.encoded(
RoostBlock RoostBlock.BlockRequest.init(
RoostBlock RoostBlock.FileQueue.flushSubmissions(
RoostBlock RoostBlock.FileQueue.submit(
RoostBlock RoostBlock.FileQueue.takeCompletion(
RoostBlock RoostBlock.FrontendRing.put(
RoostBlock RoostBlock.GrantIndex.find(
RoostBlock RoostBlock.GrantIndex.insert(
RoostBlock RoostBlock.GrantIndex.remove(
RoostBlock RoostBlock.InFlightTable.insert(
RoostBlock RoostBlock.MemoryQueue.submit(
RoostBlock RoostBlock.MemoryQueue.takeCompletion(
RoostBlock RoostBlock.OperationTable.append(
RoostBlock RoostBlock.OperationTable.remove(
RoostBlock RoostBlock.PersistentGrants.release<
RoostBlock RoostBlock.PersistentGrants.unlink(
RoostBlock RoostBlock.PersistentGrants.use(
RoostBlock RoostBlock.RequestValidator.check(
RoostHypervisor RoostHypervisor.EmbeddedEventChannel.notify(
RoostHypervisor RoostHypervisor.EmbeddedEventChannel.takePending(
RoostHypervisor RoostHypervisor.EmbeddedEventChannel.unmask(
RoostHypervisor RoostHypervisor.EmbeddedGrantAllocator.claim(
RoostHypervisor RoostHypervisor.EmbeddedGrantAllocator.release(
RoostHypervisor RoostHypervisor.EmbeddedGrantMapper.(hold in
RoostHypervisor RoostHypervisor.EmbeddedGrantMapper.(letGo in
RoostHypervisor static RoostHypervisor.GrantPins.hold(
RoostRouter RoostRouter.ForwardingReader.destination(
RoostRouter RoostRouter.ForwardingReader.findPortably<
RoostRouter RoostRouter.ForwardingReader.lookup(
RoostRouter RoostRouter.ForwardingReader.paths(
RoostMemory RoostMemory.PageWindow.copy(
RoostMemory RoostMemory.PageWindow.loadWords
RoostMemory RoostMemory.PageWindow.map(
RoostMemory RoostMemory.PageWindow.storeWords
RoostMemory RoostMemory.PageWindow.unmap(
RoostMemory RoostMemory.FrameBatch.append(
RoostMemory RoostMemory.FrameBatch.appendSlot(
RoostMemory RoostMemory.FrameBatch.byteCount(
RoostMemory RoostMemory.FrameBatch.frame(
RoostMemory RoostMemory.FrameBatch.mutableFrame(
RoostMemory RoostMemory.FrameBatch.nextRoom(
RoostMemory RoostMemory.FrameBatch.setByteCount(
RoostMemory (extension in RoostMemory):Swift.RawSpan.onesComplementSum.getter
RoostRouter RoostRouter.BatchLookup.find(
RoostRouter RoostRouter.ForwardingStep.decide(
RoostRouter RoostRouter.ForwardingStep.forward(
RoostRouter RoostRouter.ForwardingStep.forwardIPv4(
RoostRouter RoostRouter.ForwardingStep.(choice in
RoostRouter RoostRouter.ForwardingStep.(destination in
RoostRouter RoostRouter.ForwardingStep.(missing in
RoostRouter RoostRouter.ForwardingStep.(odd in
RoostRouter RoostRouter.ForwardingStep.(send in
RoostRouter RoostRouter.ForwardingStep.isReversePath(
RoostRouter RoostRouter.RouterView.exception<
RoostRouter RoostRouter.DestinationSlab.link(
RoostRouter RoostRouter.DestinationSlab.recordUse(
RoostRouter RoostRouter.DestinationSlab.word(
RoostRouter RoostRouter.FlowHasher.hash(
RoostRouter RoostRouter.IPv4Fragmenter.next(
RoostRouter RoostRouter.NeighbourView.find(
RoostRouter RoostRouter.NeighbourView.noteUse(
RoostRouter RoostRouter.PuntRing.push(
RoostRouter RoostRouter.WorkerRound.(carryOut in
RoostRouter RoostRouter.WorkerRound.(decide in
RoostRouter RoostRouter.WorkerRound.(fragment in
RoostRouter RoostRouter.MemoryPort.receive(
RoostRouter RoostRouter.MemoryPort.transmit(
RoostRouter RoostRouter.TAPPort.receive(
RoostRouter RoostRouter.TAPPort.transmit(
LIST
}

# The same, of functions that drop an error where the hypervisor refuses something, or that keep one
# where the peer breaks the protocol, and so release its text: that call is let pass in these.
hot_functions_with_errors() {
    cat <<'LIST'
RoostBlock RoostBlock.BackendQueue.(mapOnce in
RoostBlock RoostBlock.BackendQueue.(placePersistently in
RoostBlock RoostBlock.BackendQueue.place(
RoostBlock RoostBlock.BackendQueue.publishResponses(
RoostBlock RoostBlock.BackendQueue.release(
RoostBlock RoostBlock.BackendQueue.serve(
RoostBlock RoostBlock.FrontendQueue.(claim in
RoostBlock RoostBlock.FrontendQueue.(publish in
RoostBlock RoostBlock.FrontendQueue.(take in
RoostBlock RoostBlock.FrontendQueue.issue(
RoostBlock RoostBlock.FrontendQueue.takeResponses(
RoostHypervisor RoostHypervisor.EmbeddedGrantMapper.copy(
LIST
}

# Reference counting, allocation, exclusivity checks, casts and witness look-ups.
calls='swift_(retain|release|bridgeObject|unknownObject|alloc|dealloc|slowAlloc|slowDealloc'
calls="$calls|beginAccess|endAccess|isUniquelyReferenced|dynamicCast|getWitnessTable"
calls="$calls|getAssociated|getGenericMetadata|allocError|once|initStack)"

modules=$({ hot_functions; hot_functions_with_errors; } | cut -d ' ' -f 1 | sort -u)
make --no-print-directory products >&2

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
    echo "$found" | cut -d ' ' -f 1 | swift demangle --compact |
        sed -E 's/< where [^>]*~Swift\.Copyable>//g' >"$work/names"
    lines=$(echo "$found" | cut -d ' ' -f 2 | paste -d '\t' - "$work/names")
    hot_functions | sed -n "s/^$module / /p" >"$work/hot"
    hot_functions_with_errors | sed -n "s/^$module /swift_bridgeObjectRelease /p" >>"$work/hot"
    while IFS= read -r line; do
        allowed=${line%% *}
        function=${line#* }
        matches=$(echo "$lines" | grep -v "	implicit closure " | grep -F -- "$function" || true)
        if [ -z "$matches" ]; then
            echo "not found: $function"
            failed=1
        elif bad=$(echo "$matches" | cut -f 1 | grep -v -x -e - -e "$allowed" | sort -u |
            tr '\n' ' ') && [ -n "$bad" ]; then
            echo "calls the runtime: $function $bad"
            failed=1
        else
            echo "clean: $function"
        fi
    done <"$work/hot"
done
exit "$failed"
