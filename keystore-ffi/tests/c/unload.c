/*
 * Tests that dlclose leaves the library in memory and its stores open, because threads run its
 * cleanup code when they end.
 *
 *     unload LIBRARY
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <keystore.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                            \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);           \
            exit(1);                                                                                \
        }                                                                                           \
    } while (0)

static int (*open_store)(const ks_options *, ks_store **);
static int (*set)(ks_store *, const void *, size_t, const void *, size_t);
static int (*close_store)(ks_store *);
static ks_store *store;

/* POSIX allows an object pointer to hold a function's address; C does not allow the conversion. */
static void find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    CHECK(found != NULL);
    memcpy(function, &found, sizeof found);
}

static void *use(void *context) {
    (void)context;
    CHECK(open_store(NULL, &store) == KS_OK && set(store, "k", 1, "v", 1) == KS_OK);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    void *library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    find(library, "ks_open", &open_store);
    find(library, "ks_set", &set);
    find(library, "ks_close", &close_store);
    /* On another thread: while a thread that used the library lives, the system keeps it anyway. */
    CHECK(pthread_create(&thread, NULL, use, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(dlclose(library) == 0);
    CHECK(dlopen(argv[argc - 1], RTLD_NOW | RTLD_NOLOAD) != NULL);
    CHECK(set(store, "k", 1, "w", 1) == KS_OK && close_store(store) == KS_OK);
    return 0;
}
