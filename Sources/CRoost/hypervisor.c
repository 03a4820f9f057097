#include "croost_hypervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int croost_poller_make(void) {
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

static int control(int poller, int operation, int descriptor, uint32_t wanted, uint64_t token) {
    struct epoll_event event = {.data.u64 = token};
    event.events = ((wanted & 1) ? EPOLLIN : 0) | ((wanted & 2) ? EPOLLOUT : 0);
    return epoll_ctl(poller, operation, descriptor, &event) < 0 ? -errno : 0;
}

int croost_poller_add(int poller, int descriptor, uint32_t wanted, uint64_t token) {
    return control(poller, EPOLL_CTL_ADD, descriptor, wanted, token);
}

int croost_poller_change(int poller, int descriptor, uint32_t wanted, uint64_t token) {
    return control(poller, EPOLL_CTL_MOD, descriptor, wanted, token);
}

int croost_poller_remove(int poller, int descriptor) {
    return control(poller, EPOLL_CTL_DEL, descriptor, 0, 0);
}

int croost_poller_next(int poller, uint64_t *token, uint32_t *ready) {
    struct epoll_event event;
    int count;
    do {
        count = epoll_wait(poller, &event, 1, 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return -errno;
    }
    if (count > 0) {
        *token = event.data.u64;
        *ready = ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) ? 1 : 0) |
                 ((event.events & EPOLLOUT) ? 2 : 0);
    }
    return count;
}

int croost_set_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int croost_limit_send_buffer(int descriptor, int byte_count) {
    return setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &byte_count, sizeof byte_count) < 0
               ? -errno
               : 0;
}

int croost_lock_file(int descriptor) {
    int result;
    do {
        result = flock(descriptor, LOCK_EX);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int croost_try_lock_file(int descriptor) {
    return flock(descriptor, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

int croost_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return -errno;
    }
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

int croost_pipe(int *reader, int *writer) {
    int both[2];
    if (pipe2(both, O_CLOEXEC) < 0) {
        return -errno;
    }
    *reader = both[0];
    *writer = both[1];
    return 0;
}

static void report_failure(int ready) {
    char message[5] = {'E'};
    int failure = errno;
    memcpy(message + 1, &failure, sizeof failure);
    ssize_t written = write(ready, message, sizeof message);
    _exit(written == sizeof message ? 127 : 126);
}

static void become(const char *path, char *const *arguments, int log, int ready) {
    // The two that are kept could lie where the others go: move them out of the way first.
    int spare_log = fcntl(log, F_DUPFD_CLOEXEC, 16);
    int spare_ready = fcntl(ready, F_DUPFD_CLOEXEC, 16);
    if (spare_ready < 0) {
        _exit(126);
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (spare_log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(spare_log, 2) < 0 || chdir("/") < 0) {
        report_failure(spare_ready);
    }
    struct sigaction initial = {.sa_handler = SIG_DFL};
    for (int number = 1; number < 32; number++) {
        sigaction(number, &initial, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(spare_ready, 3) < 0) {
        report_failure(spare_ready);
    }
    // What this process left open without closing it on exec is no business of the program; the
    // spare copy stays for the report and closes itself. CLOSE_RANGE_CLOEXEC is 4.
    syscall(SYS_close_range, 4U, ~0U, 4U);
    execv(path, arguments);
    report_failure(spare_ready);
}

int croost_start_detached(const char *path, char *const *arguments, int log, int ready) {
    pid_t first = fork();
    if (first < 0) {
        return -errno;
    }
    if (first == 0) {
        if (setsid() < 0) {
            report_failure(ready);
        }
        pid_t second = fork();
        if (second < 0) {
            report_failure(ready);
        }
        if (second > 0) {
            _exit(0);
        }
        become(path, arguments, log, ready);
        _exit(126);
    }
    int status;
    while (waitpid(first, &status, 0) < 0 && errno == EINTR) {
    }
    return 0;
}
