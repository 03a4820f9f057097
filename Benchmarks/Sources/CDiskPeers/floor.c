#include "cdiskpeers.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void cdisk_copy_pages(void *target, const void *page, const uint64_t *offsets, int count) {
    for (int number = 0; number < count; number++) {
        memcpy((char *)target + offsets[number], page, 4096);
    }
}

int cdisk_signal(int count) {
    int descriptor = eventfd(0, EFD_CLOEXEC);
    if (descriptor < 0) {
        return -errno;
    }
    uint64_t one = 1;
    int result = 0;
    for (int number = 0; number < count && result == 0; number++) {
        if (write(descriptor, &one, sizeof one) < 0) {
            result = -errno;
        }
    }
    close(descriptor);
    return result;
}
