// The table by which nbdkit knows a plugin (nbdkit-plugin(3)), and nothing else: every callback is a
// Swift function of the target RoostNBDKit.

#include "cnbdkit.h"

#include <stddef.h>
#include <stdint.h>

// Without nbdkit's header (Debian: nbdkit-plugin-dev) the library builds and is no plugin, so that
// the rest of the package does not need nbdkit.
#if __has_include(<nbdkit-plugin.h>)

#define NBDKIT_API_VERSION 2
#include <dlfcn.h>
#include <nbdkit-plugin.h>
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

extern int roost_nbdkit_config(const char *key, const char *value);
extern int roost_nbdkit_config_complete(void);
extern int roost_nbdkit_after_fork(void);
extern void roost_nbdkit_cleanup(void);
extern void *roost_nbdkit_open(int readonly);
extern void roost_nbdkit_close(void *handle);
extern int64_t roost_nbdkit_get_size(void *handle);
extern int roost_nbdkit_block_size(
    void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum);
extern int roost_nbdkit_can_write(void *handle);
extern int roost_nbdkit_can_flush(void *handle);
extern int roost_nbdkit_can_trim(void *handle);
extern int roost_nbdkit_can_multi_conn(void *handle);
extern int roost_nbdkit_pread(
    void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t flags);
extern int roost_nbdkit_pwrite(
    void *handle, const void *buffer, uint32_t count, uint64_t offset, uint32_t flags);
extern int roost_nbdkit_flush(void *handle, uint32_t flags);
extern int roost_nbdkit_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags);

/// Keeps the library in memory when nbdkit closes it: threads of Swift's run in it to the end of the
/// process.
static void load(void) {
    Dl_info here;
    if (dladdr(&load, &here) && here.dli_fname)
        dlopen(here.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD);
}

static struct nbdkit_plugin plugin = {
    .name = "roost",
    .load = load,
    .longname = "Roost disk",
    .description = "Serves a disk of Roost, whose frontend the plugin is, to NBD clients.",
    .config = roost_nbdkit_config,
    .config_complete = roost_nbdkit_config_complete,
    .config_help =
        "[disk=]NAME     (required) The disk's name, or ram:SIZE for one in this process.\n"
        "socket=PATH                The hypervisor's socket.\n"
        "policy=always|negotiated|never  How pages are granted.\n"
        "queues=N                   The most queues.\n"
        "ring-order=N               A ring has 2 to this power of pages.\n"
        "segments=N                 The most segments of 4 KiB in a request.",
    .magic_config_key = "disk",
    .after_fork = roost_nbdkit_after_fork,
    .cleanup = roost_nbdkit_cleanup,
    .open = roost_nbdkit_open,
    .close = roost_nbdkit_close,
    .get_size = roost_nbdkit_get_size,
    .block_size = roost_nbdkit_block_size,
    .can_write = roost_nbdkit_can_write,
    .can_flush = roost_nbdkit_can_flush,
    .can_trim = roost_nbdkit_can_trim,
    .can_multi_conn = roost_nbdkit_can_multi_conn,
    .pread = roost_nbdkit_pread,
    .pwrite = roost_nbdkit_pwrite,
    .flush = roost_nbdkit_flush,
    .trim = roost_nbdkit_trim,
};

NBDKIT_REGISTER_PLUGIN(plugin)

void cnbdkit_error(const char *text) { nbdkit_error("%s", text); }

void cnbdkit_set_error(int error) { nbdkit_set_error(error); }

#else

void cnbdkit_error(const char *text) { (void)text; }

void cnbdkit_set_error(int error) { (void)error; }

#endif
