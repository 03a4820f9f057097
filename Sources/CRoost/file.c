#include "croost_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

int croost_direct_alignment(int descriptor, uint32_t *memory, uint32_t *offset) {
    struct statx facts;
    memset(&facts, 0, sizeof facts);
    if (syscall(SYS_statx, descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &facts) < 0) {
        return -errno;
    }
    if ((facts.stx_mask & STATX_DIOALIGN) == 0) {
        return -EOPNOTSUPP;
    }
    *memory = facts.stx_dio_mem_align;
    *offset = facts.stx_dio_offset_align;
    return 0;
}

int64_t croost_try_sector(int descriptor, int64_t offset) {
    _Alignas(1024) char memory[1024];
    ssize_t result = pread(descriptor, memory + 512, 512, offset);
    return result < 0 ? -errno : result;
}

int croost_block_device_sizes(
    int descriptor, uint64_t *byte_count, uint32_t *logical, uint32_t *physical) {
    int sector = 0;
    unsigned int medium = 0;
    if (ioctl(descriptor, BLKGETSIZE64, byte_count) < 0 || ioctl(descriptor, BLKSSZGET, &sector) < 0 ||
        ioctl(descriptor, BLKPBSZGET, &medium) < 0) {
        return -errno;
    }
    *logical = (uint32_t)sector;
    *physical = medium;
    return 0;
}

int croost_discard_blocks(int descriptor, uint64_t offset, uint64_t byte_count) {
    uint64_t range[2] = {offset, byte_count};
    return ioctl(descriptor, BLKDISCARD, range) < 0 ? -errno : 0;
}

int croost_rename_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return -errno;
    }
    if (link(from, to) == 0) {
        return unlink(from) < 0 ? -errno : 0;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) {
        return -errno;
    }
    // Neither is possible here: between the look and the renaming another may take the name.
    if (access(to, F_OK) == 0) {
        return -EEXIST;
    }
    return rename(from, to) < 0 ? -errno : 0;
}

static struct flock bytes(short kind, int64_t offset, int64_t byte_count) {
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = kind;
    lock.l_whence = SEEK_SET;
    lock.l_start = offset;
    lock.l_len = byte_count;
    return lock;
}

int croost_lock_byte(int descriptor, int64_t offset) {
    struct flock lock = bytes(F_RDLCK, offset, 1);
    return fcntl(descriptor, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int croost_unlock_bytes(int descriptor, int64_t offset, int64_t byte_count) {
    struct flock lock = bytes(F_UNLCK, offset, byte_count);
    return fcntl(descriptor, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int croost_is_byte_locked(int descriptor, int64_t offset) {
    struct flock lock = bytes(F_WRLCK, offset, 1);
    if (fcntl(descriptor, F_OFD_GETLK, &lock) < 0) {
        return -errno;
    }
    return lock.l_type != F_UNLCK;
}

int64_t croost_read_attribute(int descriptor, const char *name, void *value, size_t byte_count) {
    ssize_t result = fgetxattr(descriptor, name, value, byte_count);
    return result < 0 ? -errno : result;
}

int croost_write_attribute(
    int descriptor, const char *name, const void *value, size_t byte_count) {
    return fsetxattr(descriptor, name, value, byte_count, 0) < 0 ? -errno : 0;
}

int croost_birth_time(int descriptor, int64_t *nanoseconds) {
    struct statx facts;
    memset(&facts, 0, sizeof facts);
    if (syscall(SYS_statx, descriptor, "", AT_EMPTY_PATH, STATX_BTIME, &facts) < 0) {
        return -errno;
    }
    if ((facts.stx_mask & STATX_BTIME) == 0) {
        return -EOPNOTSUPP;
    }
    *nanoseconds = (int64_t)facts.stx_btime.tv_sec * 1000000000 + facts.stx_btime.tv_nsec;
    return 0;
}

int croost_file_system_number(int descriptor, uint64_t *number) {
    struct statfs status;
    if (fstatfs(descriptor, &status) < 0) {
        return -errno;
    }
    memcpy(number, &status.f_fsid, sizeof *number);
    return 0;
}

int croost_loop_backing(
    int descriptor, uint64_t *device, uint64_t *inode, uint64_t *block_device, uint64_t *offset) {
    struct loop_info64 facts;
    memset(&facts, 0, sizeof facts);
    if (ioctl(descriptor, LOOP_GET_STATUS64, &facts) < 0) {
        return -errno;
    }
    *device = facts.lo_device;
    *inode = facts.lo_inode;
    *block_device = facts.lo_rdevice;
    *offset = facts.lo_offset;
    return 0;
}
