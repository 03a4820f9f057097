#include "croost_thread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

struct start {
    void (*entry)(void *);
    void *argument;
};

static void *run(void *argument) {
    struct start start = *(struct start *)argument;
    free(argument);
    start.entry(start.argument);
    return NULL;
}

int croost_start_thread(size_t stack_byte_count, void (*entry)(void *), void *argument) {
    struct start *start = malloc(sizeof *start);
    if (start == NULL) {
        return -ENOMEM;
    }
    *start = (struct start){.entry = entry, .argument = argument};
    pthread_attr_t attributes;
    int failure = pthread_attr_init(&attributes);
    if (failure == 0) {
        pthread_t thread;
        failure = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        if (failure == 0) {
            failure = pthread_attr_setstacksize(&attributes, stack_byte_count);
        }
        if (failure == 0) {
            failure = pthread_create(&thread, &attributes, run, start);
        }
        pthread_attr_destroy(&attributes);
    }
    if (failure != 0) {
        free(start);
    }
    return -failure;
}

void croost_name_thread(const char *name) {
    char kept[16];
    strncpy(kept, name, sizeof kept - 1);
    kept[sizeof kept - 1] = '\0';
    pthread_setname_np(pthread_self(), kept);
}

struct croost_semaphore {
    sem_t semaphore;
};

struct croost_semaphore *croost_make_semaphore(void) {
    struct croost_semaphore *made = malloc(sizeof *made);
    if (made != NULL && sem_init(&made->semaphore, 0, 0) != 0) {
        free(made);
        return NULL;
    }
    return made;
}

void croost_signal_semaphore(struct croost_semaphore *semaphore) {
    sem_post(&semaphore->semaphore);
}

void croost_wait_semaphore(struct croost_semaphore *semaphore) {
    while (sem_wait(&semaphore->semaphore) != 0 && errno == EINTR) {
    }
}

int croost_try_semaphore(struct croost_semaphore *semaphore) {
    int result;
    do {
        result = sem_trywait(&semaphore->semaphore);
    } while (result != 0 && errno == EINTR);
    return result == 0;
}

void croost_free_semaphore(struct croost_semaphore *semaphore) {
    sem_destroy(&semaphore->semaphore);
    free(semaphore);
}
