#ifndef CROOST_THREAD_H
#define CROOST_THREAD_H

#include <stddef.h>

/// Starts a detached thread with a stack of `stack_byte_count` bytes. Answers 0 or a negated
/// errno, and then `entry` is never called.
int croost_start_thread(
    size_t stack_byte_count, void (*_Nonnull entry)(void *_Nonnull), void *_Nonnull argument);

/// Names the calling thread; Linux keeps 15 bytes, and a longer name is cut.
void croost_name_thread(const char *_Nonnull name);

/// A counting semaphore between threads of this process.
struct croost_semaphore;

/// Makes a semaphore that counts zero; NULL when there is no memory.
struct croost_semaphore *_Nullable croost_make_semaphore(void);

/// Adds one, and wakes a waiter if there is one (sem_post).
void croost_signal_semaphore(struct croost_semaphore *_Nonnull semaphore);

/// Waits until the count is above zero and takes one (sem_wait).
void croost_wait_semaphore(struct croost_semaphore *_Nonnull semaphore);

/// Takes one if the count is above zero (sem_trywait). Answers 1 or 0.
int croost_try_semaphore(struct croost_semaphore *_Nonnull semaphore);

/// Ends a semaphore that nobody waits for.
void croost_free_semaphore(struct croost_semaphore *_Nonnull semaphore);

#endif
