#!/usr/bin/env bash
# Builds a package that depends on the library RoostGuest alone, runs it, and counts what SwiftPM fetched for
# it: at most five packages, itself and Roost among them.
set -euo pipefail
cd "$(dirname "$0")"
swift=${SWIFT:-swift}
scratch=${1:-../../.build-probe}

"$swift" build --scratch-path "$scratch" --quiet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "$("$("$swift" build --scratch-path "$scratch" --show-bin-path)/probe" "$work/socket")" = "counted to 1" ]
count=$("$swift" package --scratch-path "$scratch" show-dependencies --format flatlist 2>/dev/null |
    sort -u | grep -c .)
echo "probe: $count packages besides itself"
[ "$count" -le 4 ] || { echo "probe: RoostGuest needs more packages than it should" >&2; exit 1; }
