#ifndef CROOST_MEMORY_H
#define CROOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/// A sealable memory file (memfd_create(2)) of `byte_count` bytes whose size can no longer
/// change. Answers its descriptor or a negated errno.
int croost_memory_file(const char *_Nonnull name, int64_t byte_count);

/// Whether the file can no longer shrink (fcntl(2), F_SEAL_SHRINK): 1, 0 or a negated errno.
int croost_is_shrink_sealed(int descriptor);

/// Deallocates a range of a file, leaving its size (fallocate(2), FALLOC_FL_PUNCH_HOLE).
int croost_punch_hole(int descriptor, int64_t offset, int64_t byte_count);

#endif
