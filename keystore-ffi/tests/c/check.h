/*
 * Shared parts of the test programs: checks that print where they failed, and all combinations of
 * backend and pool.
 */

#ifndef CHECK_H
#define CHECK_H

#include <keystore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Ends the program if `condition` does not hold, and prints the place, the condition and the
 * library's last message.
 */
#define CHECK(condition)                                                                            \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            fprintf(stderr, "%s:%d: %s does not hold (last message: %s)\n", __FILE__, __LINE__,     \
                    #condition, ks_last_error_message());                                           \
            exit(1);                                                                                \
        }                                                                                           \
    } while (0)

/* Ends the program if the last message does not contain `text`. */
#define CHECK_MESSAGE(text) CHECK(strstr(ks_last_error_message(), text) != NULL)

static const ks_backend BACKENDS[] = {KS_BACKEND_RWLOCK, KS_BACKEND_EPOCH, KS_BACKEND_DASHMAP};
static const ks_pool POOLS[] = {KS_POOL_SLAB, KS_POOL_ARENA, KS_POOL_SYSTEM};

/* Opens a store on this backend and this pool. */
static inline ks_store *open_store(ks_backend backend, ks_pool pool) {
    ks_options options;
    ks_store *store;
    CHECK(ks_options_init(&options, sizeof options) == KS_OK);
    options.backend = backend;
    options.pool = pool;
    options.initial_buckets = 16;
    options.preallocation = 0.5;
    CHECK(ks_open(&options, &store) == KS_OK);
    CHECK(store != NULL);
    return store;
}

/* Runs `test` on a new store of every combination. */
static inline void on_every_store(void (*test)(ks_store *)) {
    for (size_t b = 0; b < sizeof BACKENDS / sizeof *BACKENDS; b++)
        for (size_t p = 0; p < sizeof POOLS / sizeof *POOLS; p++) {
            ks_store *store = open_store(BACKENDS[b], POOLS[p]);
            test(store);
            CHECK(ks_close(store) == KS_OK);
        }
}

/* Returns whether the value of `key` is `value`. */
static inline bool has(ks_store *store, const char *key, const char *value) {
    char buffer[256];
    size_t length;
    return ks_get(store, key, strlen(key), buffer, sizeof buffer, &length) == KS_OK &&
           length == strlen(value) && memcmp(buffer, value, length) == 0;
}

#endif
