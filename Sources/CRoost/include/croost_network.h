#ifndef CROOST_NETWORK_H
#define CROOST_NETWORK_H

#include <stddef.h>
#include <stdint.h>

/// Reads an IPv4 address of four decimal numbers (inet_pton(3)) in host order. Answers whether the
/// text is one.
int croost_parse_ipv4(const char *_Nonnull text, uint32_t *_Nonnull address);

/// Reads an IPv6 address (inet_pton(3), RFC 4291) as its upper and lower half in host order.
/// Answers whether the text is one.
int croost_parse_ipv6(
    const char *_Nonnull text, uint64_t *_Nonnull high, uint64_t *_Nonnull low);

/// The room that an address in text needs, with its end (INET6_ADDRSTRLEN).
#define CROOST_ADDRESS_TEXT 46

/// Writes an IPv6 address as text (inet_ntop(3), RFC 5952).
void croost_print_ipv6(uint64_t high, uint64_t low, char *_Nonnull text);

#endif
