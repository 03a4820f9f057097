#!/usr/bin/env bash
# Writes into linked programs what they were built from, for `roost --version`: the commit, the
# compiler, and the packages that matter. No source depends on it, so a new commit compiles nothing.
#
#     Extras/stamp.sh .build-release/release/roost
#
# The section's name and length are those of Sources/CRoost/program.c.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
matter='swift-argument-parser|swift-log|swift-nio|swift-service-lifecycle|swift-system|hdrhistogram-swift|tomlkit'
length=512

stamp=$(mktemp)
trap 'rm -f "$stamp" "$stamp".*' EXIT
{
    # Outside of a clone, or without git, the commit is not known.
    if commit=$(git -C "$here" rev-parse --short=12 HEAD 2>/dev/null); then
        git -C "$here" diff-index --quiet HEAD -- 2>/dev/null || commit+=-dirty
        echo "commit $commit"
    fi
    "${SWIFT:-swift}" --version 2>/dev/null | sed -nE 's/.*Swift version ([^ ]+).*/swift \1/p' | head -n 1
    awk -F'"' -v matter="^($matter)\$" '
        $2 == "identity" { name = $4 }
        $2 == "version" && name ~ matter { list = list (list ? ", " : "") name " " $4; name = "" }
        END { if (list) print "packages " list }' "$here/Package.resolved"
} >"$stamp"
[ "$(stat -c %s "$stamp")" -lt $length ] || { echo "stamp.sh: the stamp has no room in $length bytes" >&2; exit 1; }
truncate -s $length "$stamp"

for program in "$@"; do
    # Written anew beside it and moved into its place: it may be running.
    objcopy --update-section roost_build="$stamp" "$program" "$program.stamped"
    mv -f "$program.stamped" "$program"
done
