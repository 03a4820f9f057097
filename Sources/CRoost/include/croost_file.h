#ifndef CROOST_FILE_H
#define CROOST_FILE_H

#include <stddef.h>
#include <stdint.h>

/// open(2), O_DIRECT: the C library shows it only with its extensions.
#define CROOST_O_DIRECT 040000

/// What direct I/O (open(2), O_DIRECT) on a file wants memory and offsets to be multiples of
/// (statx(2), STATX_DIOALIGN), in bytes; 0 both where the file cannot do it. Answers 0, or a negated
/// errno: -EOPNOTSUPP when the kernel does not tell.
int croost_direct_alignment(
    int descriptor, uint32_t *_Nonnull memory, uint32_t *_Nonnull offset);

/// Reads 512 bytes at an offset of a file into memory aligned to 512 bytes and no more. Answers how
/// many were read or a negated errno: -EINVAL when direct I/O wants more alignment.
int64_t croost_try_sector(int descriptor, int64_t offset);

/// The length in bytes of a block device (BLKGETSIZE64), and its logical (BLKSSZGET) and physical
/// (BLKPBSZGET) sectors. Answers 0 or a negated errno.
int croost_block_device_sizes(
    int descriptor, uint64_t *_Nonnull byte_count, uint32_t *_Nonnull logical,
    uint32_t *_Nonnull physical);

/// Discards bytes of a block device (BLKDISCARD). Answers 0 or a negated errno.
int croost_discard_blocks(int descriptor, uint64_t offset, uint64_t byte_count);

/// Renames a file unless the other name is taken (renameat2(2), RENAME_NOREPLACE; by a link where the
/// file system cannot). Answers 0 or a negated errno: -EEXIST when it is taken.
int croost_rename_new(const char *_Nonnull from, const char *_Nonnull to);

/// Locks a byte of a file against exclusive locks of other open file descriptions (fcntl(2),
/// F_OFD_SETLK with F_RDLCK), until this one is closed. Answers 0 or a negated errno.
int croost_lock_byte(int descriptor, int64_t offset);

/// Gives up the locks of this open file description on bytes of a file. Answers 0 or a negated
/// errno.
int croost_unlock_bytes(int descriptor, int64_t offset, int64_t byte_count);

/// Whether another open file description holds any lock on a byte of a file (F_OFD_GETLK with
/// F_WRLCK): 1, 0 or a negated errno.
int croost_is_byte_locked(int descriptor, int64_t offset);

/// Reads an extended attribute of a file (fgetxattr(2)). Answers its length or a negated errno.
int64_t croost_read_attribute(
    int descriptor, const char *_Nonnull name, void *_Nonnull value, size_t byte_count);

/// Writes an extended attribute of a file (fsetxattr(2)). Answers 0 or a negated errno.
int croost_write_attribute(
    int descriptor, const char *_Nonnull name, const void *_Nonnull value, size_t byte_count);

/// When a file was made (statx(2), STATX_BTIME), in nanoseconds. Answers 0 or a negated errno:
/// -EOPNOTSUPP where its file system does not tell.
int croost_birth_time(int descriptor, int64_t *_Nonnull nanoseconds);

/// The number of the file system that a file lies in (fstatfs(2), f_fsid): 0 where it has none.
/// Answers 0 or a negated errno.
int croost_file_system_number(int descriptor, uint64_t *_Nonnull number);

/// What lies under a loop device (LOOP_GET_STATUS64): the device and inode of a file, or the number
/// of a block device, and where in it the loop device begins. Answers 0 or a negated errno: -ENOTTY
/// for what is no loop device.
int croost_loop_backing(
    int descriptor, uint64_t *_Nonnull device, uint64_t *_Nonnull inode,
    uint64_t *_Nonnull block_device, uint64_t *_Nonnull offset);

#endif
