#pragma once
// liburing.h asks for X/Open names only, which takes fd_set from the importer: select.h comes first.
#include <sys/select.h>
// liburing has a copy of the kernel's header under the same guard. swift-system imports the kernel's,
// and two definitions of one struct in a program are an error: the kernel's comes first.
#include <linux/io_uring.h>
#include <liburing.h>
#include <linux/falloc.h>
