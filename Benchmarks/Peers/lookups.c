// DPDK's tables of longest prefixes, as the benchmark `lookups` calls them: rte_lpm and rte_fib
// (DIR-24-8) for IPv4, rte_lpm6 and rte_fib6 for IPv6. Built by lookup-peers.sh and loaded at run time, so
// that the benchmarks build where DPDK is not installed.

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>
#include <rte_malloc.h>
#include <rte_version.h>

#include "../Sources/CLookupPeers/include/clookuppeers.h"

enum { bulk = 64 };

int peer_start(void) {
    // Ordinary pages, as Roost's; the thread stays free to move between processors.
    static char *arguments[] = {
        "lookups", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "4096",
        "--lcores=(0)@(0-1)", "--log-level=error",
    };
    return rte_eal_init(sizeof arguments / sizeof *arguments, arguments);
}

const char *peer_version(void) { return rte_version(); }

uint64_t peer_bytes(void) {
    struct rte_malloc_socket_stats stats;
    if (rte_malloc_get_socket_stats(0, &stats) != 0)
        return 0;
    return stats.heap_allocsz_bytes;
}

void *peer_create(int kind, uint32_t routes) {
    static int count;
    char name[16];
    snprintf(name, sizeof name, "table%d", count++);
    switch (kind) {
    case clookup_lpm: {
        struct rte_lpm_config config = { .max_rules = routes, .number_tbl8s = 4096 };
        return rte_lpm_create(name, SOCKET_ID_ANY, &config);
    }
    case clookup_fib: {
        struct rte_fib_conf config = {
            .type = RTE_FIB_DIR24_8, .default_nh = 0, .max_routes = (int)routes,
            .dir24_8 = { .nh_sz = RTE_FIB_DIR24_8_2B, .num_tbl8 = 4096 },
        };
        return rte_fib_create(name, SOCKET_ID_ANY, &config);
    }
    case clookup_lpm6: {
        struct rte_lpm6_config config = { .max_rules = routes, .number_tbl8s = 1 << 19 };
        return rte_lpm6_create(name, SOCKET_ID_ANY, &config);
    }
    case clookup_fib6: {
        struct rte_fib6_conf config = {
            .type = RTE_FIB6_TRIE, .default_nh = 0, .max_routes = (int)routes,
            .trie = { .nh_sz = RTE_FIB6_TRIE_4B, .num_tbl8 = 1 << 19 },
        };
        return rte_fib6_create(name, SOCKET_ID_ANY, &config);
    }
    }
    return NULL;
}

void peer_free(int kind, void *table) {
    switch (kind) {
    case clookup_lpm: rte_lpm_free(table); break;
    case clookup_fib: rte_fib_free(table); break;
    case clookup_lpm6: rte_lpm6_free(table); break;
    case clookup_fib6: rte_fib6_free(table); break;
    }
}

int peer_add(int kind, void *table, const struct clookup_route *routes, uint32_t count) {
    int failed = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct clookup_route *route = &routes[i];
        switch (kind) {
        case clookup_lpm:
            failed |= rte_lpm_add(table, route->ipv4, route->length, route->next_hop);
            break;
        case clookup_fib:
            failed |= rte_fib_add(table, route->ipv4, route->length, route->next_hop);
            break;
        case clookup_lpm6:
            failed |= rte_lpm6_add(table, route->ipv6, route->length, route->next_hop);
            break;
        case clookup_fib6:
            failed |= rte_fib6_add(table, route->ipv6, route->length, route->next_hop);
            break;
        }
    }
    return failed;
}

int peer_remove(int kind, void *table, const struct clookup_route *routes, uint32_t count) {
    int failed = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct clookup_route *route = &routes[i];
        switch (kind) {
        case clookup_lpm: failed |= rte_lpm_delete(table, route->ipv4, route->length); break;
        case clookup_fib: failed |= rte_fib_delete(table, route->ipv4, route->length); break;
        case clookup_lpm6: failed |= rte_lpm6_delete(table, route->ipv6, route->length); break;
        case clookup_fib6: failed |= rte_fib6_delete(table, route->ipv6, route->length); break;
        }
    }
    return failed;
}

void peer_vector(int kind, void *table, int is_vector) {
    if (kind == clookup_fib)
        rte_fib_select_lookup(
            table, is_vector ? RTE_FIB_LOOKUP_DIR24_8_VECTOR_AVX512
                             : RTE_FIB_LOOKUP_DIR24_8_SCALAR_INLINE);
    if (kind == clookup_fib6)
        rte_fib6_select_lookup(
            table, is_vector ? RTE_FIB6_LOOKUP_TRIE_VECTOR_AVX512 : RTE_FIB6_LOOKUP_TRIE_SCALAR);
}

static uint64_t single4(const struct rte_lpm *table, const uint32_t *addresses, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t hop = 0;
        if (rte_lpm_lookup(table, addresses[i], &hop) == 0)
            sum += hop;
    }
    return sum;
}

static uint64_t bulk4(const struct rte_lpm *table, const uint32_t *addresses, uint32_t count) {
    uint64_t sum = 0;
    uint32_t hops[bulk];
    for (uint32_t i = 0; i + bulk <= count; i += bulk) {
        rte_lpm_lookup_bulk(table, addresses + i, hops, bulk);
        for (int j = 0; j < bulk; j++)
            sum += hops[j] & RTE_LPM_LOOKUP_SUCCESS ? hops[j] & 0xFFFFFF : 0;
    }
    return sum;
}

uint64_t peer_sum4(
    int kind, int is_bulk, void *table, const uint32_t *addresses, uint32_t count) {
    if (kind == clookup_lpm)
        return is_bulk ? bulk4(table, addresses, count) : single4(table, addresses, count);
    uint64_t sum = 0;
    uint64_t hops[bulk];
    int step = is_bulk ? bulk : 1;
    for (uint32_t i = 0; i + step <= count; i += step) {
        rte_fib_lookup_bulk(table, (uint32_t *)addresses + i, hops, step);
        for (int j = 0; j < step; j++)
            sum += hops[j];
    }
    return sum;
}

uint64_t peer_sum6(
    int kind, int is_bulk, void *table, const uint8_t *bytes, uint32_t count) {
    const uint8_t (*addresses)[16] = (const uint8_t (*)[16])bytes;
    uint64_t sum = 0;
    if (kind == clookup_lpm6 && !is_bulk) {
        for (uint32_t i = 0; i < count; i++) {
            uint32_t hop = 0;
            if (rte_lpm6_lookup(table, addresses[i], &hop) == 0)
                sum += hop;
        }
        return sum;
    }
    int step = is_bulk ? bulk : 1;
    int32_t hops32[bulk];
    uint64_t hops[bulk];
    for (uint32_t i = 0; i + step <= count; i += step) {
        uint8_t (*part)[16] = (uint8_t (*)[16])addresses + i;
        if (kind == clookup_lpm6) {
            rte_lpm6_lookup_bulk_func(table, part, hops32, step);
            for (int j = 0; j < step; j++)
                sum += hops32[j] < 0 ? 0 : (uint32_t)hops32[j];
        } else {
            rte_fib6_lookup_bulk(table, part, hops, step);
            for (int j = 0; j < step; j++)
                sum += hops[j];
        }
    }
    return sum;
}
