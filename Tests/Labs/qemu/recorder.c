// Records what two QEMUs say to each other: stands between source and destination, passes on every
// byte both ways and keeps a copy of it.
//
// Usage: recorder LISTEN_SOCKET DESTINATION_SOCKET PREFIX
//
// Connection n, counted from 0 in the order of arrival, is kept as PREFIX.n.to-destination and
// PREFIX.n.to-source. Prints LISTENING once a source may connect, and ends when every connection
// has been closed.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { connectionsMax = 16, bufferSize = 64 * 1024 };

// One way of a connection: from one socket to the other, and to a file.
struct Way {
    int from;
    int to;
    int file;
    bool open;
};

static void fail(const char *what) {
    fprintf(stderr, "recorder: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_un address(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(address.sun_path, path);
    return address;
}

static int createFile(const char *prefix, int number, const char *suffix) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%d.%s", prefix, number, suffix);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) {
        fail(path);
    }
    return file;
}

static void writeAll(int descriptor, const char *bytes, ssize_t count) {
    while (count > 0) {
        ssize_t written = write(descriptor, bytes, (size_t)count);
        if (written < 0) {
            fail("write");
        }
        bytes += written;
        count -= written;
    }
}

static void pass(struct Way *way) {
    static char buffer[bufferSize];
    ssize_t count = read(way->from, buffer, sizeof buffer);
    if (count > 0) {
        writeAll(way->file, buffer, count);
        // A peer that has closed its end loses what comes after; the recording keeps it.
        for (ssize_t sent = 0; sent < count;) {
            ssize_t step = send(way->to, buffer + sent, (size_t)(count - sent), MSG_NOSIGNAL);
            if (step < 0) {
                break;
            }
            sent += step;
        }
    } else {
        // Only this way ends; the other may still have something to say.
        shutdown(way->to, SHUT_WR);
        way->open = false;
        close(way->file);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: recorder LISTEN_SOCKET DESTINATION_SOCKET PREFIX\n");
        return 2;
    }
    struct sockaddr_un listenAddress = address(argv[1]);
    struct sockaddr_un destination = address(argv[2]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(argv[1]);
    if (listener < 0 || bind(listener, (struct sockaddr *)&listenAddress, sizeof listenAddress) ||
        listen(listener, connectionsMax)) {
        fail(argv[1]);
    }
    printf("LISTENING\n");
    fflush(stdout);

    struct Way ways[2 * connectionsMax];
    int connections = 0;
    for (;;) {
        struct pollfd polled[1 + 2 * connectionsMax];
        polled[0] = (struct pollfd){.fd = connections < connectionsMax ? listener : -1,
                                    .events = POLLIN};
        bool anyOpen = connections == 0;
        for (int way = 0; way < 2 * connections; way++) {
            polled[1 + way] = (struct pollfd){.fd = ways[way].open ? ways[way].from : -1,
                                              .events = POLLIN};
            anyOpen = anyOpen || ways[way].open;
        }
        if (!anyOpen) {
            return 0;
        }
        if (poll(polled, (nfds_t)(1 + 2 * connections), -1) < 0) {
            fail("poll");
        }
        for (int way = 0; way < 2 * connections; way++) {
            if (polled[1 + way].revents != 0) {
                pass(&ways[way]);
            }
        }
        if (polled[0].revents != 0) {
            int source = accept(listener, NULL, NULL);
            int onward = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (source < 0 || onward < 0 ||
                connect(onward, (struct sockaddr *)&destination, sizeof destination)) {
                fail(argv[2]);
            }
            ways[2 * connections] = (struct Way){
                source, onward, createFile(argv[3], connections, "to-destination"), true};
            ways[2 * connections + 1] = (struct Way){
                onward, source, createFile(argv[3], connections, "to-source"), true};
            connections++;
        }
    }
}
