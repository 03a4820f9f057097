#ifndef CROUTERPEERS_H
#define CROUTERPEERS_H

#include <stdint.h>

/// A router of IPv4 that does one thing: it forwards.
struct crouter;

/// Makes a router without routes. Answers NULL when there is no memory.
struct crouter *_Nullable crouter_make(void);

/// Says who is at a port: frames that do not begin with `mac` are not for the router.
void crouter_set_port(struct crouter *_Nonnull router, uint16_t port, uint64_t mac, uint32_t mtu);

/// Says where a next hop, 1 to 254, is.
void crouter_set_hop(struct crouter *_Nonnull router, uint16_t hop, uint64_t mac, uint16_t port);

/// Says that the addresses of next hop 255 are themselves on the link of a port.
void crouter_set_link(struct crouter *_Nonnull router, uint16_t port);

/// Adds a neighbour on that link. Answers 0, or -1 when there are 4,096.
int crouter_add_neighbour(struct crouter *_Nonnull router, uint32_t address, uint64_t mac);

/// Adds a route. Those of fewer bits come first. Answers 0, or -1 when there is no room.
int crouter_add(struct crouter *_Nonnull router, uint32_t prefix, int length, uint16_t hop);

/// Fills the router's batch with at most 64 frames, which lie one after the other.
void crouter_load(
    struct crouter *_Nonnull router, const uint8_t *_Nonnull frames, uint32_t byte_count,
    uint32_t frame_count);

/// Decides about each frame of the batch and makes it ready. Answers how many are to go out.
uint32_t crouter_forward(struct crouter *_Nonnull router, uint16_t port, uint64_t now);

/// Writes the batch's frames one after the other, and answers their bytes.
uint32_t crouter_bytes(const struct crouter *_Nonnull router, uint8_t *_Nonnull frames);

/// Frees a router.
void crouter_free(struct crouter *_Nonnull router);

#endif
