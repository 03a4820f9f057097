#include "croost_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int croost_pidfd_open(pid_t pid) {
    long result = syscall(SYS_pidfd_open, pid, 0);
    return result < 0 ? -errno : (int)result;
}

int croost_pidfd_signal(int descriptor, int signal) {
    long result = syscall(SYS_pidfd_send_signal, descriptor, signal, NULL, 0);
    return result < 0 ? -errno : 0;
}

int64_t croost_file_system_type(const char *path) {
    struct statfs status;
    return statfs(path, &status) < 0 ? -errno : (int64_t)status.f_type;
}

// Closes every descriptor but those kept. `kept` is sorted here.
static void close_others(int *kept, int count) {
    for (int sorted = 1; sorted < count; sorted++) {
        for (int at = sorted; at > 0 && kept[at - 1] > kept[at]; at--) {
            int other = kept[at];
            kept[at] = kept[at - 1];
            kept[at - 1] = other;
        }
    }
    unsigned int first = 0;
    for (int index = 0; index < count; index++) {
        if (kept[index] < 0) {
            continue;
        }
        if ((unsigned int)kept[index] > first) {
            syscall(SYS_close_range, first, kept[index] - 1, 0);
        }
        first = kept[index] + 1;
    }
    syscall(SYS_close_range, first, UINT_MAX, 0);
}

// Ends a process and waits until it has ended: until then it may run what the other one holds.
static void end_process(int descriptor) {
    syscall(SYS_pidfd_send_signal, descriptor, SIGKILL, NULL, 0);
    struct pollfd wait = {.fd = descriptor, .events = POLLIN};
    while (poll(&wait, 1, -1) <= 0) {
    }
}

static void lift(const struct croost_keeper *keeper) {
    if (keeper->ended_process >= 0) {
        end_process(keeper->ended_process);
    }
    for (int index = 0; index < CROOST_KEEPER_WRITES; index++) {
        if (keeper->write_descriptors[index] >= 0 && keeper->write_texts[index] != NULL) {
            const char *text = keeper->write_texts[index];
            if (write(keeper->write_descriptors[index], text, strlen(text)) < 0) {
                continue; // The guest is gone, or another text does what this one could not.
            }
        }
    }
    if (keeper->process >= 0) {
        syscall(SYS_pidfd_send_signal, keeper->process, SIGCONT, NULL, 0);
    }
    if (keeper->folder != NULL) {
        rmdir(keeper->folder);
    }
}

static void keep(const struct croost_keeper *keeper) {
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    struct sigaction action = {.sa_handler = SIG_IGN};
    for (size_t index = 0; index < sizeof ignored / sizeof *ignored; index++) {
        sigaction(ignored[index], &action, NULL);
    }
    setsid();
    prctl(PR_SET_NAME, "roost-keeper");
    int kept[3 + CROOST_KEEPER_WRITES] = {
        keeper->commands, keeper->process, keeper->ended_process};
    for (int index = 0; index < CROOST_KEEPER_WRITES; index++) {
        kept[3 + index] = keeper->write_descriptors[index];
    }
    close_others(kept, 3 + CROOST_KEEPER_WRITES);
    char last = CROOST_KEEPER_DISARM;
    char command;
    ssize_t result;
    while ((result = read(keeper->commands, &command, 1)) != 0) {
        if (result == 1) {
            last = command;
        } else if (errno != EINTR) {
            break;
        }
    }
    if (last == CROOST_KEEPER_ARM) {
        lift(keeper);
    }
}

pid_t croost_keeper_start(const struct croost_keeper *keeper) {
    pid_t pid = fork();
    if (pid == 0) {
        keep(keeper);
        _exit(0);
    }
    return pid < 0 ? -errno : pid;
}

void croost_keeper_reap(pid_t keeper) {
    while (waitpid(keeper, NULL, 0) < 0 && errno == EINTR) {
    }
}

static void report_and_end(int ready) {
    char message[5] = {'E'};
    int failure = errno;
    memcpy(message + 1, &failure, sizeof failure);
    ssize_t written = write(ready, message, sizeof message);
    _exit(written == sizeof message ? 127 : 126);
}

// Writes a process's number over a text of ten digits, without what is not safe after fork(2), and
// without zeros in front: who reads it may take those for octal.
static void write_number(char *digits, pid_t pid) {
    char reversed[10];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + pid % 10);
        pid /= 10;
    } while (pid > 0);
    for (size_t index = 0; index < count; index++) {
        digits[index] = reversed[count - 1 - index];
    }
    digits[count] = 0;
}

static void become_child(
    const char *program, char *const *arguments, char **environment, char *digits,
    int listening, int output, int errors, int ready, pid_t parent) {
    int spare_ready = fcntl(ready, F_DUPFD_CLOEXEC, 16);
    if (spare_ready < 0) {
        // EINVAL where the limit on open files is that low.
        errno = EMFILE;
        report_and_end(ready);
    }
    // The death signal is not inherited, and a parent that has ended meanwhile sends none.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) {
        report_and_end(spare_ready);
    }
    struct sigaction initial = {.sa_handler = SIG_DFL};
    for (int number = 1; number < 32; number++) {
        sigaction(number, &initial, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0) {
        report_and_end(spare_ready);
    }
    if ((output >= 0 && dup2(output, 1) < 0) || (errors >= 0 && dup2(errors, 2) < 0)) {
        report_and_end(spare_ready);
    }
    if (listening >= 0) {
        // dup2(2) of a descriptor to itself would leave it closing on exec.
        int spare = fcntl(listening, F_DUPFD_CLOEXEC, 16);
        if (spare < 0 || dup2(spare, 3) < 0) {
            report_and_end(spare_ready);
        }
        write_number(digits, getpid());
    }
    // CLOSE_RANGE_CLOEXEC is 4.
    syscall(SYS_close_range, listening >= 0 ? 4U : 3U, ~0U, 4U);
    execvpe(program, arguments, environment);
    report_and_end(spare_ready);
}

pid_t croost_start_child(
    const char *program, char *const *arguments, int listening, int output, int errors, int ready) {
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **environment = calloc(count + 3, sizeof *environment);
    if (environment == NULL) {
        return -ENOMEM;
    }
    size_t kept = 0;
    for (size_t index = 0; index < count; index++) {
        if (strncmp(environ[index], "LISTEN_", 7) != 0 &&
            strncmp(environ[index], "NOTIFY_SOCKET=", 14) != 0) {
            environment[kept++] = environ[index];
        }
    }
    char pid_text[] = "LISTEN_PID=0000000000";
    char count_text[] = "LISTEN_FDS=1";
    if (listening >= 0) {
        environment[kept++] = pid_text;
        environment[kept++] = count_text;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become_child(
            program, arguments, environment, pid_text + strlen("LISTEN_PID="), listening, output,
            errors, ready, parent);
        _exit(126);
    }
    int failure = errno;
    free(environment);
    return pid < 0 ? -failure : pid;
}

int croost_resource_limit(int resource, uint64_t *current, uint64_t *maximum) {
    static const int numbers[] = {RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_NPROC};
    struct rlimit limit;
    if (resource < 0 || resource > 2 || getrlimit(numbers[resource], &limit) < 0) {
        return resource < 0 || resource > 2 ? -EINVAL : -errno;
    }
    *current = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
    *maximum = limit.rlim_max == RLIM_INFINITY ? UINT64_MAX : limit.rlim_max;
    return 0;
}

int croost_child_status(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int croost_is_signal_ignored(int number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) < 0) {
        return -errno;
    }
    return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}
