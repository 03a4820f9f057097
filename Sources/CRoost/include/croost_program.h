#ifndef CROOST_PROGRAM_H
#define CROOST_PROGRAM_H

#include <stdint.h>

/// How many bytes croost_build_byte has: the length of the section `roost_build`.
#define CROOST_BUILD_BYTE_COUNT 512

/// A byte of what the program was built from: lines of text, zeros behind. `make` overwrites the
/// section with objcopy(1) when the program is linked, so that no source depends on the commit;
/// without make it is all zeros. 0 past the end.
uint8_t croost_build_byte(uint32_t index);

/// The columns of a terminal (TIOCGWINSZ), 0 where it does not tell, or a negated errno.
int croost_terminal_columns(int descriptor);

#endif
