// What Roost is measured against: the same work in C, in 64-bit words as Roost does it.

#ifndef CPEERS_H
#define CPEERS_H

#include <stddef.h>
#include <stdint.h>

/// Whether all bytes are zero: 1 or 0. `byte_count` is a multiple of 64.
int cpeers_is_zero(const void *_Nonnull bytes, size_t byte_count);

/// Encodes what changed between two pages of 4,096 bytes into a third. Answers the length of the
/// delta, 0 for equal pages, or -1 where the delta does not fit.
int cpeers_xbzrle_encode(
    const void *_Nonnull old_page, const void *_Nonnull new_page, void *_Nonnull output);

/// Applies a delta to a page of 4,096 bytes. Answers 0, or -1 where it is malformed.
int cpeers_xbzrle_decode(
    const void *_Nonnull delta, size_t byte_count, void *_Nonnull page);

/// Applies the records of QEMU's stream from the first on to its end mark, trusting every length
/// and offset. Answers how many pages came, or -1 where a delta or a zlib stream is malformed.
int64_t cpeers_load_pages(const void *_Nonnull records, void *_Nonnull memory);

/// Packs a page of 4,096 bytes with zlib, level 1. Answers the length, or -1 where it does not fit.
int64_t cpeers_deflate_page(const void *_Nonnull page, void *_Nonnull output, size_t room);

// Unix sockets for the comparison of loaders. Each answers a descriptor or a negated errno.
int cpeers_listen(const char *_Nonnull path);
int cpeers_accept(int listener, int milliseconds);
int cpeers_connect(const char *_Nonnull path);

/// Sends bytes and the end of the input, then waits until the peer closes the connection. Answers
/// 0 or a negated errno.
int cpeers_send_and_wait(int descriptor, const void *_Nonnull bytes, size_t byte_count);

/// Reads and drops everything up to the end. Answers how many bytes came, or a negated errno.
int64_t cpeers_discard(int descriptor);

/// Takes huge pages from this process and those it starts (prctl(2), PR_SET_THP_DISABLE). Answers
/// 0 or a negated errno.
int cpeers_disable_huge_pages(void);

/// Lets this thread receive every signal, and so the processes that it starts: the threads of a
/// dispatch queue block them. Answers 0 or a negated errno.
int cpeers_unblock_signals(void);

#endif
