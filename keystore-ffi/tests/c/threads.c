/* Many threads on one store, on every backend and pool; messages of each thread apart; single-threaded stores. */

#include "check.h"
#include <pthread.h>

/* Under memcheck each takes some thirty times as long. */
#ifdef FEW
enum { THREADS = 4, KEYS = 70, SHARED = 8 };
#else
enum { THREADS = 16, KEYS = 500, SHARED = 64 };
#endif

static ks_store *shared;

static int add_one(void *context, const void *old_value, size_t old_len, ks_bytes *new_value) {
    uint64_t *number = context;
    *number = 0;
    if (old_value != NULL)
        memcpy(number, old_value, old_len);
    ++*number;
    new_value->data = number;
    new_value->len = sizeof *number;
    return KS_UPDATE_SET;
}

/* Sets this thread's own keys, gets each back at once, then contends on the shared ones. */
static void *work(void *context) {
    int thread = *(int *)context;
    char key[64], value[64];

    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "thread %d key %d", thread, i);
        snprintf(value, sizeof value, "value %d of %d", i, thread);
        CHECK(ks_set(shared, key, strlen(key), value, strlen(value)) == KS_OK);
        CHECK(has(shared, key, value));
        if (i % 3 == 0)
            CHECK(ks_delete(shared, key, strlen(key)) == KS_OK);
    }
    for (int i = 0; i < KEYS; i++) {
        uint64_t number;
        snprintf(key, sizeof key, "shared %d", i % SHARED);
        CHECK(ks_update(shared, key, strlen(key), add_one, &number) == KS_OK);
    }
    return NULL;
}

static void run(void *(*start)(void *), int threads) {
    pthread_t handles[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < threads; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&handles[i], NULL, start, &numbers[i]) == 0);
    }
    for (int i = 0; i < threads; i++)
        CHECK(pthread_join(handles[i], NULL) == 0);
}

static int sum_up(void *context, const void *key, size_t key_len, const void *value, size_t value_len) {
    uint64_t number, *sum = context;
    if (key_len > 6 && memcmp(key, "shared", 6) == 0) {
        CHECK(value_len == sizeof number);
        memcpy(&number, value, sizeof number);
        *sum += number;
    }
    return 0;
}

static void many_threads(ks_store *store) {
    char key[64], value[64];
    size_t count, kept = 0;
    uint64_t sum = 0;

    shared = store;
    run(work, THREADS);
    for (int thread = 0; thread < THREADS; thread++)
        for (int i = 0; i < KEYS; i++) {
            bool exists;
            snprintf(key, sizeof key, "thread %d key %d", thread, i);
            snprintf(value, sizeof value, "value %d of %d", i, thread);
            CHECK(ks_exists(store, key, strlen(key), &exists) == KS_OK && exists == (i % 3 != 0));
            CHECK(!exists || has(store, key, value));
            kept += exists;
        }
    CHECK(ks_count(store, &count) == KS_OK && count == kept + SHARED);
    CHECK(ks_for_each(store, sum_up, &sum) == KS_OK && sum == (uint64_t)THREADS * KEYS);
}

/* A thread's message is its own. */
static void *fail_alone(void *context) {
    (void)context;
    CHECK(strcmp(ks_last_error_message(), "") == 0);
    CHECK(ks_delete(shared, "", 0) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("a key of 0 bytes");
    return NULL;
}

static void *use_from_elsewhere(void *context) {
    (void)context;
    CHECK(ks_set(shared, "k", 1, "v", 1) == KS_UNSUPPORTED);
    CHECK_MESSAGE("single-threaded");
    CHECK(ks_close(shared) == KS_UNSUPPORTED);
    return NULL;
}

static void single_threaded(void) {
    for (size_t b = 0; b < sizeof BACKENDS / sizeof *BACKENDS; b++) {
        ks_options options;
        CHECK(ks_options_init(&options, sizeof options) == KS_OK);
        options.backend = BACKENDS[b];
        options.concurrency = KS_CONCURRENCY_SINGLE_THREADED;
        CHECK(ks_open(&options, &shared) == KS_OK);
        CHECK(ks_set(shared, "k", 1, "v", 1) == KS_OK && has(shared, "k", "v"));
        run(use_from_elsewhere, 1);
        CHECK(has(shared, "k", "v"));
        CHECK(ks_close(shared) == KS_OK);
    }
}

int main(void) {
    on_every_store(many_threads);
    shared = open_store(KS_BACKEND_EPOCH, KS_POOL_SLAB);
    CHECK(ks_delete(shared, "k", 1) == KS_KEY_NOT_FOUND);
    run(fail_alone, THREADS);
    CHECK_MESSAGE("the key is not in the store");
    CHECK(ks_close(shared) == KS_OK);
    single_threaded();
    return 0;
}
