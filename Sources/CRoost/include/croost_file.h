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

#endif
