/*
 * Tests every function on a thread whose `malloc` fails, at once or after a number of allocations
 * that grows from run to run. Each call returns KS_OK or KS_OUT_OF_MEMORY with a message, and
 * leaves the store as it was. Each case runs in a separate process, so that the test can name a
 * case that ends the process.
 *
 *     out_of_memory [new]
 *
 * With `new`, the calls are the first ones of their threads.
 */

#define _GNU_SOURCE
#include "check.h"
#include "no_memory.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static ks_store *store;
static char long_value[3000];

static void show(void *context, const void *value, size_t length) { (void)context, (void)value, (void)length; }

static void show_many(void *context, size_t index, const void *value, size_t length) {
    (void)context, (void)index, (void)value, (void)length;
}

static int show_all(void *context, const void *key, size_t key_len, const void *value, size_t value_len) {
    (void)context, (void)key, (void)key_len, (void)value, (void)value_len;
    return 0;
}

static void show_slice(void *context, const void *key, size_t key_len, const void *value, size_t value_len) {
    (void)context, (void)key, (void)key_len, (void)value, (void)value_len;
}

static int replace(void *context, const void *old_value, size_t old_len, ks_bytes *new_value) {
    (void)context, (void)old_value, (void)old_len;
    new_value->data = long_value;
    new_value->len = sizeof long_value;
    return KS_UPDATE_SET;
}

static int get(void) {
    char buffer[8];
    size_t length;
    return ks_get(store, "k", 1, buffer, sizeof buffer, &length);
}

static int get_owned(void) {
    void *value;
    size_t length;
    int status = ks_get_owned(store, "k", 1, &value, &length);
    ks_free(value);
    return status;
}

static int take(void) {
    void *value;
    size_t length;
    int status = ks_take(store, "taken", 5, &value, &length);
    /* A value that could not be handed over stays in the store. */
    if (status == KS_OUT_OF_MEMORY) {
        left = -1;
        CHECK(has(store, "taken", "value"));
    }
    ks_free(value);
    return status;
}

static int compare_exchange(void) {
    bool exchanged;
    void *actual;
    size_t length;
    int status = ks_compare_exchange(store, "k", 1, "other", 5, long_value, 100, &exchanged, &actual, &length);
    CHECK(!exchanged);
    ks_free(actual);
    if (status == KS_OK)
        status = ks_compare_exchange(store, "k", 1, "v", 1, long_value, 2000, &exchanged, NULL, NULL);
    return status;
}

static int exists(void) {
    bool answer;
    return ks_exists(store, "k", 1, &answer);
}

static int count(void) {
    size_t number;
    return ks_count(store, &number);
}

static int store_stats(void) {
    ks_stats stats;
    return ks_store_stats(store, &stats, sizeof stats);
}

static int store_counters(void) {
    ks_counters counters;
    return ks_store_counters(store, &counters, sizeof counters);
}

static int scan(void) {
    uint64_t cursor = 0;
    int status = ks_scan(store, &cursor, 1, show_slice, NULL);
    return status == KS_OK && cursor != 0 ? ks_scan(store, &cursor, 100, show_slice, NULL) : status;
}

static int get_many(void) {
    ks_bytes keys[3] = {{"k", 1}, {"none", 4}, {"taken", 5}};
    ks_value values[3];
    int status = ks_get_many(store, keys, 3, values);
    for (int i = 0; i < 3; i++)
        ks_free(values[i].data);
    return status;
}

static int read_many(void) {
    ks_bytes keys[2] = {{"k", 1}, {"none", 4}};
    return ks_read_many(store, keys, 2, show_many, NULL);
}

static int set_many(void) {
    ks_bytes keys[2] = {{"new 1", 5}, {"new 2", 5}}, values[2] = {{long_value, 900}, {long_value, 1800}};
    return ks_set_many(store, keys, values, 2, NULL);
}

static int delete_many(void) {
    ks_bytes keys[2] = {{"k", 1}, {"none", 4}};
    return ks_delete_many(store, keys, 2, NULL);
}

