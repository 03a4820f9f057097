#include "croost_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(
    CROOST_UNIX_PATH_BYTES == sizeof(((struct sockaddr_un *)0)->sun_path) - 1, "sun_path");

static int close_after(int descriptor) {
    int failure = errno;
    close(descriptor);
    return -failure;
}

static int unix_address(const char *path, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    size_t length = strlen(path);
    if (length > CROOST_UNIX_PATH_BYTES) {
        return -ENAMETOOLONG;
    }
    memcpy(address->sun_path, path, length);
    return 0;
}

static void set_tcp_options(int descriptor) {
    // A peer that vanished without a word is noticed after a minute, with bytes under way or without.
    int on = 1, idle = 30, interval = 10, probes = 3;
    unsigned patience = 60000;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
}

int croost_set_link_timeout(int descriptor, unsigned timeout_ms) {
    int seconds = (int)(timeout_ms / 1000), interval = seconds / 4 > 1 ? seconds / 4 : 1;
    int idle = seconds / 2 > 1 ? seconds / 2 : 1;
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) < 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval) < 0) {
        return -errno;
    }
    return 0;
}

// socket(7): a timeout for sending bounds connect(2) too.
static int connect_within(
    int descriptor, const struct sockaddr *address, socklen_t length, int timeout_ms) {
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    struct timeval none = {0};
    if (setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0) {
        return -errno;
    }
    int result;
    do {
        result = connect(descriptor, address, length);
    } while (result < 0 && errno == EINTR);
    if (result < 0 && errno != EISCONN) {
        return errno == EINPROGRESS || errno == EAGAIN || errno == EALREADY ? -ETIMEDOUT : -errno;
    }
    return setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none) < 0 ? -errno : 0;
}

int croost_connect_unix(const char *path, int timeout_ms) {
    struct sockaddr_un address;
    int failure = unix_address(path, &address);
    if (failure < 0) {
        return failure;
    }
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -errno;
    }
    failure = connect_within(
        descriptor, (struct sockaddr *)&address, sizeof address, timeout_ms);
    if (failure < 0) {
        close(descriptor);
        return failure;
    }
    return descriptor;
}

static int resolve(
    const char *host, uint16_t port, int flags, struct addrinfo **found, int *resolve_failure) {
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    char service[6];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    *resolve_failure = getaddrinfo(host, service, &hints, found);
    return *resolve_failure == 0 ? 0 : -EADDRNOTAVAIL;
}

int croost_connect_tcp(const char *host, uint16_t port, int timeout_ms, int *resolve_failure) {
    struct addrinfo *found;
    int result = resolve(host, port, 0, &found, resolve_failure);
    if (result < 0) {
        return result;
    }
    result = -EADDRNOTAVAIL;
    for (struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        int descriptor = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, 0);
        if (descriptor < 0) {
            result = -errno;
            continue;
        }
        result = connect_within(descriptor, one->ai_addr, one->ai_addrlen, timeout_ms);
        if (result == 0) {
            set_tcp_options(descriptor);
            result = descriptor;
            break;
        }
        close(descriptor);
    }
    freeaddrinfo(found);
    return result;
}

int croost_listen_unix(const char *path, int backlog) {
    struct sockaddr_un address;
    int failure = unix_address(path, &address);
    if (failure < 0) {
        return failure;
    }
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        return -errno;
    }
    // On Linux the file made by bind(2) takes the socket's own mode: no moment when it is open
    // to others, and no change of the process's umask.
    if (fchmod(descriptor, 0600) < 0 ||
        bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        return close_after(descriptor);
    }
    if (listen(descriptor, backlog) < 0) {
        failure = close_after(descriptor);
        unlink(path);
        return failure;
    }
    return descriptor;
}

int croost_listen_tcp(const char *host, uint16_t port, int backlog, int *resolve_failure) {
    struct addrinfo *found;
    int result = resolve(host, port, AI_PASSIVE, &found, resolve_failure);
    if (result < 0) {
        return result;
    }
    result = -EADDRNOTAVAIL;
    for (struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        int on = 1;
        int descriptor =
            socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (descriptor < 0) {
            result = -errno;
            continue;
        }
        if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
            bind(descriptor, one->ai_addr, one->ai_addrlen) == 0 &&
            listen(descriptor, backlog) == 0) {
            result = descriptor;
            break;
        }
        result = close_after(descriptor);
    }
    freeaddrinfo(found);
    return result;
}

