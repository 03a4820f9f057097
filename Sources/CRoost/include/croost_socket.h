#ifndef CROOST_SOCKET_H
#define CROOST_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// The most bytes of a unix socket's path (unix(7): sun_path, less its terminator).
#define CROOST_UNIX_PATH_BYTES 107

/// A blocking stream socket connected to a unix socket, waiting at most `timeout_ms`
/// milliseconds (0: for ever). Answers its descriptor or a negated errno: ETIMEDOUT after that.
int croost_connect_unix(const char *_Nonnull path, int timeout_ms);

/// A blocking stream socket connected to the first address of a host that answers, as
/// `croost_connect_unix`. When the name has no address, answers -EADDRNOTAVAIL and stores the
/// code of getaddrinfo(3), for gai_strerror(3), else stores 0.
int croost_connect_tcp(
    const char *_Nonnull host, uint16_t port, int timeout_ms, int *_Nonnull resolve_failure);

/// A listening, nonblocking unix socket at a path that does not exist yet, of mode 0600.
int croost_listen_unix(const char *_Nonnull path, int backlog);

/// A listening, nonblocking TCP socket on the first address of a host that can be bound, with
/// SO_REUSEADDR; failures as `croost_connect_tcp`.
int croost_listen_tcp(
    const char *_Nonnull host, uint16_t port, int backlog, int *_Nonnull resolve_failure);

/// The port a TCP socket is bound to, or a negated errno.
int croost_local_port(int descriptor);

/// Takes a connection off a listening socket: a blocking socket with TCP_NODELAY and keepalive
/// where it is TCP, or a negated errno.
int croost_accept(int descriptor);

/// The address and port of a TCP connection's other end, as numbers (getpeername(2)); `host` gets a text
/// of at most `host_size` bytes. Answers 0 or a negated errno: EAFNOSUPPORT for another kind of socket.
int croost_peer_address(
    int descriptor, char *_Nonnull host, size_t host_size, uint16_t *_Nonnull port);

/// The process that connected a unix socket (SO_PEERCRED). Answers 0 or a negated errno.
int croost_peer_credentials(
    int descriptor, pid_t *_Nonnull pid, uid_t *_Nonnull uid, gid_t *_Nonnull gid);

/// Two connected unix stream sockets. Answers 0 or a negated errno.
int croost_socket_pair(int *_Nonnull first, int *_Nonnull second);

/// Sends bytes, and with the first of them a descriptor unless `passed` is negative (unix(7):
/// SCM_RIGHTS), without SIGPIPE. Answers how many bytes were sent, or a negated errno.
int64_t croost_send(int descriptor, const void *_Nonnull bytes, size_t byte_count, int passed);

/// Sends as many bytes as there is room for at once, without SIGPIPE. Answers how many, or a
/// negated errno: -EAGAIN when there is no room.
int64_t croost_send_now(int descriptor, const void *_Nonnull bytes, size_t byte_count);

/// Receives bytes and at most one descriptor sent with them, stored in `passed` (-1: none).
/// Further descriptors are closed. Answers how many bytes arrived, or a negated errno.
int64_t croost_receive(
    int descriptor, void *_Nonnull bytes, size_t byte_count, int *_Nonnull passed);

/// Makes a descriptor refer to /dev/null instead of what it referred to, so that the number stays
/// taken. Answers 0 or a negated errno.
int croost_divert_to_null(int descriptor);

/// An event descriptor (eventfd(2)) with count 0, or a negated errno.
int croost_event_descriptor(void);

/// Makes SIGPIPE do nothing in the whole process. Answers 0 or a negated errno.
int croost_ignore_broken_pipes(void);

/// Makes SIGXFSZ do nothing in the whole process. Answers 0 or a negated errno.
int croost_ignore_file_size_limit(void);

/// Sends a text to the socket that NOTIFY_SOCKET names (sd_notify(3)), without waiting. Answers 0 or a
/// negated errno: ENOENT where no service manager asks.
int croost_tell_service_manager(const char *_Nonnull state);

/// Has a TCP connection fail when its peer acknowledges nothing for a time (TCP_USER_TIMEOUT), with
/// bytes under way, and without by probes (tcp(7)). Answers 0 or a negated errno: -EOPNOTSUPP or
/// -ENOPROTOOPT for another kind of socket.
int croost_set_link_timeout(int descriptor, unsigned timeout_ms);

#endif
