#include "croost_bits.h"

int croost_counts_bits(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("popcnt") != 0;
#else
    return 1;
#endif
}
