/*
 * Tests many threads on one store, on every backend and pool; the separate last message of each
 * thread; lock time-outs; and single-threaded stores.
 */

#include "check.h"
#include <pthread.h>

/* Fewer keys under memcheck, which makes the program some thirty times slower. */
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

/* Sets keys that only this thread uses, reads each back at once, then updates the shared keys. */
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

/* Checks that a thread has its own last message. */
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

static int keep_going(void *context, const void *key, size_t key_len, const void *value, size_t value_len) {
    (void)context, (void)key, (void)key_len, (void)value, (void)value_len;
    return 0;
}

static void *use_little_stack(void *context) {
    ks_bytes keys[40];
    uint64_t number;
    size_t created;
    ks_store *other;
    (void)context;
    for (int i = 0; i < 40; i++)
        keys[i] = (ks_bytes){"abcdefgh" + i % 7, 1};
    for (int i = 0; i < KEYS; i++)
        CHECK(ks_set(shared, &i, sizeof i, "value", 5) == KS_OK);
    CHECK(ks_set_many(shared, keys, keys, 40, &created) == KS_OK && created == 7);
    CHECK(ks_update(shared, "number", 6, add_one, &number) == KS_OK);
    CHECK(ks_for_each(shared, keep_going, NULL) == KS_OK);
    CHECK(ks_set(shared, "", 0, "", 0) == KS_INVALID_ARGUMENT);
    CHECK(ks_clear(shared) == KS_OK && ks_shrink(shared) == KS_OK);
    CHECK(ks_open(NULL, &other) == KS_OK && ks_close(other) == KS_OK);
    return NULL;
}

/* Checks that 64 KiB of stack are enough for every call, as the documentation says. */
static inline void little_stack(ks_store *store) {
    pthread_attr_t attributes;
    pthread_t thread;
    shared = store;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
    CHECK(pthread_create(&thread, &attributes, use_little_stack, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0 && pthread_attr_destroy(&attributes) == 0);
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

/*
 * Progress of a reader while another thread tries to write. In the state INSIDE, the reader holds a
 * lock, until the state becomes TOLD.
 */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum { OUTSIDE, INSIDE, TOLD } state;
} reader = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, OUTSIDE};

static void enter_state(int state) {
    pthread_mutex_lock(&reader.mutex);
    reader.state = state;
    pthread_cond_broadcast(&reader.changed);
    pthread_mutex_unlock(&reader.mutex);
}

static void await_state(int state) {
    pthread_mutex_lock(&reader.mutex);
    while ((int)reader.state != state)
        pthread_cond_wait(&reader.changed, &reader.mutex);
    pthread_mutex_unlock(&reader.mutex);
}

static void stay(void *context, const void *value, size_t length) {
    (void)context, (void)value, (void)length;
    enter_state(INSIDE);
    await_state(TOLD);
}

static void *read_slowly(void *context) {
    (void)context;
    CHECK(ks_read(shared, "k", 1, stay, NULL) == KS_OK);
    return NULL;
}

/* Checks that a call gives up after the lock time-out, and has then done nothing. */
static void lock_timeout(void) {
    for (size_t b = 0; b < sizeof BACKENDS / sizeof *BACKENDS; b++) {
        bool waits = BACKENDS[b] != KS_BACKEND_EPOCH;
        ks_options options;
        pthread_t thread;
        CHECK(ks_options_init(&options, sizeof options) == KS_OK);
        CHECK(options.lock_timeout_ns == KS_NO_LOCK_TIMEOUT);
        options.backend = BACKENDS[b];
        options.lock_timeout_ns = 20 * 1000 * 1000;
        CHECK(ks_open(&options, &shared) == KS_OK);
        CHECK(ks_set(shared, "k", 1, "old", 3) == KS_OK);
        enter_state(OUTSIDE);
        CHECK(pthread_create(&thread, NULL, read_slowly, NULL) == 0);
        await_state(INSIDE);
        CHECK(ks_set(shared, "k", 1, "new", 3) == (waits ? KS_LOCK_NOT_ACQUIRED : KS_OK));
        if (waits)
            CHECK_MESSAGE("write waited 20ms for a lock");
        enter_state(TOLD);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(has(shared, "k", waits ? "old" : "new"));
        CHECK(ks_set(shared, "k", 1, "newer", 5) == KS_OK && has(shared, "k", "newer"));
        CHECK(ks_close(shared) == KS_OK);

        /* The longest time-out, to check that nothing overflows. */
        options.lock_timeout_ns = UINT64_MAX;
        CHECK(ks_open(&options, &shared) == KS_OK);
        CHECK(ks_set(shared, "k", 1, "v", 1) == KS_OK && has(shared, "k", "v"));
        CHECK(ks_close(shared) == KS_OK);
    }
}

int main(void) {
    on_every_store(many_threads);
#ifndef FEW /* Tools that watch a program take stack of their own. */
    on_every_store(little_stack);
#endif
    shared = open_store(KS_BACKEND_EPOCH, KS_POOL_SLAB);
    CHECK(ks_delete(shared, "k", 1) == KS_KEY_NOT_FOUND);
    run(fail_alone, THREADS);
    CHECK_MESSAGE("the key is not in the store");
    CHECK(ks_close(shared) == KS_OK);
    single_threaded();
    lock_timeout();
    return 0;
}
