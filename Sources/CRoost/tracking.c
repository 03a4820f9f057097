#include "croost_tracking.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

_Static_assert(CROOST_UFFD_FAULT_WP == UFFD_PAGEFAULT_FLAG_WP, "UFFD_PAGEFAULT_FLAG_WP");

// Linux include/uapi/linux/fs.h, since 6.7.
struct pm_scan_arg {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};

#define SCAN_PAGEMAP _IOWR('f', 16, struct pm_scan_arg)
#define SCAN_WP_MATCHING (1 << 0)   // PM_SCAN_WP_MATCHING
#define SCAN_CHECK_WPASYNC (1 << 1) // PM_SCAN_CHECK_WPASYNC
#define SCAN_IS_WRITTEN (1 << 1)    // PAGE_IS_WRITTEN

int croost_uffd_open(int user_mode_only) {
    int flags = O_CLOEXEC | O_NONBLOCK | (user_mode_only ? UFFD_USER_MODE_ONLY : 0);
    long result = syscall(SYS_userfaultfd, flags);
    return result < 0 ? -errno : (int)result;
}

int croost_uffd_api(int descriptor, uint64_t features) {
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    return ioctl(descriptor, UFFDIO_API, &api) < 0 ? -errno : 0;
}

int croost_uffd_register(int descriptor, uint64_t start, uint64_t byte_count) {
    struct uffdio_register range = {
        .range = {.start = start, .len = byte_count}, .mode = UFFDIO_REGISTER_MODE_WP};
    return ioctl(descriptor, UFFDIO_REGISTER, &range) < 0 ? -errno : 0;
}

int croost_uffd_unregister(int descriptor, uint64_t start, uint64_t byte_count) {
    struct uffdio_range range = {.start = start, .len = byte_count};
    return ioctl(descriptor, UFFDIO_UNREGISTER, &range) < 0 ? -errno : 0;
}

int croost_uffd_protect(int descriptor, uint64_t start, uint64_t byte_count, int on) {
    struct uffdio_writeprotect range = {
        .range = {.start = start, .len = byte_count},
        .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0};
    int result;
    do {
        result = ioctl(descriptor, UFFDIO_WRITEPROTECT, &range);
    } while (result < 0 && (errno == EAGAIN || errno == EINTR));
    return result < 0 ? -errno : 0;
}

int croost_uffd_read(int descriptor, struct croost_fault *fault) {
    struct uffd_msg message;
    ssize_t result;
    do {
        result = read(descriptor, &message, sizeof message);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return -errno;
    }
    if (result != sizeof message) {
        return -EIO;
    }
    int is_fault = message.event == UFFD_EVENT_PAGEFAULT;
    fault->address = is_fault ? message.arg.pagefault.address : 0;
    fault->flags = is_fault ? message.arg.pagefault.flags : 0;
    return 1;
}

int64_t croost_pagemap_take_written(
    int pagemap, uint64_t start, uint64_t end, struct croost_page_region *regions,
    size_t region_count, uint64_t *walk_end) {
    struct pm_scan_arg scan = {
        .size = sizeof scan,
        .flags = SCAN_WP_MATCHING | SCAN_CHECK_WPASYNC,
        .start = start,
        .end = end,
        .vec = (uint64_t)(uintptr_t)regions,
        .vec_len = region_count,
        .category_mask = SCAN_IS_WRITTEN,
        .return_mask = SCAN_IS_WRITTEN};
    int result;
    do {
        result = ioctl(pagemap, SCAN_PAGEMAP, &scan);
    } while (result < 0 && errno == EINTR);
    *walk_end = scan.walk_end;
    return result < 0 ? -errno : result;
}

int64_t croost_seek_data(int descriptor, int64_t offset) {
    off_t result = lseek(descriptor, offset, SEEK_DATA);
    return result < 0 ? -errno : result;
}

int64_t croost_seek_hole(int descriptor, int64_t offset) {
    off_t result = lseek(descriptor, offset, SEEK_HOLE);
    return result < 0 ? -errno : result;
}
