#ifndef CROOST_PROCESS_H
#define CROOST_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// A descriptor of a process (pidfd_open(2)), or a negated errno.
int croost_pidfd_open(pid_t pid);

/// Sends a signal to a process by its descriptor (pidfd_send_signal(2)). Answers 0 or a negated
/// errno: -ESRCH once it has ended.
int croost_pidfd_signal(int descriptor, int signal);

/// The type of the file system a path lies in (statfs(2): f_type), or a negated errno.
int64_t croost_file_system_type(const char *_Nonnull path);

/// The most texts that a keeper writes.
#define CROOST_KEEPER_WRITES 2

/// What a keeper does when its starter is gone; see `croost_keeper_start`.
struct croost_keeper {
    /// Where the starter's commands are read, a socket.
    int commands;
    /// The process to continue (SIGCONT), or -1.
    int process;
    /// A process that is ended (SIGKILL), and its end awaited, before the other continues, or -1.
    int ended_process;
    /// Texts written to descriptors, in order, before the process continues; -1 ends them.
    int write_descriptors[CROOST_KEEPER_WRITES];
    const char *_Nullable write_texts[CROOST_KEEPER_WRITES];
    /// A folder removed at the end (a control group), or NULL.
    const char *_Nullable folder;
};

/// Commands to a keeper, one byte each.
#define CROOST_KEEPER_ARM 0x41
#define CROOST_KEEPER_DISARM 0x44

/// Starts a process that undoes what was done to another one, should the caller be killed.
///
/// It is the one part of this module with logic: between fork(2) and its end a copy of a process
/// with threads may call only what signal-safety(7) lists, which no Swift does for certain. It
/// leaves the session, ignores the signals by which terminals and service managers stop groups of
/// processes, closes every descriptor that it does not need (a kept userfaultfd would hang a
/// guest), then reads commands. At their end it does as told, if armed last, and exits.
///
/// Answers its process number, which the caller reaps with `croost_keeper_reap` after it ended
/// the commands, or a negated errno.
pid_t croost_keeper_start(const struct croost_keeper *_Nonnull keeper);

/// Waits for the end of a keeper.
void croost_keeper_reap(pid_t keeper);

/// Starts a program, found along PATH, as a child that is killed when the calling thread ends, also
/// when that is killed. Its standard input is /dev/null, its standard output and error are `output` and
/// `errors`, each the caller's where that is negative and neither of the numbers 0 to 2 otherwise; it
/// inherits the environment, the default for every signal, and, unless negative, a listening socket as
/// descriptor 3 with LISTEN_PID and LISTEN_FDS (sd_listen_fds(3)). What keeps it from being executed is
/// written to `ready` as a letter `E` and the errno; `ready` closes when it is. Answers its process
/// number or a negated errno.
pid_t croost_start_child(
    const char *_Nonnull program, char *_Nullable const *_Nonnull arguments, int listening,
    int output, int errors, int ready);

/// What this process may use of a resource, and what it may raise that to (getrlimit(2)): 0 open
/// files, 1 bytes of locked memory, 2 processes of the user; UINT64_MAX is no limit. Answers 0 or a
/// negated errno.
int croost_resource_limit(
    int resource, uint64_t *_Nonnull current, uint64_t *_Nonnull maximum);

/// Waits for a child's end. Answers its status: that of exit(3), or 128 and the signal's number.
int croost_child_status(pid_t child);

/// Whether this process ignores a signal (sigaction(2)): 1 or 0, or a negated errno.
int croost_is_signal_ignored(int number);

#endif