static int open_with(int32_t backend, int32_t pool) {
    ks_options options;
    ks_store *opened;
    int status = ks_options_init(&options, sizeof options);
    CHECK(status == KS_OK);
    options.backend = backend;
    options.pool = pool;
    options.preallocation = 0.5;
    status = ks_open(&options, &opened);
    CHECK((status == KS_OK) == (opened != NULL));
    if (status == KS_OK)
        CHECK(ks_close(opened) == KS_OK);
    return status;
}

#define OPEN(name, backend, pool)                                                                   \
    static int name(void) { return open_with(backend, pool); }
OPEN(open_rwlock_slab, KS_BACKEND_RWLOCK, KS_POOL_SLAB)
OPEN(open_epoch_arena, KS_BACKEND_EPOCH, KS_POOL_ARENA)
OPEN(open_epoch_system, KS_BACKEND_EPOCH, KS_POOL_SYSTEM)
OPEN(open_dashmap_slab, KS_BACKEND_DASHMAP, KS_POOL_SLAB)

/* Enough for the places of handles to grow. */
static int open_many(void) {
    static ks_store *opened[40];
    int status = KS_OK;
    size_t open = 0;
    while (open < 40 && status == KS_OK)
        if ((status = ks_open(NULL, &opened[open])) == KS_OK)
            open++;
    for (size_t i = 0; i < open; i++)
        CHECK(ks_close(opened[i]) == KS_OK);
    return status;
}

/* What fails anyway does so with its own code and message, or for lack of memory. */
#define FAILS(call, status, text)                                                                   \
    do {                                                                                            \
        int got = (call);                                                                           \
        CHECK(got == (status) || got == KS_OUT_OF_MEMORY);                                          \
        if (got == (status))                                                                        \
            CHECK_MESSAGE(text);                                                                    \
    } while (0)

