#!/bin/sh
# Builds the peers of `lookups`, DPDK's tables, for it to load. Needs libdpdk-dev.
#
#     Benchmarks/lookup-peers.sh [LIBRARY]
#
# LIBRARY is .build/lookup-peers.so unless said otherwise.

set -eu
cd "$(dirname "$0")"
library=${1:-.build/lookup-peers.so}
mkdir -p "$(dirname "$library")"
# shellcheck disable=SC2046 # Flags are words.
${CC:-cc} -O3 -shared -fPIC -Wall -D_Nonnull= -D_Nullable= $(pkg-config --cflags libdpdk) -o "$library" Peers/lookups.c \
    -lrte_lpm -lrte_fib -lrte_rib -lrte_eal
