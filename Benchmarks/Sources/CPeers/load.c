#include "cpeers.h"

#include <string.h>
#include <zlib.h>

enum { page_size = 4096 };

static uint64_t big_endian(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    for (int index = 0; index < count; index++) {
        value = value << 8 | bytes[index];
    }
    return value;
}

int64_t cpeers_load_pages(const void *records, void *memory) {
    const unsigned char *next = records;
    z_stream inflater = {0};
    if (inflateInit(&inflater) != Z_OK) {
        return -1;
    }
    int64_t count = 0;
    for (;; count++) {
        uint64_t word;
        memcpy(&word, next, sizeof word);
        word = __builtin_bswap64(word);
        next += 8;
        if (word & 0x10) {
            break;
        }
        if (!(word & 0x20)) {
            next += 1 + *next;
        }
        unsigned char *page = (unsigned char *)memory + (word & ~0xfffull);
        if (word & 0x08) {
            memcpy(page, next, page_size);
            next += page_size;
        } else if (word & 0x02) {
            if (*next != 0 || !cpeers_is_zero(page, page_size)) {
                memset(page, *next, page_size);
            }
            next += 1;
        } else if (word & 0x40) {
            size_t length = big_endian(next + 1, 2);
            if (cpeers_xbzrle_decode(next + 3, length, page) < 0) {
                count = -1;
                break;
            }
            next += 3 + length;
        } else {
            size_t length = big_endian(next, 4);
            inflateReset(&inflater);
            inflater.next_in = (unsigned char *)next + 4;
            inflater.avail_in = length;
            inflater.next_out = page;
            inflater.avail_out = page_size;
            if (inflate(&inflater, Z_NO_FLUSH) != Z_STREAM_END) {
                count = -1;
                break;
            }
            next += 4 + length;
        }
    }
    inflateEnd(&inflater);
    return count;
}

int64_t cpeers_deflate_page(const void *page, void *output, size_t room) {
    uLongf length = room;
    return compress2(output, &length, page, page_size, 1) == Z_OK ? (int64_t)length : -1;
}
