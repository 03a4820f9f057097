// The system calls, structs and macros that Swift cannot import. No logic lives here: each
// function is one call, and answers its result or the negated errno. The exception is the keeper of
// croost_process.h, which says why.

#ifndef CROOST_H
#define CROOST_H

#include "croost_bits.h"
#include "croost_file.h"
#include "croost_hypervisor.h"
#include "croost_memory.h"
#include "croost_network.h"
#include "croost_process.h"
#include "croost_program.h"
#include "croost_socket.h"
#include "croost_tap.h"
#include "croost_thread.h"
#include "croost_tracking.h"

#endif
