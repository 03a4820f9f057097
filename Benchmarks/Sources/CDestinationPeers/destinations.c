#include "cdestinationpeers.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct cdst_count {
    _Alignas(64) uint64_t references;
};

struct cdst_count *cdst_make_count(void) {
    struct cdst_count *count = aligned_alloc(64, sizeof *count);
    if (count == NULL) {
        abort();
    }
    count->references = 1;
    return count;
}

void cdst_read_then_decrement(struct cdst_count *count, uint64_t rounds) {
    for (uint64_t round = 0; round < rounds; round++) {
        __atomic_fetch_add(&count->references, 1, __ATOMIC_ACQ_REL);
        if (__atomic_load_n(&count->references, __ATOMIC_RELAXED) < 1) {
            abort();
        }
        __atomic_fetch_sub(&count->references, 1, __ATOMIC_ACQ_REL);
    }
}

void cdst_decrement_and_return(struct cdst_count *count, uint64_t rounds) {
    for (uint64_t round = 0; round < rounds; round++) {
        __atomic_fetch_add(&count->references, 1, __ATOMIC_ACQ_REL);
        if (__atomic_sub_fetch(&count->references, 1, __ATOMIC_ACQ_REL) > UINT32_MAX) {
            abort();
        }
    }
}

int cdst_pin(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return sched_setaffinity(0, sizeof set, &set) < 0 ? -errno : 0;
}

struct entry {
    struct entry *next;
    uint64_t neighbour;
    char cold[48];
    // The count and what is written with it, from the second line on.
    uint64_t references;
    char rest[184];
};

struct cdst_list {
    struct entry *busy;
    struct entry *free;
    struct entry *entries;
    uint64_t neighbours;
};

struct cdst_list *cdst_make_list(uint32_t count, const uint32_t *order) {
    struct cdst_list *list = calloc(1, sizeof *list);
    struct entry *entries = aligned_alloc(256, (size_t)count * sizeof *entries);
    if (list == NULL || entries == NULL) {
        free(list);
        free(entries);
        return NULL;
    }
    memset(entries, 0, (size_t)count * sizeof *entries);
    list->entries = entries;
    for (uint32_t number = 0; number < count; number++) {
        struct entry *entry = &entries[order[number]];
        entry->references = 1;
        entry->neighbour = number;
        entry->next = list->busy;
        list->busy = entry;
    }
    return list;
}

void cdst_release(struct cdst_list *list, uint32_t index) {
    __atomic_sub_fetch(&list->entries[index].references, 1, __ATOMIC_ACQ_REL);
}

uint32_t cdst_pass(struct cdst_list *list, uint32_t *delayed) {
    uint32_t freed = 0;
    uint32_t left = 0;
    struct entry *survivors = NULL;
    struct entry **last = &survivors;
    struct entry *entry = list->busy;
    while (entry != NULL) {
        struct entry *next = entry->next;
        if (__atomic_load_n(&entry->references, __ATOMIC_ACQUIRE) != 0) {
            *last = entry;
            last = &entry->next;
            left++;
        } else {
            list->neighbours += entry->neighbour;
            memset(entry, 0, sizeof *entry);
            entry->next = list->free;
            list->free = entry;
            freed++;
        }
        entry = next;
    }
    *last = NULL;
    list->busy = survivors;
    *delayed = left;
    return freed;
}

void cdst_free_list(struct cdst_list *list) {
    free(list->entries);
    free(list);
}
