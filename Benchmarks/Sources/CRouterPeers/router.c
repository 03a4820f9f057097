#include "crouterpeers.h"

#include <stdlib.h>
#include <string.h>

// The lookup is DIR-24-8 (Gupta, Lin, McKeown: "Routing Lookups in Hardware at Memory Access
// Speeds", 1998): 2^24 slots of 16 bits by an address's first 24 bits, 32 MiB, and blocks of 256 for
// longer prefixes.
#define SLOTS (1u << 24)
#define BLOCKS 32768u
#define BLOCK_FLAG 0x8000u
#define ON_LINK 255u
#define NEIGHBOURS 8192u
#define BATCH 64u
// As far apart as the frames of a batch in the measured router.
#define STRIDE 1664u

struct port {
    uint64_t mac;
    uint32_t mtu;
    uint32_t is_up;
};

struct hop {
    uint64_t mac;
    uint16_t port;
    uint16_t is_usable;
    uint32_t rest;
};

struct use {
    uint64_t packets;
    uint64_t last;
};

struct neighbour {
    uint32_t address;
    uint32_t is_usable;
    uint64_t mac;
};

struct crouter {
    uint16_t *slots;
    uint16_t *blocks;
    uint32_t block_count;
    uint16_t link;
    uint32_t neighbour_count;
    struct port ports[16];
    struct hop hops[256];
    struct use uses[256];
    struct neighbour neighbours[NEIGHBOURS];
    uint64_t counters[16];
    uint32_t frame_count;
    uint16_t lengths[BATCH];
    uint16_t outputs[BATCH];
    _Alignas(64) uint8_t frames[BATCH * STRIDE];
};

struct crouter *crouter_make(void) {
    struct crouter *router = aligned_alloc(64, (sizeof *router + 63) & ~(size_t)63);
    if (router == NULL) {
        return NULL;
    }
    memset(router, 0, sizeof *router);
    router->slots = calloc(SLOTS, sizeof *router->slots);
    router->blocks = calloc(BLOCKS * 256, sizeof *router->blocks);
    if (router->slots == NULL || router->blocks == NULL) {
        crouter_free(router);
        return NULL;
    }
    return router;
}

void crouter_free(struct crouter *router) {
    free(router->slots);
    free(router->blocks);
    free(router);
}

void crouter_set_port(struct crouter *router, uint16_t port, uint64_t mac, uint32_t mtu) {
    router->ports[port] = (struct port){.mac = mac, .mtu = mtu, .is_up = 1};
}

void crouter_set_hop(struct crouter *router, uint16_t hop, uint64_t mac, uint16_t port) {
    router->hops[hop] = (struct hop){.mac = mac, .port = port, .is_usable = 1};
}

void crouter_set_link(struct crouter *router, uint16_t port) {
    router->link = port;
}

static inline uint32_t place_of(uint32_t address) {
    return (address * 2654435769u) >> 19;
}

int crouter_add_neighbour(struct crouter *router, uint32_t address, uint64_t mac) {
    if (router->neighbour_count == NEIGHBOURS / 2) {
        return -1;
    }
    router->neighbour_count++;
    uint32_t place = place_of(address);
    while (router->neighbours[place].is_usable) {
        place = (place + 1) & (NEIGHBOURS - 1);
    }
    router->neighbours[place] =
        (struct neighbour){.address = address, .is_usable = 1, .mac = mac};
    return 0;
}

static int block_of(struct crouter *router, uint32_t slot) {
    uint16_t word = router->slots[slot];
    if (word & BLOCK_FLAG) {
        return word & ~BLOCK_FLAG;
    }
    if (router->block_count == BLOCKS) {
        return -1;
    }
    uint32_t block = router->block_count++;
    for (uint32_t index = 0; index < 256; index++) {
        router->blocks[block * 256 + index] = word;
    }
    router->slots[slot] = (uint16_t)(block | BLOCK_FLAG);
    return (int)block;
}

int crouter_add(struct crouter *router, uint32_t prefix, int length, uint16_t hop) {
    if (length <= 24) {
        uint32_t first = prefix >> 8;
        for (uint32_t slot = first; slot < first + (1u << (24 - length)); slot++) {
            router->slots[slot] = hop;
        }
        return 0;
    }
    int block = block_of(router, prefix >> 8);
    if (block < 0) {
        return -1;
    }
    uint32_t first = (uint32_t)block * 256 + (prefix & 0xFF);
    for (uint32_t place = first; place < first + (1u << (32 - length)); place++) {
        router->blocks[place] = hop;
    }
    return 0;
}

void crouter_load(
    struct crouter *router, const uint8_t *frames, uint32_t byte_count, uint32_t frame_count) {
    router->frame_count = frame_count;
    for (uint32_t slot = 0; slot < frame_count; slot++) {
        memcpy(router->frames + slot * STRIDE, frames + slot * byte_count, byte_count);
        router->lengths[slot] = (uint16_t)byte_count;
    }
}

