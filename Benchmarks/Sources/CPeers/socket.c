#define _GNU_SOURCE

#include "cpeers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int unix_socket(
    const char *path, int (*call)(int, const struct sockaddr *, socklen_t)) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return -ENAMETOOLONG;
    }
    strcpy(address.sun_path, path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -errno;
    }
    if (call(descriptor, (const struct sockaddr *)&address, sizeof address) < 0) {
        int failure = errno;
        close(descriptor);
        return -failure;
    }
    return descriptor;
}

int cpeers_listen(const char *path) {
    int descriptor = unix_socket(path, bind);
    if (descriptor >= 0 && listen(descriptor, 1) < 0) {
        int failure = errno;
        close(descriptor);
        return -failure;
    }
    return descriptor;
}

int cpeers_accept(int listener, int milliseconds) {
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    int ready = poll(&wait, 1, milliseconds);
    if (ready <= 0) {
        return ready == 0 ? -ETIMEDOUT : -errno;
    }
    int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int cpeers_connect(const char *path) {
    return unix_socket(path, connect);
}

int cpeers_send_and_wait(int descriptor, const void *bytes, size_t byte_count) {
    const char *next = bytes;
    while (byte_count > 0) {
        ssize_t count = send(descriptor, next, byte_count, MSG_NOSIGNAL);
        if (count < 0) {
            return -errno;
        }
        next += count;
        byte_count -= count;
    }
    char answer;
    shutdown(descriptor, SHUT_WR);
    return read(descriptor, &answer, 1) < 0 ? -errno : 0;
}

int64_t cpeers_discard(int descriptor) {
    static char buffer[1 << 20];
    int64_t total = 0;
    for (;;) {
        ssize_t count = read(descriptor, buffer, sizeof buffer);
        if (count <= 0) {
            return count == 0 ? total : -errno;
        }
        total += count;
    }
}

int cpeers_disable_huge_pages(void) {
    return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int cpeers_unblock_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    return -pthread_sigmask(SIG_SETMASK, &none, NULL);
}
