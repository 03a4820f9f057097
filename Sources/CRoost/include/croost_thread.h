#ifndef CROOST_THREAD_H
#define CROOST_THREAD_H

#include <stddef.h>

/// Starts a detached thread with a stack of `stack_byte_count` bytes. Answers 0 or a negated
/// errno, and then `entry` is never called.
int croost_start_thread(
    size_t stack_byte_count, void (*_Nonnull entry)(void *_Nonnull), void *_Nonnull argument);

/// Names the calling thread; Linux keeps 15 bytes, and a longer name is cut.
void croost_name_thread(const char *_Nonnull name);

#endif
