// XBZRLE from its description: pairs of run lengths, of equal and of differing bytes, each in one
// or two bytes of ULEB128, and the new bytes of those that differ.

#include "cpeers.h"

#include <string.h>

enum { page_size = 4096 };

static inline uint64_t word_at(const unsigned char *page, int offset) {
    uint64_t word;
    memcpy(&word, page + offset, sizeof word);
    return word;
}

static inline int end_of_equal(const unsigned char *a, const unsigned char *b, int at) {
    for (; at + 8 <= page_size; at += 8) {
        uint64_t difference = word_at(a, at) ^ word_at(b, at);
        if (difference != 0) {
            return at + (__builtin_ctzll(difference) >> 3);
        }
    }
    while (at < page_size && a[at] == b[at]) {
        at++;
    }
    return at;
}

static inline int end_of_differing(const unsigned char *a, const unsigned char *b, int at) {
    const uint64_t ones = 0x0101010101010101;
    for (; at + 8 <= page_size; at += 8) {
        uint64_t difference = word_at(a, at) ^ word_at(b, at);
        uint64_t zeros = (difference - ones) & ~difference & (ones << 7);
        if (zeros != 0) {
            return at + (__builtin_ctzll(zeros) >> 3);
        }
    }
    while (at < page_size && a[at] != b[at]) {
        at++;
    }
    return at;
}

static inline int put_length(unsigned char *output, int at, int length) {
    if (length < 0x80) {
        output[at] = (unsigned char)length;
        return at + 1;
    }
    output[at] = (unsigned char)(length | 0x80);
    output[at + 1] = (unsigned char)(length >> 7);
    return at + 2;
}

int cpeers_xbzrle_encode(const void *old_page, const void *new_page, void *output) {
    const unsigned char *a = old_page;
    const unsigned char *b = new_page;
    unsigned char *out = output;
    int at = 0;
    int written = 0;
    while (at < page_size) {
        if (written + 2 > page_size) {
            return -1;
        }
        int equal_end = end_of_equal(a, b, at);
        if (equal_end == page_size) {
            break;
        }
        written = put_length(out, written, equal_end - at);
        if (written + 2 > page_size) {
            return -1;
        }
        at = end_of_differing(a, b, equal_end);
        int differing = at - equal_end;
        written = put_length(out, written, differing);
        if (written + differing > page_size) {
            return -1;
        }
        memcpy(out + written, b + equal_end, (size_t)differing);
        written += differing;
    }
    return written;
}

/// Takes a run length of which at least two bytes are there; negative when it is too long.
static inline int take_length(const unsigned char *delta, size_t *read) {
    int low = delta[*read];
    if (low < 0x80) {
        *read += 1;
        return low;
    }
    int high = delta[*read + 1];
    if (high >= 0x80) {
        return -1;
    }
    *read += 2;
    return high << 7 | (low & 0x7f);
}

int cpeers_xbzrle_decode(const void *delta, size_t byte_count, void *page) {
    const unsigned char *in = delta;
    unsigned char *out = page;
    size_t read = 0;
    int at = 0;
    while (read < byte_count) {
        if (byte_count - read < 2) {
            return -1;
        }
        int first = read == 0;
        int equal = take_length(in, &read);
        if (equal < 0 || (equal == 0 && !first)) {
            return -1;
        }
        at += equal;
        if (at > page_size || byte_count - read < 2) {
            return -1;
        }
        int differing = take_length(in, &read);
        if (differing <= 0 || at + differing > page_size ||
            (size_t)differing > byte_count - read) {
            return -1;
        }
        memcpy(out + at, in + read, (size_t)differing);
        read += (size_t)differing;
        at += differing;
    }
    return 0;
}