static int failures(void) {
    ks_options options;
    ks_store *opened;
    size_t length;
    ks_bytes keys[2] = {{"k", 1}, {NULL, 3}};
    ks_value values[2];
    CHECK(ks_options_init(&options, 3) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("size is 3: it must be sizeof(ks_options)");
    CHECK(ks_options_init(&options, sizeof options) == KS_OK);
    options.backend = 9;
    CHECK(ks_open(&options, &opened) == KS_INVALID_CONFIG);
    CHECK_MESSAGE("backend is 9: it must be 1 (rwlock)");
    options.backend = KS_BACKEND_EPOCH;
    options.initial_buckets = 1000;
    CHECK(ks_open(&options, &opened) == KS_INVALID_CONFIG);
    CHECK_MESSAGE("initial_buckets is ");
    options.initial_buckets = 16;
    options.preallocation = 1.5;
    CHECK(ks_open(&options, &opened) == KS_INVALID_CONFIG);
    CHECK_MESSAGE("preallocation is ");
    FAILS(ks_set(store, "", 0, "v", 1), KS_INVALID_ARGUMENT, "a key of 0 bytes");
    FAILS(ks_get(store, "none", 4, NULL, 0, &length), KS_KEY_NOT_FOUND, "not in the store");
    FAILS(ks_insert(store, "k", 1, "v", 1), KS_KEY_EXISTS, "in the store already");
    FAILS(ks_set_many(store, keys, keys, 2, NULL), KS_INVALID_ARGUMENT, "entry 1 of the batch: key is NULL");
    FAILS(ks_get_many(store, keys, 2, values), KS_INVALID_ARGUMENT, "entry 1 of the batch: key is NULL");
    CHECK(values[0].data == NULL && values[1].data == NULL);
    CHECK(ks_set((ks_store *)7, "k", 1, "v", 1) == KS_NOT_INITIALISED);
    CHECK_MESSAGE("store 0x7 is not open");
    CHECK(strcmp(ks_strerror(KS_OUT_OF_MEMORY), "out of memory") == 0 && ks_version() != NULL);
    return KS_OK;
}

static int set(void) { return ks_set(store, "new", 3, long_value, 500); }
static int overwrite(void) { return ks_set(store, "k", 1, long_value, sizeof long_value); }
static int insert(void) { return ks_insert(store, "new", 3, long_value, 1000); }
static int read_value(void) { return ks_read(store, "k", 1, show, NULL); }
static int update(void) { return ks_update(store, "k", 1, replace, NULL); }
static int delete_key(void) { return ks_delete(store, "k", 1); }
static int clear(void) { return ks_clear(store); }
static int reserve(void) { return ks_reserve(store, 100000); }
static int shrink(void) { return ks_shrink(store); }
static int for_each(void) { return ks_for_each(store, show_all, NULL); }
static int close_store(void) { return ks_close(store); }

static const struct {
    const char *name;
    int (*call)(void);
} CALLS[] = {
    {"failures", failures}, {"ks_get", get}, {"ks_get_owned", get_owned}, {"ks_exists", exists}, {"ks_count", count},
    {"ks_read", read_value}, {"ks_for_each", for_each}, {"ks_read_many", read_many}, {"ks_get_many", get_many},
    {"ks_store_stats", store_stats},
    {"ks_store_counters", store_counters}, {"ks_scan", scan}, {"ks_set", set}, {"ks_set over a value", overwrite}, {"ks_insert", insert},
    {"ks_update", update}, {"ks_compare_exchange", compare_exchange}, {"ks_take", take}, {"ks_delete", delete_key},
    {"ks_set_many", set_many}, {"ks_delete_many", delete_many}, {"ks_reserve", reserve}, {"ks_clear", clear},
    {"ks_shrink", shrink}, {"ks_open rwlock slab", open_rwlock_slab}, {"ks_open epoch arena", open_epoch_arena},
    {"ks_open epoch system", open_epoch_system}, {"ks_open dashmap slab", open_dashmap_slab},
    {"ks_open of many", open_many}, {"ks_close", close_store},
};

/* A case: a call, the number of allocations it may make, and whether it is its thread's first. */
static size_t chosen;
static long allowed;
static bool first;

static void *work(void *context) {
    int status;
    (void)context;
    if (!first) {
        CHECK(ks_set(store, "warm", 4, "value", 5) == KS_OK && ks_delete(store, "warm", 4) == KS_OK);
        CHECK(ks_set(store, "warm", 4, "value", 5) == KS_OK);
    }
    given_back = 0;
    left = allowed;
    status = CALLS[chosen].call();
    left = -1;
    CHECK(status == KS_OK || status == KS_OUT_OF_MEMORY);
    if (status == KS_OUT_OF_MEMORY) {
        CHECK_MESSAGE("out of memory");
        if (CALLS[chosen].call != clear && CALLS[chosen].call != delete_key && CALLS[chosen].call != delete_many)
            CHECK(has(store, "k", "v"));
        /* With memory, the same call succeeds. */
        CHECK(CALLS[chosen].call() == KS_OK);
    }
    _exit(status == KS_OK ? 0 : 10);
}

static int failed;

/* Runs the case in a new process. Returns whether the call reported that memory ran out. */
static bool run(int32_t backend) {
    int state;
    pid_t child;
    CHECK((child = fork()) >= 0);
    if (child == 0) {
        pthread_t thread;
        store = open_store(backend, KS_POOL_SLAB);
        CHECK(ks_set(store, "k", 1, "v", 1) == KS_OK && ks_set(store, "taken", 5, "value", 5) == KS_OK);
        CHECK(ks_get(store, "", 0, NULL, 0, &(size_t){0}) == KS_INVALID_ARGUMENT);
        CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
        pthread_join(thread, NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &state, 0) == child);
    if (WIFEXITED(state) && (WEXITSTATUS(state) == 0 || WEXITSTATUS(state) == 10))
        return WEXITSTATUS(state) == 10;
    fprintf(stderr, "%s, backend %d, %s call of its thread, after %ld allocations: state %#x\n", CALLS[chosen].name,
            (int)backend, first ? "first" : "later", allowed, (unsigned)state);
    failed++;
    return false;
}

int main(int argc, char **argv) {
    first = argc > 1 && strcmp(argv[1], "new") == 0;
    for (size_t b = 0; b < sizeof BACKENDS / sizeof *BACKENDS; b++)
        for (chosen = 0; chosen < sizeof CALLS / sizeof *CALLS; chosen++)
            for (allowed = 0; run(BACKENDS[b]); allowed++)
                CHECK(allowed < 2000);
    return failed != 0;
}
