#include "croost_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
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

static void lift(const struct croost_keeper *keeper) {
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
    int kept[2 + CROOST_KEEPER_WRITES] = {keeper->commands, keeper->process};
    for (int index = 0; index < CROOST_KEEPER_WRITES; index++) {
        kept[2 + index] = keeper->write_descriptors[index];
    }
    close_others(kept, 2 + CROOST_KEEPER_WRITES);
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
