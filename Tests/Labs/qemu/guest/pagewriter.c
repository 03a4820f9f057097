// The guest's workload: rewrites stamped pages for ever, and says so when one of them is not as it
// was left. A migration that loses, mixes up or tears a page is thereby seen from inside the guest.
//
// Usage: pagewriter MIB HOT BYTES PACE
//
// Of MIB mebibytes a third stays zero, a third holds text and a third noise, so that a source meets
// zero pages, pages that compress and pages that do not. HOT of the pages, spread evenly over all of
// them, carry a stamp; each turn checks and rewrites every one, changing BYTES bytes and the stamp,
// so that a delta encoder finds most of a page unchanged. Each turn also compares a few of the other
// pages with what they were filled with. Turns are PACE microseconds apart.
//
// Prints `COUNTER turn` a few times a second and `CORRUPT page ...` for each bad page.

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
    pageSize = 4096,
    // Short runs, so that one write gives a delta of several pairs.
    runLength = 16,
    coldPagesPerTurn = 4,
    nanosecondsBetweenReports = 250 * 1000 * 1000,
    // Serial output is slow: a guest that lost everything must still be able to count on.
    corruptReportsMax = 1000,
};

struct Stamp {
    uint64_t number;
    uint64_t generation;
    uint64_t checksum;
};

enum { payloadSize = pageSize - sizeof(struct Stamp) };

struct Page {
    struct Stamp stamp;
    uint8_t payload[payloadSize];
};

_Static_assert(sizeof(struct Page) == pageSize, "a page's fields fill it");

static uint64_t corruptReports;

static uint64_t mixed(uint64_t value) {
    // Multiply, fold, multiply, fold: neighbouring inputs give unrelated outputs.
    value = (value ^ (value >> 31)) * 0x9e6c63d0876a9a47u;
    value = (value ^ (value >> 29)) * 0xd1b54a32d192ed03u;
    return value ^ (value >> 32);
}

static uint64_t checksum(const struct Page *page) {
    uint64_t sum = mixed(page->stamp.number + 1) ^ mixed(~page->stamp.generation);
    for (size_t offset = 0; offset < payloadSize; offset += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, page->payload + offset, sizeof word);
        sum = (sum ^ word) * 0x9e6c63d0876a9a47u;
        sum ^= sum >> 32;
    }
    return sum;
}

// What page `number` holds at first; a pure function, so that it can be made again to compare with.
static void fill(struct Page *page, uint64_t number, uint64_t pageCount) {
    static const char text[] = "every page has a place and every place a page; ";
    uint8_t *bytes = (uint8_t *)page;
    if (number < pageCount / 3) {
        memset(bytes, 0, pageSize);
    } else if (number < pageCount / 3 * 2) {
        for (size_t offset = 0; offset < pageSize; offset++) {
            bytes[offset] = (uint8_t)text[(offset + number) % (sizeof text - 1)];
        }
        memcpy(bytes, &number, sizeof number);
    } else {
        for (size_t word = 0; word < pageSize / sizeof(uint64_t); word++) {
            uint64_t noise = mixed(number * pageSize + word + 1);
            memcpy(bytes + word * sizeof noise, &noise, sizeof noise);
        }
    }
}

static void reportCorrupt(uint64_t number, const char *what, uint64_t found, uint64_t expected) {
    if (corruptReports++ < corruptReportsMax) {
        printf("CORRUPT page %llu %s %llx expected %llx\n", (unsigned long long)number, what,
               (unsigned long long)found, (unsigned long long)expected);
    }
}

static void stamp(struct Page *page, uint64_t number, uint64_t generation) {
    page->stamp.number = number;
    page->stamp.generation = generation;
    page->stamp.checksum = checksum(page);
}

static void check(const struct Page *page, uint64_t number, uint64_t generation) {
    if (page->stamp.number != number) {
        reportCorrupt(number, "number", page->stamp.number, number);
    } else if (page->stamp.generation != generation) {
        reportCorrupt(number, "generation", page->stamp.generation, generation);
    } else if (page->stamp.checksum != checksum(page)) {
        reportCorrupt(number, "checksum", page->stamp.checksum, checksum(page));
    }
}

static void rewrite(struct Page *page, uint64_t number, uint64_t generation, size_t byteCount) {
    uint64_t seed = mixed(number ^ generation << 32);
    size_t runs = (byteCount + runLength - 1) / runLength;
    for (size_t run = 0; run < runs; run++) {
        size_t length = byteCount - run * runLength;
        if (length > runLength) {
            length = runLength;
        }
        // Runs lie evenly over the payload; the seed moves all of them along from turn to turn.
        size_t start = (run * (payloadSize / runs) + seed % payloadSize) % payloadSize;
        for (size_t index = 0; index < length; index++) {
            page->payload[(start + index) % payloadSize] += (uint8_t)(1 + (seed >> index % 32) % 255);
        }
    }
    stamp(page, number, generation);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void sleepFor(uint64_t microseconds) {
    struct timespec time = {
        .tv_sec = (time_t)(microseconds / 1000000),
        .tv_nsec = (long)(microseconds % 1000000 * 1000),
    };
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
}

static uint64_t number(const char *text, const char *name, uint64_t min, uint64_t max) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max) {
        printf("FAILED %s is '%s', not a number from %llu to %llu\n", name, text,
               (unsigned long long)min, (unsigned long long)max);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 5) {
        printf("FAILED usage: pagewriter MIB HOT BYTES PACE\n");
        return 2;
    }
    uint64_t pageCount = number(argv[1], "writer.mib", 1, 1u << 20) * (1u << 20) / pageSize;
    uint64_t hotCount = number(argv[2], "writer.hot", 1, pageCount);
    size_t byteCount = number(argv[3], "writer.bytes", 0, payloadSize);
    uint64_t pace = number(argv[4], "writer.pace", 0, 60u * 1000000);

    struct Page *pages = mmap(NULL, pageCount * pageSize, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (pages == MAP_FAILED) {
        printf("FAILED no memory for %s MiB: %s\n", argv[1], strerror(errno));
        return 1;
    }
    // Hot page h is page h * stride: the hot pages lie in all three kinds of memory.
    uint64_t stride = pageCount / hotCount;
    for (uint64_t index = 0; index < pageCount; index++) {
        fill(&pages[index], index, pageCount);
    }
    for (uint64_t hot = 0; hot < hotCount; hot++) {
        stamp(&pages[hot * stride], hot * stride, 0);
    }

    static struct Page expected;
    uint64_t cold = 0;
    uint64_t reported = 0;
    for (uint64_t turn = 1;; turn++) {
        for (uint64_t hot = 0; hot < hotCount; hot++) {
            uint64_t index = hot * stride;
            check(&pages[index], index, turn - 1);
            rewrite(&pages[index], index, turn, byteCount);
        }
        for (int step = 0; step < coldPagesPerTurn; step++) {
            cold = (cold + 1) % pageCount;
            if (cold % stride == 0 && cold / stride < hotCount) {
                continue;
            }
            fill(&expected, cold, pageCount);
            if (memcmp(&pages[cold], &expected, pageSize) != 0) {
                reportCorrupt(cold, "content", checksum(&pages[cold]), checksum(&expected));
            }
        }
        // Reports go by the clock: as many at every pace, and never so many that printing them is
        // what the guest spends its time on.
        uint64_t time = now();
        if (time - reported >= nanosecondsBetweenReports) {
            reported = time;
            printf("COUNTER %llu\n", (unsigned long long)turn);
        }
        if (pace > 0) {
            sleepFor(pace);
        }
    }
}
