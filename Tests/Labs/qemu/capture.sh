#!/bin/bash
# Records the migration streams that the tests read, from running QEMUs, into a folder:
#
#   NAME.stream.gz               what a source wrote; with a peer, NAME.to-destination.gz,
#                                NAME.to-source.gz and NAME.channel-N.gz (multifd)
#   truth.json                   what the source's memory held once it had stopped for good
#   README.md                    where each file came from and what it shows
#
# Usage: capture.sh FOLDER [NAME...]      all recordings, or only those whose name matches a glob
#
# The guest is guest/tinyguest.S under TCG; its main memory is a shared file, so that the truth is
# read from that file and owes nothing to QEMU's migration code. Two recordings are never the same
# byte for byte: the guest runs while it is recorded.
#
# Needs prepare.sh to have run (CACHE_DIR as there, by default .build-lab at the repository's root),
# qemu-system-x86 of Debian 12, gcc and binutils.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CACHE_DIR:-$(cd "$here/../../.." && pwd)/.build-lab}

fail() {
    printf 'capture: %s\n' "$*" >&2
    exit 1
}

[ $# -ge 1 ] || fail "usage: capture.sh FOLDER [NAME...]"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
wanted=("$@")

declare -A emulator=(
    [7.2]=qemu-system-x86_64
    [10.0]=$cache/qemu10/qemu-system-x86_64
)
[ -x "${emulator[10.0]}" ] || fail "$cache/qemu10 is missing: run prepare.sh first"
for version in 7.2 10.0; do
    case $("${emulator[$version]}" --version) in
        *" version $version."*) ;;
        *) fail "${emulator[$version]} is not QEMU $version" ;;
    esac
done

# Nothing here takes longer than a few seconds; past this something is stuck.
timeoutSeconds=60

work=$(mktemp -d)
declare -A processes=()
cleanUp() {
    local who
    for who in "${!processes[@]}"; do
        kill "${processes[$who]}" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanUp EXIT

cc -O2 -Wall -Wextra -o "$work/recorder" "$here/recorder.c"
cc -m32 -c -o "$work/tinyguest.o" "$here/guest/tinyguest.S"
ld -m elf_i386 -e 0xf0000 -Ttext=0xf0000 -o "$work/tinyguest.elf" "$work/tinyguest.o"
objcopy -O binary "$work/tinyguest.elf" "$work/tinyguest.bin"

# --- running QEMU

declare -A toMonitor=() fromMonitor=() toGuest=() fromGuest=()
declare -a unread=() # messages of the source's and destination's monitors: "WHO MESSAGE"

# openPipe NAME: the pair of pipes that a pipe character device wants, as two descriptors.
openPipe() {
    mkfifo "$work/$1.in" "$work/$1.out"
    exec {pipeIn}<>"$work/$1.in" {pipeOut}<>"$work/$1.out"
}

# launch WHO VERSION MACHINE ARGUMENT...: starts a QEMU and greets its monitor.
launch() {
    local who=$1 version=$2 machine=$3 greeting
    shift 3
    rm -f "$work/$who".*.in "$work/$who".*.out
    openPipe "$who.monitor"
    toMonitor[$who]=$pipeIn fromMonitor[$who]=$pipeOut
    openPipe "$who.serial"
    toGuest[$who]=$pipeIn fromGuest[$who]=$pipeOut
    "${emulator[$version]}" -accel tcg -nodefaults -display none -bios "$work/tinyguest.bin" \
        -machine "$machine" \
        -chardev "pipe,id=monitor,path=$work/$who.monitor" -mon chardev=monitor,mode=control \
        -chardev "pipe,id=serial,path=$work/$who.serial" -serial chardev:serial "$@" &
    processes[$who]=$!
    read -r -t "$timeoutSeconds" -u "${fromMonitor[$who]}" greeting ||
        fail "$name: the $who did not start"
    qmp "$who" '{"execute": "qmp_capabilities"}'
}

# next WHO: the monitor's next message, in `message`.
next() {
    read -r -t "$timeoutSeconds" -u "${fromMonitor[$1]}" message || fail "$name: the $1 is silent"
}

# qmp WHO COMMAND: runs a command; its answer is in `message`.
qmp() {
    printf '%s\n' "$2" >&"${toMonitor[$1]}"
    while next "$1"; do
        case $message in
            '{"return"'*) return ;;
            '{"error"'*) fail "$name: the $1 answers $message to $2" ;;
            *) unread+=("$1 $message") ;;
        esac
    done
}

