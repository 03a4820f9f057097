#!/usr/bin/env bash
# Everything `make test` runs, stage by stage, each with its seconds. Tests run once, in release
# with testability; labs follow one by one, since each wants the machine for itself. A lab that was
# skipped is named in the last lines, and fails the run when CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."

swift=${SWIFT:-swift}
read -r -a options <<<"${TESTS:--c release -Xswiftc -enable-testing --scratch-path .build-test}"
log=$(mktemp)
table=()
# What failed stands at the end as well, where who reads only the last lines finds it.
trap '[ $? = 0 ] || grep -E "^✘ Test .* recorded an issue" "$log" >&2; rm -f "$log"' EXIT

stage() {
    local name=$1 begin=$SECONDS
    shift
    echo "== $name"
    "$@"
    table+=("$(printf '%-12s %5d s' "$name" $((SECONDS - begin)))")
}

tests() {
    "$swift" test "${options[@]}" "$@" 2>&1 | tee -a "$log" | grep -vE '^\[[0-9]+/[0-9]+\] '
}

install_lab() { Tests/Labs/install/run.sh 2>&1 | tee -a "$log"; }

# Where the system has not made the device of TAP ports; those tests say why they are skipped.
[ -e /dev/net/tun ] || [ "$(id -u)" != 0 ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; } || true

stage "lint" make --no-print-directory lint SWIFT="$swift"
stage "build" "$swift" build --build-tests "${options[@]}" --quiet
stage "tests" tests --skip-build \
    --skip 'LabTests|RoostBlockTests|RoostGuestTests|RoostHostTests|RoostHypervisorTests|RoostMigrationTests|RoostRouterTests'
# Long sums of small steps, which would keep the others from their connections.
stage "router" tests --skip-build --filter RoostRouterTests
# These wait for threads, peers and processes of their own, within limits of time: one after
# another, since a long test beside them would keep Swift's few threads from them.
stage "ends" tests --skip-build --no-parallel \
    --filter 'RoostBlockTests|RoostGuestTests|RoostHostTests|RoostHypervisorTests|RoostMigrationTests'
stage "lab assets" Tests/Labs/qemu/prepare.sh
ROOST_BINARY=$("$swift" build "${options[@]}" --show-bin-path)/roost
export ROOST_BINARY
SWIFT="$swift" Extras/stamp.sh "$ROOST_BINARY"
stage "labs" tests --skip-build --no-parallel --filter LabTests
if [ "$(id -u)" = 0 ]; then
    ROOST_TEST_BUILD=${ROOST_BINARY%/*} stage "install" install_lab
else
    echo 'Test "install" skipped: it needs to be root' | tee -a "$log"
fi
stage "probe" Tests/Probe/run.sh
stage "fuzz" Tests/Fuzz/run.sh -runs=50000

grep -E '^lab .*: [0-9.]+ s$' "$log" || true
echo
printf '%s\n' "${table[@]}"
if grep -E '(Suite|Test) .* skipped' "$log"; then
    echo "the labs and tests above were skipped" >&2
    [ "${CI:-}" != true ] || exit 1
fi
echo "all stages passed in $SECONDS s"
awk '/Test run with [0-9]+ tests.* passed/ {
    for (i = 1; i < NF; i++) if ($i == "with") passed += $(i + 1)
} END { print passed + 0 " passed, 0 failed" }' "$log"
