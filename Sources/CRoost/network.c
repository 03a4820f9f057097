#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include "croost_network.h"

_Static_assert(CROOST_ADDRESS_TEXT == INET6_ADDRSTRLEN, "the room for an address in text");

int croost_parse_ipv4(const char *text, uint32_t *address) {
    struct in_addr parsed;
    if (inet_pton(AF_INET, text, &parsed) != 1) return 0;
    *address = ntohl(parsed.s_addr);
    return 1;
}

int croost_parse_ipv6(const char *text, uint64_t *high, uint64_t *low) {
    struct in6_addr parsed;
    if (inet_pton(AF_INET6, text, &parsed) != 1) return 0;
    uint64_t halves[2];
    memcpy(halves, &parsed, sizeof halves);
    *high = be64toh(halves[0]);
    *low = be64toh(halves[1]);
    return 1;
}

void croost_print_ipv6(uint64_t high, uint64_t low, char *text) {
    uint64_t halves[2] = {htobe64(high), htobe64(low)};
    struct in6_addr address;
    memcpy(&address, halves, sizeof address);
    inet_ntop(AF_INET6, &address, text, CROOST_ADDRESS_TEXT);
}
