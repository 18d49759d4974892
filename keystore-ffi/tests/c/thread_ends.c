/*
 * Tests calls in a destructor that runs when a thread ends; for some threads it is the first call.
 */

#include "check.h"
#include <pthread.h>

enum { THREADS = 16 };

static ks_store *shared;
static pthread_key_t at_the_end;

static void call_at_the_end(void *context) {
    char key[32];
    snprintf(key, sizeof key, "ended %d", *(int *)context);
    CHECK(ks_set(shared, key, strlen(key), "value", 5) == KS_OK && has(shared, key, "value"));
    CHECK(ks_delete(shared, "", 0) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("a key of 0 bytes");
}

static void *end_with_a_call(void *context) {
    CHECK(pthread_setspecific(at_the_end, context) == 0);
    if (*(int *)context % 2 == 0)
        CHECK(ks_set(shared, "before", 6, "value", 5) == KS_OK);
    return NULL;
}

static void calls_at_the_end_of_threads(ks_store *store) {
    pthread_t threads[THREADS];
    int numbers[THREADS];
    size_t count;
    shared = store;
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, end_with_a_call, &numbers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(ks_count(store, &count) == KS_OK && count == THREADS + 1);
}

int main(void) {
    CHECK(pthread_key_create(&at_the_end, call_at_the_end) == 0);
    on_every_store(calls_at_the_end_of_threads);
    return 0;
}
