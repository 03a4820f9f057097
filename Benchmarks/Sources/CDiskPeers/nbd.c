#include "cdiskpeers.h"

#include <errno.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>

enum { page_byte_count = 4096 };

struct slot {
    struct cdisk_nbd *client;
    int number;
};

struct cdisk_nbd {
    struct nbd_handle *handle;
    char *pages;
    struct slot *slots;
    /// What has ended since the last wait, and what that one gave out.
    int *finished;
    int *taken;
    int slot_count;
    int finished_count;
    int failure;
};

struct cdisk_nbd *cdisk_nbd_open(const char *path, int slot_count) {
    struct cdisk_nbd *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    client->slot_count = slot_count;
    client->slots = calloc(slot_count, sizeof *client->slots);
    client->finished = calloc(slot_count, sizeof *client->finished);
    client->taken = calloc(slot_count, sizeof *client->taken);
    client->pages = aligned_alloc(page_byte_count, (size_t)slot_count * page_byte_count);
    client->handle = nbd_create();
    if (client->slots == NULL || client->finished == NULL || client->taken == NULL ||
        client->pages == NULL || client->handle == NULL || nbd_connect_unix(client->handle, path) < 0) {
        cdisk_nbd_close(client);
        return NULL;
    }
    memset(client->pages, 0, (size_t)slot_count * page_byte_count);
    for (int number = 0; number < slot_count; number++) {
        client->slots[number] = (struct slot){.client = client, .number = number};
    }
    return client;
}

/// What the last request failed with that did, or NULL.
static _Thread_local const char *failure;

const char *cdisk_nbd_error(void) {
    const char *text = failure != NULL ? failure : nbd_get_error();
    return text != NULL ? text : "there is no memory";
}

int64_t cdisk_nbd_size(struct cdisk_nbd *client) {
    return nbd_get_size(client->handle);
}

void *cdisk_nbd_page(struct cdisk_nbd *client, int slot) {
    return client->pages + (size_t)slot * page_byte_count;
}

/// Called by libnbd, under its lock: no other call of it is possible here.
static int finish(void *data, int *error) {
    struct slot *slot = data;
    struct cdisk_nbd *client = slot->client;
    if (*error != 0) {
        client->failure = *error;
    }
    client->finished[client->finished_count++] = slot->number;
    return 1;  // The command is retired.
}

int cdisk_nbd_submit(struct cdisk_nbd *client, int slot, uint64_t offset, int is_write) {
    nbd_completion_callback completion = {
        .callback = finish, .user_data = &client->slots[slot]};
    void *page = cdisk_nbd_page(client, slot);
    int64_t cookie =
        is_write ? nbd_aio_pwrite(client->handle, page, page_byte_count, offset, completion, 0)
                 : nbd_aio_pread(client->handle, page, page_byte_count, offset, completion, 0);
    return cookie < 0 ? -1 : 0;
}

int cdisk_nbd_wait(struct cdisk_nbd *client) {
    // What ended while a request was submitted was announced then.
    while (client->finished_count == 0) {
        if (nbd_poll(client->handle, -1) < 0) {
            return -1;
        }
    }
    int *taken = client->finished;
    int count = client->finished_count;
    client->finished = client->taken;
    client->finished_count = 0;
    client->taken = taken;
    if (client->failure != 0) {
        failure = strerror(client->failure);
        return -1;
    }
    return count;
}

int cdisk_nbd_finished(struct cdisk_nbd *client, int index) {
    return client->taken[index];
}

void cdisk_nbd_close(struct cdisk_nbd *client) {
    nbd_close(client->handle);
    free(client->pages);
    free(client->finished);
    free(client->taken);
    free(client->slots);
    free(client);
}
