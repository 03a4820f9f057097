#ifndef CROOST_BITS_H
#define CROOST_BITS_H

#include <stdint.h>

/// Whether the processor counts bits by an instruction; all x86-64 since 2008 do, and the package is
/// compiled for any.
int croost_counts_bits(void);

/// How many bits of a number are set, by one instruction where ``croost_counts_bits`` says so.
static inline uint64_t croost_count_bits(uint64_t number) {
#if defined(__x86_64__)
    uint64_t count;
    __asm__("popcntq %1, %0" : "=r"(count) : "r"(number) : "cc");
    return count;
#else
    return (uint64_t)__builtin_popcountll(number);
#endif
}

#endif
