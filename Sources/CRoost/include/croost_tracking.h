#ifndef CROOST_TRACKING_H
#define CROOST_TRACKING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// userfaultfd(2), Linux include/uapi/linux/userfaultfd.h. Defined here because the headers of
// older systems lack what newer kernels can do.
#define CROOST_UFFD_WP_SHARED_MEMORY (1ULL << 12) // UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define CROOST_UFFD_WP_UNPOPULATED (1ULL << 13)   // UFFD_FEATURE_WP_UNPOPULATED
#define CROOST_UFFD_WP_ASYNC (1ULL << 15)         // UFFD_FEATURE_WP_ASYNC
#define CROOST_UFFD_FAULT_WP (1ULL << 1)          // UFFD_PAGEFAULT_FLAG_WP

/// A nonblocking userfaultfd of the calling process, or a negated errno. Where only faults of
/// user mode are wanted (UFFD_USER_MODE_ONLY), no privilege is needed.
int croost_uffd_open(int user_mode_only);

/// Agrees on the features of a userfaultfd (UFFDIO_API). Answers 0 or a negated errno.
int croost_uffd_api(int descriptor, uint64_t features);

/// Registers a range for write protection (UFFDIO_REGISTER). Answers 0 or a negated errno.
int croost_uffd_register(int descriptor, uint64_t start, uint64_t byte_count);

/// Unregisters a range (UFFDIO_UNREGISTER). Answers 0 or a negated errno.
int croost_uffd_unregister(int descriptor, uint64_t start, uint64_t byte_count);

/// Protects a range from writing, or lets it be written and wakes who waits to
/// (UFFDIO_WRITEPROTECT). Answers 0 or a negated errno.
int croost_uffd_protect(int descriptor, uint64_t start, uint64_t byte_count, int on);

/// A message of a userfaultfd, as far as it is of use here.
struct croost_fault {
    uint64_t address;
    /// The flags of a page fault; 0 for every other message.
    uint64_t flags;
};

/// Reads the next message of a userfaultfd. Answers 1, or a negated errno: -EAGAIN when there is
/// none.
int croost_uffd_read(int descriptor, struct croost_fault *_Nonnull fault);

/// Pages next to each other of which the same is true (Linux: struct page_region).
struct croost_page_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};

/// Finds the written pages of a range through a process's pagemap file and protects them from
/// writing again (PAGEMAP_SCAN with PM_SCAN_WP_MATCHING and PM_SCAN_CHECK_WPASYNC). Stores where
/// the walk ended: short of `end` when the regions are full. Answers how many regions were stored,
/// or a negated errno.
int64_t croost_pagemap_take_written(
    int pagemap, uint64_t start, uint64_t end, struct croost_page_region *_Nonnull regions,
    size_t region_count, uint64_t *_Nonnull walk_end);

/// The start of the first data at or after an offset of a file (lseek(2), SEEK_DATA), or a negated
/// errno: -ENXIO when there is none.
int64_t croost_seek_data(int descriptor, int64_t offset);

/// The start of the first hole at or after an offset of a file (lseek(2), SEEK_HOLE), or a negated
/// errno.
int64_t croost_seek_hole(int descriptor, int64_t offset);

#endif