int croost_local_port(int descriptor) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0) {
        return -errno;
    }
    switch (address.ss_family) {
    case AF_INET:
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    case AF_INET6:
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    default:
        return -EAFNOSUPPORT;
    }
}

int croost_accept(int descriptor) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int accepted =
        accept4(descriptor, (struct sockaddr *)&address, &length, SOCK_CLOEXEC);
    if (accepted < 0) {
        return -errno;
    }
    if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
        set_tcp_options(accepted);
    }
    return accepted;
}

int croost_peer_address(int descriptor, char *host, size_t host_size, uint16_t *port) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char service[8];
    if (getpeername(descriptor, (struct sockaddr *)&address, &length) < 0) {
        return -errno;
    }
    if (address.ss_family != AF_INET && address.ss_family != AF_INET6) {
        return -EAFNOSUPPORT;
    }
    if (getnameinfo((struct sockaddr *)&address, length, host, (socklen_t)host_size, service,
                    sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return -EADDRNOTAVAIL;
    }
    *port = (uint16_t)strtoul(service, NULL, 10);
    return 0;
}

int croost_peer_credentials(int descriptor, pid_t *pid, uid_t *uid, gid_t *gid) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    int domain;
    socklen_t domain_length = sizeof domain;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &domain_length) < 0) {
        return -errno;
    }
    if (domain != AF_UNIX) {
        return -EAFNOSUPPORT;
    }
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) {
        return -errno;
    }
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

int croost_socket_pair(int *first, int *second) {
    int both[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) < 0) {
        return -errno;
    }
    *first = both[0];
    *second = both[1];
    return 0;
}

int64_t croost_send(int descriptor, const void *bytes, size_t byte_count, int passed) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = byte_count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (passed >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &passed, sizeof passed);
    }
    ssize_t result;
    do {
        result = sendmsg(descriptor, &message, MSG_NOSIGNAL);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

int64_t croost_send_now(int descriptor, const void *bytes, size_t byte_count) {
    ssize_t result;
    do {
        result = send(descriptor, bytes, byte_count, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

int64_t croost_receive(int descriptor, void *bytes, size_t byte_count, int *passed) {
    // Room for more descriptors than wanted, so that those can be closed rather than lost.
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec piece = {.iov_base = bytes, .iov_len = byte_count};
    struct msghdr message = {
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control.space,
        .msg_controllen = sizeof control.space};
    *passed = -1;
    ssize_t result;
    do {
        result = recvmsg(descriptor, &message, MSG_CMSG_CLOEXEC);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return -errno;
    }
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < count; index++) {
            int received;
            memcpy(&received, CMSG_DATA(header) + index * sizeof(int), sizeof received);
            if (*passed < 0) {
                *passed = received;
            } else {
                close(received);
            }
        }
    }
    return result;
}

int croost_divert_to_null(int descriptor) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        return -errno;
    }
    if (dup3(null, descriptor, O_CLOEXEC) < 0) {
        return close_after(null);
    }
    close(null);
    return 0;
}

int croost_event_descriptor(void) {
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

int croost_ignore_broken_pipes(void) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    return sigaction(SIGPIPE, &action, NULL) < 0 ? -errno : 0;
}

int croost_ignore_file_size_limit(void) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    return sigaction(SIGXFSZ, &action, NULL) < 0 ? -errno : 0;
}

int croost_tell_service_manager(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL) {
        return -ENOENT;
    }
    size_t length = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || length < 2 || length >= sizeof address.sun_path) {
        return -EINVAL;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = 0;
    }
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -errno;
    }
    // A manager that has much to read is waited for, one that is stuck is not.
    struct timeval limit = {.tv_sec = 5};
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ssize_t sent;
    do {
        sent = sendto(
            descriptor, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    } while (sent < 0 && errno == EINTR);
    int result = sent < 0 ? -errno : 0;
    close(descriptor);
    return result;
}
