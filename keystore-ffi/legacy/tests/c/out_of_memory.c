/*
 * Tests every call while malloc fails at its first, second, … allocation. Each call returns 0 or
 * -10, and leaves the store as it was.
 */

#define _GNU_SOURCE
#include "check.h"
#include "../../../tests/c/no_memory.h"

static bool concurrent;
static unsigned char bytes[2000];

static int initialise(void) { return initialise_key_store(256, 1.0, concurrent); }

static int set(void) {
    key_store_value value = {bytes, sizeof bytes};
    return set_key("new", &value);
}

static int get(void) {
    key_store_value value;
    int status = get_key("k", &value);
    CHECK((status == 0) == (value.data != NULL));
    free(value.data);
    return status;
}

static int overwrite(void) {
    key_store_value value = {bytes, 1000};
    return set_key("k", &value);
}

static int delete_new(void) { return delete_key("new"); }

/* Repeats the call, with one more allocation each time, until it succeeds. */
static void until_it_works(int (*call)(void)) {
    int status = -10;
    for (long allowed = 0; status != 0; allowed++) {
        CHECK(allowed < 2000);
        given_back = 0;
        left = allowed;
        status = call();
        left = -1;
        CHECK(status == 0 || status == -10);
        if (call != initialise && call != overwrite)
            CHECK(has_text("k", "text"));
    }
}

int main(void) {
    /* Calls once before memory runs out, so that the thread's own records exist. */
    for (int mode = 0; mode < 2; mode++) {
        CHECK(initialise_key_store(16, 0.5, mode) == 0 && set_text("k", "text") == 0 && cleanup_key_store() == 0);
        concurrent = mode;
        until_it_works(initialise);
        CHECK(set_text("k", "text") == 0);
        until_it_works(get);
        until_it_works(set);
        until_it_works(delete_new);
        until_it_works(overwrite);
        given_back = 0;
        left = 0;
        CHECK(initialise_key_store(1000, 0.5, true) == 0 && set_key("", NULL) == -20);
        left = -1;
        CHECK(cleanup_key_store() == 0);
    }
    return 0;
}