uint32_t crouter_bytes(const struct crouter *router, uint8_t *frames) {
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < router->frame_count; slot++) {
        memcpy(frames + count, router->frames + slot * STRIDE, router->lengths[slot]);
        count += router->lengths[slot];
    }
    return count;
}

static inline uint16_t load16(const uint8_t *bytes) {
    uint16_t word;
    memcpy(&word, bytes, sizeof word);
    return __builtin_bswap16(word);
}

static inline uint32_t load32(const uint8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return __builtin_bswap32(word);
}

static inline uint64_t load64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return __builtin_bswap64(word);
}

static inline void store32(uint8_t *bytes, uint32_t word) {
    word = __builtin_bswap32(word);
    memcpy(bytes, &word, sizeof word);
}

static inline void store64(uint8_t *bytes, uint64_t word) {
    word = __builtin_bswap64(word);
    memcpy(bytes, &word, sizeof word);
}

static inline uint32_t fold(uint64_t sum) {
    sum = (sum & 0xFFFFFFFF) + (sum >> 32);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint32_t)((sum & 0xFFFF) + (sum >> 16));
}

/// Whether a host can have the address: not this network, loopback, link-local, a group or reserved.
static inline int is_unicast(uint32_t address) {
    uint32_t first = address >> 24;
    return first != 0 && first != 127 && first < 224 && address >> 16 != 0xA9FE;
}

/// Decides about one frame. Answers the port it goes to, or -1.
static int forward(
    struct crouter *router, uint8_t *frame, uint16_t *length, const struct port *ingress,
    uint64_t now) {
    if (*length < 14 || load64(frame) >> 16 != ingress->mac || load16(frame + 12) != 0x0800) {
        return -1;
    }
    uint8_t *header = frame + 14;
    if (*length < 34) {
        return -1;
    }
    uint32_t first = load32(header);
    uint32_t header_length = first >> 22 & 0x3C;
    uint32_t total = first & 0xFFFF;
    if (first >> 28 != 4 || header_length < 20 || total < header_length || total + 14 > *length) {
        return -1;
    }
    uint32_t life = load32(header + 8);
    uint32_t source = load32(header + 12);
    uint32_t destination = load32(header + 16);
    uint64_t sum = (uint64_t)first + load32(header + 4) + life + source + destination;
    for (uint32_t place = 20; place < header_length; place += 4) {
        sum += load32(header + place);
    }
    if (fold(sum) != 0xFFFF || !is_unicast(source)) {
        return -1;
    }
    *length = (uint16_t)(total + 14);
    uint32_t hop_number = router->slots[destination >> 8];
    if (hop_number & BLOCK_FLAG) {
        hop_number = router->blocks[(hop_number & ~BLOCK_FLAG) * 256 + (destination & 0xFF)];
    }
    if (hop_number == 0 || !is_unicast(destination) || life >> 24 <= 1) {
        return -1;
    }
    const struct hop *hop = &router->hops[hop_number];
    uint64_t mac = hop->mac;
    uint16_t port_number = hop->port;
    if (hop_number == ON_LINK) {
        uint32_t place = place_of(destination);
        while (router->neighbours[place].address != destination) {
            if (!router->neighbours[place].is_usable) {
                return -1;
            }
            place = (place + 1) & (NEIGHBOURS - 1);
        }
        mac = router->neighbours[place].mac;
        port_number = router->link;
    } else if (!hop->is_usable) {
        return -1;
    }
    const struct port *port = &router->ports[port_number];
    if (!port->is_up || total > port->mtu) {
        return -1;
    }
    store64(frame, mac << 16 | port->mac >> 32);
    store32(frame + 8, (uint32_t)port->mac);
    router->uses[hop_number].packets++;
    router->uses[hop_number].last = now;
    // RFC 1624, equation 3.
    uint32_t old = life >> 16;
    uint32_t new = old - 0x100;
    uint32_t checksum = (~life & 0xFFFF) + (~old & 0xFFFF) + new;
    checksum = (checksum & 0xFFFF) + (checksum >> 16);
    checksum = (checksum & 0xFFFF) + (checksum >> 16);
    store32(header + 8, new << 16 | (~checksum & 0xFFFF));
    return port_number;
}

uint32_t crouter_forward(struct crouter *router, uint16_t port, uint64_t now) {
    uint32_t count = 0;
    const struct port *ingress = &router->ports[port];
    for (uint32_t slot = 0; slot < router->frame_count; slot++) {
        int output = forward(
            router, router->frames + slot * STRIDE, &router->lengths[slot], ingress, now);
        if (output >= 0) {
            router->outputs[slot] = (uint16_t)output;
            count++;
        }
    }
    return count;
}
