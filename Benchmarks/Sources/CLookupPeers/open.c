#include <dlfcn.h>
#include <stddef.h>

#include "clookuppeers.h"

/// The functions of `Peers/lookups.c`.
static struct {
    int (*start)(void);
    const char *(*version)(void);
    uint64_t (*bytes)(void);
    void *(*create)(int, uint32_t);
    void (*free)(int, void *);
    int (*add)(int, void *, const struct clookup_route *, uint32_t);
    int (*remove)(int, void *, const struct clookup_route *, uint32_t);
    void (*vector)(int, void *, int);
    uint64_t (*sum4)(int, int, void *, const uint32_t *, uint32_t);
    uint64_t (*sum6)(int, int, void *, const uint8_t *, uint32_t);
} peers;

const char *clookup_open(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return dlerror();
    struct { const char *name; void **place; } symbols[] = {
        { "peer_start", (void **)&peers.start }, { "peer_version", (void **)&peers.version },
        { "peer_bytes", (void **)&peers.bytes }, { "peer_create", (void **)&peers.create },
        { "peer_free", (void **)&peers.free }, { "peer_add", (void **)&peers.add },
        { "peer_remove", (void **)&peers.remove }, { "peer_vector", (void **)&peers.vector },
        { "peer_sum4", (void **)&peers.sum4 }, { "peer_sum6", (void **)&peers.sum6 },
    };
    for (unsigned i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        *symbols[i].place = dlsym(library, symbols[i].name);
        if (!*symbols[i].place)
            return dlerror();
    }
    return peers.start() < 0 ? "DPDK's environment does not start" : NULL;
}

const char *clookup_version(void) { return peers.version(); }

uint64_t clookup_bytes(void) { return peers.bytes(); }

uintptr_t clookup_create(int kind, uint32_t routes) {
    return (uintptr_t)peers.create(kind, routes);
}

void clookup_free(int kind, uintptr_t table) { peers.free(kind, (void *)table); }

int clookup_add(
    int kind, uintptr_t table, const struct clookup_route *routes, uint32_t count) {
    return peers.add(kind, (void *)table, routes, count);
}

int clookup_remove(
    int kind, uintptr_t table, const struct clookup_route *routes, uint32_t count) {
    return peers.remove(kind, (void *)table, routes, count);
}

void clookup_vector(int kind, uintptr_t table, int is_vector) {
    peers.vector(kind, (void *)table, is_vector);
}

uint64_t clookup_sum4(
    int kind, int is_bulk, uintptr_t table, const uint32_t *addresses, uint32_t count) {
    return peers.sum4(kind, is_bulk, (void *)table, addresses, count);
}

uint64_t clookup_sum6(
    int kind, int is_bulk, uintptr_t table, const uint8_t *addresses, uint32_t count) {
    return peers.sum6(kind, is_bulk, (void *)table, addresses, count);
}
