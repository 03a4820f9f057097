#ifndef CROOST_HYPERVISOR_H
#define CROOST_HYPERVISOR_H

#include <stddef.h>
#include <stdint.h>

/// A set of descriptors to wait for (epoll(7)), or a negated errno.
int croost_poller_make(void);

/// Adds a descriptor to a set. What is waited for is input (1) and output (2); the end and
/// failures always are. Answers 0 or a negated errno.
int croost_poller_add(int poller, int descriptor, uint32_t wanted, uint64_t token);

/// Changes what a descriptor is waited for. Answers 0 or a negated errno.
int croost_poller_change(int poller, int descriptor, uint32_t wanted, uint64_t token);

/// Takes a descriptor out of a set. Answers 0 or a negated errno.
int croost_poller_remove(int poller, int descriptor);

/// The next descriptor of a set that is ready, without waiting: stores its token and what it is
/// ready for (1 input or the end, 2 output). Answers 1, 0 when there is none, or a negated errno.
int croost_poller_next(int poller, uint64_t *_Nonnull token, uint32_t *_Nonnull ready);

/// Makes a descriptor answer EAGAIN rather than wait (O_NONBLOCK). Answers 0 or a negated errno.
int croost_set_nonblocking(int descriptor);

/// Bounds what a socket keeps that its peer has not read yet (SO_SNDBUF). Answers 0 or a negated
/// errno.
int croost_limit_send_buffer(int descriptor, int byte_count);

/// Locks an open file for this holder alone (flock(2), LOCK_EX), waiting for others. Answers 0 or
/// a negated errno.
int croost_lock_file(int descriptor);

/// Takes an open file for this open file description alone (flock(2)) unless another has it. Answers 0
/// or a negated errno: -EWOULDBLOCK when another has.
int croost_try_lock_file(int descriptor);

/// Raises the number of descriptors that this process may have open to what it is allowed to
/// (setrlimit(2), RLIMIT_NOFILE). Answers 0 or a negated errno.
int croost_raise_descriptor_limit(void);

/// A pipe whose ends are closed on exec (pipe2(2)). Answers 0 or a negated errno.
int croost_pipe(int *_Nonnull reader, int *_Nonnull writer);

/// Starts a program that nobody waits for: in a session of its own, with no parent but init, its
/// standard input and output /dev/null, its standard error `log`, and `ready` as descriptor 3; all
/// others closed. It writes a byte 'R' there once it is ready. When it cannot be executed, 'E' and
/// the errno (four bytes) are written instead.
///
/// Between fork(2) and exec(2) only functions of signal-safety(7) are called. Answers 0 or a
/// negated errno.
int croost_start_detached(
    const char *_Nonnull path, char *_Nullable const *_Nonnull arguments, int log, int ready);

#endif