# await WHO GLOB: an event, already read or still to come.
await() {
    local index
    for index in "${!unread[@]}"; do
        # shellcheck disable=SC2053  # a glob is meant
        if [[ ${unread[$index]} == "$1 "$2 ]]; then
            unset "unread[$index]"
            return
        fi
    done
    while next "$1"; do
        # shellcheck disable=SC2053
        if [[ $message == $2 ]]; then return; fi
        case $message in
            *'"MIGRATION"'*'"status": "failed"'*) fail "$name: the $1's migration failed" ;;
            *'"MIGRATION"'*'"status": "completed"'*) fail "$name: the $1 was done too early" ;;
        esac
        unread+=("$1 $message")
    done
}

awaitStatus() { await "$1" "*\"MIGRATION\"*\"status\": \"$2\"*"; }
awaitPass() { await source "*\"MIGRATION_PASS\"*\"pass\": $1}*"; }

# capabilities WHO NAME...: switches them on, and events too.
capabilities() {
    local who=$1 capability list='{"capability": "events", "state": true}'
    shift
    for capability in "$@"; do list+=", {\"capability\": \"$capability\", \"state\": true}"; done
    qmp "$who" "{\"execute\": \"migrate-set-capabilities\",
        \"arguments\": {\"capabilities\": [$list]}}"
    if [ "$who" = source ] && [ $# -gt 0 ]; then usedCapabilities="$*"; fi
}

parameters() {
    qmp "$1" "{\"execute\": \"migrate-set-parameters\", \"arguments\": {$2}}"
}

# guest TEXT ANSWER: tells the guest something (perhaps nothing), and reads its one letter back.
guest() {
    local answer
    printf '%s' "$1" >&"${toGuest[source]}"
    read -r -N 1 -t "$timeoutSeconds" -u "${fromGuest[source]}" answer ||
        fail "$name: the guest is silent"
    [ "$answer" = "$2" ] || fail "$name: the guest says $answer where $2 was expected"
}

quit() {
    local who
    for who in "$@"; do
        printf '%s\n' '{"execute": "quit"}' >&"${toMonitor[$who]}"
    done
    for who in "$@"; do
        wait "${processes[$who]}" || fail "$name: the $who ended badly"
        unset "processes[$who]"
        exec {toMonitor[$who]}>&- {fromMonitor[$who]}>&- {toGuest[$who]}>&- {fromGuest[$who]}>&-
    done
    unread=()
}

# --- the parts of a recording

memory=4160K # not a multiple of 256 KiB: QEMU 7.2 under TCG then sees every write of its guest

# startSource VERSION MACHINE ARGUMENT...: a source whose main memory is a file.
startSource() {
    usedVersion=$1 usedMachine=$2
    shift 2
    usedOptions="-m $memory${*:+ $*}"
    rm -f "$work/ram"
    launch source "$usedVersion" "$usedMachine,memory-backend=pc.ram" -m "$memory" -object \
        "memory-backend-file,id=pc.ram,size=${memory%%,*},mem-path=$work/ram,share=on" "$@"
}

# startDestination ARGUMENT...: a destination for that source, behind the recorder.
startDestination() {
    launch destination "$usedVersion" "$usedMachine,memory-backend=pc.ram" -m "$memory" -object \
        "memory-backend-ram,id=pc.ram,size=${memory%%,*}" -incoming defer "$@"
}

startRecorder() {
    local line
    qmp destination "{\"execute\": \"migrate-incoming\",
        \"arguments\": {\"uri\": \"unix:$work/destination.socket\"}}"
    rm -f "$work/recorded".*
    mkfifo "$work/recorded.ready"
    exec {recorderOut}<>"$work/recorded.ready"
    "$work/recorder" "$work/source.socket" "$work/destination.socket" "$work/recorded" \
        >&"$recorderOut" &
    processes[recorder]=$!
    read -r -t "$timeoutSeconds" -u "$recorderOut" line || fail "$name: the recorder did not start"
    exec {recorderOut}>&-
}

migrate() {
    qmp source "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"$1\"}}"
}

migrateToFile() {
    rm -f "$work/written" "$work/stream"
    mkfifo "$work/written"
    exec {written}<>"$work/written"
    migrate "exec:cat >'$work/stream' && echo written >'$work/written'"
}

# Waits for the source to be done, and reads what it counted.
completed() {
    awaitStatus source completed
    qmp source '{"execute": "query-migrate"}'
    zeroPages=$(counted duplicate) normalPages=$(counted normal) rounds=$(counted dirty-sync-count)
}

counted() { sed -n "s/.*\"$1\": \([0-9]*\)[,}].*/\1/p" <<<"$message"; }

streamWritten() {
    local line
    read -r -t "$timeoutSeconds" -u "$written" line || fail "$name: the stream was not written"
    exec {written}>&-
}

recorderEnded() {
    wait "${processes[recorder]}" || fail "$name: the recorder ended badly"
    unset "processes[recorder]"
}

# Rounds come from a link too slow for a guest that writes: first no downtime it could reach is
# allowed, then any is. Each round must hold more than a tenth of a second's bytes: a source that is
# not held up asks again at once what is dirty, and when the guest had no time to write in between,
# it takes itself to be done. Hence a lower bandwidth where pages become small.
ordinaryBandwidth=700000
bandwidth=$ordinaryBandwidth
slowly() { parameters source "\"max-bandwidth\": $bandwidth, \"downtime-limit\": 1"; }
hurry() { parameters source '"max-bandwidth": 1000000000, "downtime-limit": 100000'; }

# keep FILE SUFFIX: the recorded bytes, compressed, and a line about them.
keep() {
    local file=$name.$2.gz
    gzip -n -9 <"$1" >"$folder/$file"
    printf '| `%s` | %s | `%s` | `%s` | %s | %s | %s | %s |\n' "$file" "$usedVersion" \
        "$usedMachine" "$usedOptions" "${usedCapabilities:-none}" "$shows" "$(stat -c %s "$1")" \
        "$(stat -c %s "$folder/$file")" >>"$work/rows"
    kept=$file
}

# truth BLOCK FILE: what a block of the source held in the end, for the file kept last.
truth() {
    local sum
    sum=$(sha256sum <"$2")
    printf '  {"file": "%s", "block": "%s", "bytes": %s, "sha256": "%s", ' "$kept" "$1" \
        "$(stat -c %s "$2")" "${sum%% *}" >>"$work/truths"
    printf '"zeroPages": %s, "normalPages": %s, "dirtySyncCount": %s}\n' "$zeroPages" \
        "$normalPages" "$rounds" >>"$work/truths"
}

# recording NAME DESCRIPTION: whether this one is wanted; begins it.
recording() {
    name=$1 shows=$2 usedCapabilities=
    local glob
    for glob in "${wanted[@]-*}"; do
        # shellcheck disable=SC2053  # a glob is meant
        if [[ $name == $glob ]]; then
            printf 'capture: %s\n' "$name"
            return 0
        fi
    done
    return 1
}

# paused VERSION MACHINE ARGUMENT...: a guest that has filled its memory and is paused, to a file.
# Capabilities are those in `with`.
with=()
paused() {
    startSource "$@"
    guest '' R
    qmp source '{"execute": "stop"}'
    capabilities source "${with[@]}"
    migrateToFile
    completed
    streamWritten
    keep "$work/stream" stream
}

# running PASSES VERSION MACHINE ARGUMENT...: a guest that writes all the time, to a file.
running() {
    local passes=$1
    shift
    startSource "$@"
    guest '' R
    guest g G
    capabilities source "${with[@]}"
    slowly
    migrateToFile
    awaitPass "$passes"
    hurry
    completed
    streamWritten
    keep "$work/stream" stream
}

# --- the recordings: QEMU 7.2

: >"$work/rows"
: >"$work/truths"

if recording 7.2-q35-stopped 'a machine that never ran: all of pc.ram is ZERO records'; then
    startSource 7.2 q35 -S
    capabilities source
    migrateToFile
    completed
    streamWritten
    keep "$work/stream" stream
    truth pc.ram "$work/ram"
    quit source
fi

for machine in q35 pc microvm; do
    if recording "7.2-$machine-paused" 'ZERO and PAGE records, one round; the END holds only EOS'; then
        paused 7.2 "$machine"
        truth pc.ram "$work/ram"
        quit source
    fi
done

if recording 7.2-pc-blocks \
    'several blocks: two NUMA memories, a DIMM, and the video memory and ROM of a VGA card'; then
    # Main memory is made of two backends here, so there is no pc.ram.
    usedVersion=7.2 usedMachine=pc
    rm -f "$work/ram"*
    usedOptions='-m 4224K,slots=2,maxmem=64M -numa node,memdev=low -numa node,memdev=high'
    usedOptions+=' -device pc-dimm,memdev=dimm -device VGA,vgamem_mb=1'
    # shellcheck disable=SC2086  # a list of words
    launch source 7.2 pc \
        -object "memory-backend-file,id=low,size=2112K,mem-path=$work/ram.low,share=on" \
        -object "memory-backend-file,id=high,size=2112K,mem-path=$work/ram.high,share=on" \
        -object "memory-backend-file,id=dimm,size=2M,mem-path=$work/ram.dimm,share=on" $usedOptions
    guest '' R
    qmp source '{"execute": "stop"}'
    capabilities source
    migrateToFile
    completed
    streamWritten
    keep "$work/stream" stream
    for block in low high dimm; do truth "$block" "$work/ram.$block"; done
    quit source
fi

if recording 7.2-q35-rounds 'several rounds of a writing guest: pages sent again, ZERO after PAGE'; then
    running 5 7.2 q35
    truth pc.ram "$work/ram"
    quit source
fi

if recording 7.2-q35-xbzrle 'XBZRLE records, and PAGE for the pages whose delta overflows'; then
    with=(xbzrle)
    bandwidth=150000
    running 6 7.2 q35
    bandwidth=$ordinaryBandwidth
    truth pc.ram "$work/ram"
    quit source
    with=()
fi

if recording 7.2-pc-compress 'COMPRESS_PAGE records, out of order, in every round'; then
    with=(compress)
    bandwidth=20000
    running 4 7.2 pc
    bandwidth=$ordinaryBandwidth
    truth pc.ram "$work/ram"
    quit source
    with=()
fi

if recording 7.2-pc-xbzrle-compress 'COMPRESS_PAGE in the first round, XBZRLE afterwards'; then
    with=(xbzrle compress)
    bandwidth=100000
    running 6 7.2 pc
    bandwidth=$ordinaryBandwidth
    truth pc.ram "$work/ram"
    quit source
    with=()
fi

if recording 7.2-q35-ignore-shared \
    'capabilities in the CONFIGURATION, an address for each block, no page of the shared pc.ram'; then
    with=(x-ignore-shared)
    paused 7.2 q35
    quit source
    with=()
fi

if recording 7.2-q35-uuid 'the uuid in the CONFIGURATION'; then
    with=(validate-uuid)
    paused 7.2 q35 -uuid 00112233-4455-6677-8899-aabbccddeeff
    truth pc.ram "$work/ram"
    quit source
    with=()
fi

if recording 7.2-pc-2.3 'an old machine type: no CONFIGURATION and no footers; a path as block id'; then
    paused 7.2 pc-i440fx-2.3
    truth /objects/pc.ram "$work/ram"
    quit source
fi

if recording 7.2-q35-no-footers 'a CONFIGURATION, but no footers'; then
    paused 7.2 q35 -global migration.send-section-footer=off
    truth pc.ram "$work/ram"
    quit source
fi

if recording 7.2-q35-suppress-vmdesc 'nothing after EOF'; then
    paused 7.2 q35,suppress-vmdesc=on
    truth pc.ram "$work/ram"
    quit source
fi

if recording 7.2-q35-background-snapshot 'the guest runs on while it is saved: no END for ram'; then
    # Write protection needs private memory, so there is no file to tell the truth.
    usedVersion=7.2 usedMachine=q35 usedOptions="-m $memory"
    launch source 7.2 q35,memory-backend=pc.ram -m "$memory" \
        -object "memory-backend-ram,id=pc.ram,size=$memory"
    guest '' R
    guest g G
    capabilities source background-snapshot
    migrateToFile
    completed
    streamWritten
    keep "$work/stream" stream
    quit source
fi

# --- with a peer, both ways recorded

# exchanged VERSION: a paused guest to a destination, with the capabilities in `with`.
exchanged() {
    startSource "$1" q35
    guest '' R
    qmp source '{"execute": "stop"}'
    startDestination
    capabilities source "${with[@]}"
    capabilities destination "${with[@]}"
    startRecorder
    migrate "unix:$work/source.socket"
    completed
    awaitStatus destination completed
}

if recording 7.2-q35-return-path 'OPEN_RETURN_PATH and PING; PONG and SHUT on the way back'; then
    with=(return-path)
    exchanged 7.2
    quit source destination
    recorderEnded
    keep "$work/recorded.0.to-destination" to-destination
    truth pc.ram "$work/ram"
    keep "$work/recorded.0.to-source" to-source
    with=()
fi

for version in 7.2 10.0; do
    if recording "$version-q35-postcopy" \
        'POSTCOPY_ADVISE, rounds, RAM_DISCARD, PACKAGED; on the way back REQ_PAGES'; then
        with=(postcopy-ram)
        startSource "$version" q35
        guest '' R
        guest g G
        startDestination
        capabilities source "${with[@]}"
        capabilities destination "${with[@]}"
        startRecorder
        slowly
        # Slow here too, so that the guest asks for pages before they come by themselves.
        parameters source '"max-postcopy-bandwidth": 100000'
        migrate "unix:$work/source.socket"
        awaitPass 2
        qmp source '{"execute": "migrate-start-postcopy"}'
        completed
        awaitStatus destination completed
        quit source destination
        recorderEnded
        keep "$work/recorded.0.to-destination" to-destination
        keep "$work/recorded.0.to-source" to-source
        with=()
    fi
done

# multifd METHOD VERSION: a writing guest over two channels.
multifd() {
    with=(multifd)
    startSource "$2" q35
    guest '' R
    guest g G
    startDestination
    local who
    for who in source destination; do
        capabilities "$who" "${with[@]}"
        parameters "$who" "\"multifd-channels\": 2, \"multifd-compression\": \"$1\""
    done
    startRecorder
    # QEMU 10 counts compressed bytes against its bandwidth, and a round has few of them.
    if [ "$1" != none ] && [ "$2" = 10.0 ]; then bandwidth=20000; fi
    slowly
    bandwidth=$ordinaryBandwidth
    migrate "unix:$work/source.socket"
    awaitPass 3
    hurry
    completed
    awaitStatus destination completed
    quit source destination
    recorderEnded
    local channel
    for channel in 1 2; do
        keep "$work/recorded.$channel.to-destination" "channel-$channel"
    done
    keep "$work/recorded.0.to-destination" to-destination
    truth pc.ram "$work/ram"
    with=()
}

for version in 7.2 10.0; do
    for method in none zlib zstd; do
        if recording "$version-q35-multifd-$method" \
            "multifd over two channels, compression $method; the main channel is \`to-destination\`"; then
            multifd "$method" "$version"
        fi
    done
done

# --- the recordings: QEMU 10.0

if recording 10.0-q35-paused 'SWITCHOVER_START, and the configuration in the vmdesc'; then
    paused 10.0 q35
    truth pc.ram "$work/ram"
    quit source
fi

if recording 10.0-q35-rounds 'several rounds of a writing guest'; then
    running 5 10.0 q35
    truth pc.ram "$work/ram"
    quit source
fi

if recording 10.0-q35-xbzrle 'XBZRLE records'; then
    with=(xbzrle)
    bandwidth=150000
    running 6 10.0 q35
    bandwidth=$ordinaryBandwidth
    truth pc.ram "$work/ram"
    quit source
    with=()
fi

if recording 10.0-pc-q35-7.2 'the newer QEMU with the older machine type: no SWITCHOVER_START'; then
    paused 10.0 pc-q35-7.2
    truth pc.ram "$work/ram"
    quit source
fi

if recording 10.0-q35-mapped-ram 'a mapped-ram file of a paused guest: bitmaps, pages at fixed places'; then
    with=(mapped-ram)
    startSource 10.0 q35
    guest '' R
    qmp source '{"execute": "stop"}'
    capabilities source "${with[@]}"
    rm -f "$work/stream"
    migrate "file:$work/stream"
    completed
    keep "$work/stream" stream
    truth pc.ram "$work/ram"
    quit source
    with=()
fi

if recording 10.0-q35-virtio-mem \
    'early setup: a section of a virtio-mem device between the ram START and the first PART'; then
    memory=4160K,slots=1,maxmem=64M
    paused 10.0 q35 -object memory-backend-ram,id=vmem,size=16M \
        -device virtio-mem-pci,memdev=vmem,requested-size=0
    truth pc.ram "$work/ram"
    quit source
    memory=4160K
fi

# --- what was recorded

if [ ${#wanted[@]} -eq 0 ]; then
    {
        printf '[\n'
        sed '$!s/$/,/' "$work/truths"
        printf ']\n'
    } >"$folder/truth.json"
    {
        cat <<TEXT
# Recorded migration streams

Bytes that QEMU wrote, unchanged but for gzip. \`Tests/Labs/qemu/capture.sh\` records all of them
again and writes this table and \`truth.json\`; the guest is \`Tests/Labs/qemu/guest/tinyguest.S\`,
under TCG, with \`-nodefaults\` and one serial port. The streams come from
$("${emulator[7.2]}" --version | sed -n '1s/ emulator version//p') and
$("${emulator[10.0]}" --version | sed -n '1s/ emulator version//p').

Main memory is \`-object memory-backend-file,id=pc.ram,share=on\`, whose file is the truth:
\`truth.json\` has the size and SHA-256 of what the block held when the source had stopped for good.
A reader that applies every page of the stream must arrive at the same bytes. Beside them stand the
source's own counts of zero pages, normal pages and dirty syncs; with \`compress\` its count of zero
pages is too high, since a flush counts again what a worker did last. The machine of
\`7.2-pc-blocks\` has three such files, that of \`7.2-q35-background-snapshot\` none, and after a
postcopy the truth is the destination's.

A recording with a peer is one file for each way of the main connection and one for each further
channel, numbered in the order in which they connected.

| file | QEMU | machine | options | capabilities | what it shows | bytes | compressed |
| --- | --- | --- | --- | --- | --- | --- | --- |
TEXT
        cat "$work/rows"
    } >"$folder/README.md"
else
    cat "$work/rows" "$work/truths"
fi
