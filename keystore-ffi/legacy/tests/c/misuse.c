/*
 * Tests threads that use the store while others initialise it and clean it up, in both modes. Every
 * call must return one of the expected codes.
 *
 *     misuse ROUNDS
 */

#include "check.h"

enum { WORKERS = 6 };

static int rounds;
static volatile bool stop;

static void *work(void *context) {
    unsigned seed = (unsigned)(size_t)context;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        char key[32];
        key_store_value value;
        int status;
        snprintf(key, sizeof key, "key %u", seed = (seed * 1103515245 + 12345) % 1000);
        status = set_text(key, key);
        CHECK(status == 0 || status == -40);
        status = get_key(key, &value);
        CHECK(status == 0 || status == -40 || status == -41);
        if (status == 0) {
            CHECK(value.data_size == strlen(key) + 1 && strcmp((char *)value.data, key) == 0);
            free(value.data);
        }
        status = delete_key(key);
        CHECK(status == 0 || status == -40 || status == -41);
        if (seed % 50 == 0)
            CHECK(get_keystore_stats().key_entries.total_keys <= 1001);
    }
    return NULL;
}

/* Runs on two threads at once: each initialises the store and cleans it up, again and again. */
static void *turn_on_and_off(void *context) {
    bool is_concurrency_enabled = context != NULL;
    for (int round = 0; round < rounds; round++) {
        int status;
        CHECK(initialise_key_store(64, 0.5, is_concurrency_enabled ^ (round & 1)) == 0);
        for (int i = 0; i < 200; i++)
            CHECK((status = set_text("shared", "value")) == 0 || status == -40);
        CHECK((status = cleanup_key_store()) == 0 || status == -40);
    }
    return NULL;
}

int main(int count, char **arguments) {
    pthread_t workers[WORKERS], switches[2];
    CHECK(count == 2 && (rounds = atoi(arguments[1])) > 0);
    for (size_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&workers[i], NULL, work, (void *)i) == 0);
    CHECK(pthread_create(&switches[0], NULL, turn_on_and_off, NULL) == 0);
    CHECK(pthread_create(&switches[1], NULL, turn_on_and_off, &rounds) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(switches[i], NULL) == 0);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < WORKERS; i++)
        CHECK(pthread_join(workers[i], NULL) == 0);
    CHECK(cleanup_key_store() == -40);
    return 0;
}
