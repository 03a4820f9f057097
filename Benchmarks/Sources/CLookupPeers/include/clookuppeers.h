// What lookups are measured against: DPDK's tables, in a library that is loaded if it is there.

#ifndef CLOOKUPPEERS_H
#define CLOOKUPPEERS_H

#include <stdint.h>

/// The peers' tables.
enum clookup_kind { clookup_lpm, clookup_fib, clookup_lpm6, clookup_fib6 };

/// A route of either family; addresses of IPv4 in host order, of IPv6 in the network's.
struct clookup_route {
    uint8_t ipv6[16];
    uint32_t ipv4;
    uint32_t next_hop;
    uint8_t length;
};

/// Loads the peers' library and starts them: nothing below may be called before. Answers NULL, or why it
/// cannot be done.
const char *_Nullable clookup_open(const char *_Nonnull path);

/// What the peers are called.
const char *_Nonnull clookup_version(void);

/// Bytes of the peers' heap in use.
uint64_t clookup_bytes(void);

/// A table for so many routes; 0 when it cannot be made.
uintptr_t clookup_create(int kind, uint32_t routes);

void clookup_free(int kind, uintptr_t table);

/// Answers 0 when all were added.
int clookup_add(
    int kind, uintptr_t table, const struct clookup_route *_Nonnull routes, uint32_t count);

/// Answers 0 when all were removed.
int clookup_remove(
    int kind, uintptr_t table, const struct clookup_route *_Nonnull routes, uint32_t count);

/// Has a rte_fib look up by AVX-512, or without it.
void clookup_vector(int kind, uintptr_t table, int is_vector);

/// The sum of the next hops that addresses find, one at a time or 64 at once; a multiple of 64.
uint64_t clookup_sum4(
    int kind, int is_bulk, uintptr_t table, const uint32_t *_Nonnull addresses, uint32_t count);

/// The same of IPv6, 16 bytes an address.
uint64_t clookup_sum6(
    int kind, int is_bulk, uintptr_t table, const uint8_t *_Nonnull addresses, uint32_t count);

#endif
