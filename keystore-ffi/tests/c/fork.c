/*
 * Tests that a child of fork has a copy of each store, under the same handle, and can use and close
 * it like a store of its own.
 */

#define _POSIX_C_SOURCE 200809L

#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 200 };

/* Sets the first `count` keys to `value`. */
static void set_all(ks_store *store, int count, const char *value) {
    char key[32];
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key %d", i);
        CHECK(ks_set(store, key, strlen(key), value, strlen(value)) == KS_OK);
    }
}

/* Checks that the store has `count` keys, each with this value. */
static void check_all(ks_store *store, size_t count, const char *value) {
    char key[32];
    size_t found;
    CHECK(ks_count(store, &found) == KS_OK && found == count);
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key %d", (int)i);
        CHECK(has(store, key, value));
    }
}

/*
 * Uses the copy in the child, after the parent has changed its own store. Then the child ends with
 * _exit, so no destructor frees what is left.
 */
static void live_as_child(ks_store *store, int told) {
    char byte;
    ks_store *another;
    alarm(60);
    CHECK(read(told, &byte, 1) == 1);
    check_all(store, KEYS, "before");
    set_all(store, 10 * KEYS, "of the child");
    check_all(store, 10 * KEYS, "of the child");
    CHECK(ks_clear(store) == KS_OK && ks_shrink(store) == KS_OK);
    set_all(store, KEYS, "again");
    check_all(store, KEYS, "again");
    CHECK(ks_close(store) == KS_OK);
    CHECK(ks_set(store, "k", 1, "v", 1) == KS_NOT_INITIALISED);
    another = open_store(KS_BACKEND_EPOCH, KS_POOL_SLAB);
    set_all(another, KEYS, "another");
    CHECK(ks_close(another) == KS_OK);
    _exit(0);
}

static void copies_are_apart(ks_store *store) {
    int ends[2], status;
    pid_t child;
    set_all(store, KEYS, "before");
    CHECK(pipe(ends) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0)
        live_as_child(store, ends[0]);
    set_all(store, KEYS, "of the parent");
    CHECK(write(ends[1], "!", 1) == 1);
    set_all(store, 3 * KEYS, "of the parent");
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_all(store, 3 * KEYS, "of the parent");
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

int main(void) {
    on_every_store(copies_are_apart);
    return 0;
}
