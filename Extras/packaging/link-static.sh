#!/usr/bin/env bash
# Links the programs of a build again, with Swift's libraries inside, and compiles nothing: for a build whose
# programs need the toolchain's shared libraries, such as that of the tests.
#
#     Extras/packaging/link-static.sh BUILD FOLDER      BUILD is the folder with the built files
set -euo pipefail

build=$(cd "$1" && pwd)
mkdir -p "$2"
output=$(cd "$2" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
swiftc=$(dirname "$(command -v "${SWIFT:-swift}")")/swiftc
# What Swift's own modules need of each other and do not say where they are linked as archives.
archives=(-l_FoundationCShims -l_FoundationCollections -lswiftSynchronization -lswift_Concurrency
    -lswift_StringProcessing -lswift_RegexParser)
libraries=(-luring -lzstd -lxxhash -lz -lssl -lcrypto -lm)

link() {
    local product=$1 target=$2 name=${1//-/_} entry=()
    shift 2
    # Programs built to be tested have their entry under another name.
    if [ "$(nm "$build/$name.build"/*.o 2>/dev/null | grep -c " T ${name}_main$")" != 0 ]; then
        entry=(-Xlinker "--defsym=main=${name}_main")
    fi
    rm -f "$output/$target"
    "$swiftc" -static-stdlib "$@" -o "$output/$target" "@$build/$product.product/Objects.LinkFileList" \
        -L "$build" "${libraries[@]}" "${archives[@]}" "${entry[@]}" -Xlinker --gc-sections -Xlinker --no-export-dynamic 2>&1 |
        grep -v "the use of .mktemp. is dangerous" >&2 || true
    [ -s "$output/$target" ] || { echo "link-static.sh: $product could not be linked" >&2; exit 1; }
}

link roost roost -emit-executable -module-name roost
link stamped-guest stamped-guest -emit-executable -module-name stamped_guest
link RoostNBDKit libRoostNBDKit.so -emit-library -module-name RoostNBDKit \
    -Xlinker --version-script="$here/Extras/nbdkit/plugin.map"
"$here/Extras/stamp.sh" "$output/roost"
