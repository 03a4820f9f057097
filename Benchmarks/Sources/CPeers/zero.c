#include "cpeers.h"

#include <string.h>

int cpeers_is_zero(const void *bytes, size_t byte_count) {
    const unsigned char *next = bytes;
    const unsigned char *end = next + byte_count;
    for (; next < end; next += 64) {
        uint64_t words[8];
        memcpy(words, next, sizeof words);
        if (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] |
            words[7]) {
            return 0;
        }
    }
    return 1;
}
