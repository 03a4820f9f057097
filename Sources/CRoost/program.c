#include "croost_program.h"

#include <errno.h>
#include <sys/ioctl.h>

// Volatile, since what the compiler sees here is not what the linked program holds.
__attribute__((section("roost_build"), used)) static volatile const uint8_t
    build[CROOST_BUILD_BYTE_COUNT] = {0};

uint8_t croost_build_byte(uint32_t index) {
    return index < CROOST_BUILD_BYTE_COUNT ? build[index] : 0;
}

int croost_terminal_columns(int descriptor) {
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) < 0 ? -errno : (int)size.ws_col;
}
