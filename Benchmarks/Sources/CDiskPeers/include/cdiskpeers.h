// What Roost's disk is measured against: a client of NBD, and the indices of grants of 2012.

#ifndef CDISKPEERS_H
#define CDISKPEERS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/// Nanoseconds of the monotonic clock.
static inline uint64_t cdisk_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// MARK: A client of NBD, over libnbd's asynchronous calls

/// A connection, and a page of memory for each request that it can have under way.
struct cdisk_nbd;

/// Connects to a server's unix socket. Answers NULL if it can't, and ``cdisk_nbd_error`` says why.
struct cdisk_nbd *_Nullable cdisk_nbd_open(const char *_Nonnull path, int slot_count);

/// Why this thread's last call failed.
const char *_Nonnull cdisk_nbd_error(void);

/// The server's disk, in bytes; -1 on failure.
int64_t cdisk_nbd_size(struct cdisk_nbd *_Nonnull client);

/// A slot's page of 4,096 bytes.
void *_Nonnull cdisk_nbd_page(struct cdisk_nbd *_Nonnull client, int slot);

/// Begins to read or write a slot's page. Answers 0, or -1 on failure.
int cdisk_nbd_submit(struct cdisk_nbd *_Nonnull client, int slot, uint64_t offset, int is_write);

/// Waits until requests have ended, and answers how many, at least one; -1 on failure, also that
/// of a request.
int cdisk_nbd_wait(struct cdisk_nbd *_Nonnull client);

/// The slot of one of the requests that the last wait has found.
int cdisk_nbd_finished(struct cdisk_nbd *_Nonnull client, int index);

void cdisk_nbd_close(struct cdisk_nbd *_Nonnull client);

// MARK: Indices of grants

/// References in an array, in the order in which they came, searched from its begin.
struct cdisk_array;
struct cdisk_array *_Nullable cdisk_array_make(int limit);
void cdisk_array_insert(struct cdisk_array *_Nonnull array, uint32_t reference, int32_t value);
/// Looks each of the references up and answers the sum of their values; -1 counts for a missing one.
int64_t cdisk_array_pass(
    const struct cdisk_array *_Nonnull array, const uint32_t *_Nonnull references, int count);
void cdisk_array_free(struct cdisk_array *_Nonnull array);

/// References in a red-black tree whose nodes were allocated one by one, as a kernel's are.
struct cdisk_tree;
struct cdisk_tree *_Nullable cdisk_tree_make(void);
/// Answers 0, or -1 without memory.
int cdisk_tree_insert(struct cdisk_tree *_Nonnull tree, uint32_t reference, int32_t value);
int64_t cdisk_tree_pass(
    const struct cdisk_tree *_Nonnull tree, const uint32_t *_Nonnull references, int count);
/// Checks order, colours and the number of black nodes on each way down. Answers how many nodes
/// there are, or -1 if the tree is none.
int cdisk_tree_check(const struct cdisk_tree *_Nonnull tree);
void cdisk_tree_free(struct cdisk_tree *_Nonnull tree);

// MARK: The floor of a request

/// Copies a page of 4,096 bytes to each of `count` places, given as offsets into `target`.
void cdisk_copy_pages(
    void *_Nonnull target, const void *_Nonnull page, const uint64_t *_Nonnull offsets, int count);

/// Writes to an event descriptor of this process so many times. Answers 0 or a negated errno.
int cdisk_signal(int count);

#endif
