/* Tests every operation on one key, on every backend and every pool. */

#include "check.h"

static void set_get_delete(ks_store *store) {
    size_t count;
    bool exists;

    CHECK(ks_count(store, &count) == KS_OK && count == 0);
    CHECK(ks_set(store, "apple", 5, "red", 3) == KS_OK);
    CHECK(ks_set(store, "pear", 4, "green", 5) == KS_OK);
    CHECK(has(store, "apple", "red") && has(store, "pear", "green"));
    CHECK(ks_count(store, &count) == KS_OK && count == 2);
    CHECK(ks_exists(store, "apple", 5, &exists) == KS_OK && exists);

    /* Overwrites with longer and shorter values, and with 0 bytes. */
    CHECK(ks_set(store, "apple", 5, "red, yellow or green", 20) == KS_OK);
    CHECK(has(store, "apple", "red, yellow or green"));
    CHECK(ks_set(store, "apple", 5, "-", 1) == KS_OK && has(store, "apple", "-"));
    CHECK(ks_set(store, "apple", 5, NULL, 0) == KS_OK && has(store, "apple", ""));

    CHECK(ks_insert(store, "pear", 4, "brown", 5) == KS_KEY_EXISTS);
    CHECK_MESSAGE("in the store already");
    CHECK(has(store, "pear", "green"));
    CHECK(ks_insert(store, "plum", 4, "blue", 4) == KS_OK && has(store, "plum", "blue"));

    CHECK(ks_delete(store, "pear", 4) == KS_OK);
    CHECK(ks_delete(store, "pear", 4) == KS_KEY_NOT_FOUND);
    CHECK_MESSAGE("not in the store");
    CHECK(ks_exists(store, "pear", 4, &exists) == KS_OK && !exists);
    CHECK(ks_count(store, &count) == KS_OK && count == 2);
    CHECK(ks_clear(store) == KS_OK);
    CHECK(ks_count(store, &count) == KS_OK && count == 0);
}

static void binary_keys(ks_store *store) {
    unsigned char buffer[8];
    size_t length;

    CHECK(ks_set(store, "a\0b", 3, "one\0", 4) == KS_OK);
    CHECK(ks_set(store, "a\0c", 3, "two", 3) == KS_OK);
    CHECK(ks_set(store, "a", 1, "three", 5) == KS_OK);
    CHECK(ks_set(store, "\0", 1, "\xff\x00\xfe", 3) == KS_OK);
    CHECK(ks_get(store, "a\0b", 3, buffer, sizeof buffer, &length) == KS_OK);
    CHECK(length == 4 && memcmp(buffer, "one\0", 4) == 0);
    CHECK(ks_get(store, "a\0c", 3, buffer, sizeof buffer, &length) == KS_OK && length == 3);
    CHECK(has(store, "a", "three"));
    CHECK(ks_get(store, "\0", 1, buffer, sizeof buffer, &length) == KS_OK);
    CHECK(length == 3 && memcmp(buffer, "\xff\x00\xfe", 3) == 0);
}

static void buffers(ks_store *store) {
    char buffer[4] = "xyz";
    size_t length = 99;

    CHECK(ks_set(store, "k", 1, "12345", 5) == KS_OK);
    CHECK(ks_get(store, "k", 1, buffer, sizeof buffer, &length) == KS_INVALID_ARGUMENT);
    CHECK(length == 5 && strcmp(buffer, "xyz") == 0);
    CHECK_MESSAGE("a value of 5 bytes: the buffer has room for 4");
    CHECK(ks_get(store, "k", 1, NULL, 0, &length) == KS_OK && length == 5);
    CHECK(ks_get(store, "k", 1, buffer, 0, &length) == KS_INVALID_ARGUMENT && length == 5);
    CHECK(ks_get(store, "none", 4, buffer, sizeof buffer, &length) == KS_KEY_NOT_FOUND && length == 0);
    CHECK(ks_get(store, "none", 4, NULL, 0, &length) == KS_KEY_NOT_FOUND);

    char exact[5];
    CHECK(ks_get(store, "k", 1, exact, sizeof exact, &length) == KS_OK && memcmp(exact, "12345", 5) == 0);
}

static void owned_values(ks_store *store) {
    void *value;
    size_t length;

    CHECK(ks_set(store, "k", 1, "12345", 5) == KS_OK && ks_set(store, "empty", 5, NULL, 0) == KS_OK);
    CHECK(ks_get_owned(store, "k", 1, &value, &length) == KS_OK);
    CHECK(ks_set(store, "k", 1, "67890", 5) == KS_OK);
    CHECK(length == 5 && strcmp(value, "12345") == 0);
    ks_free(value);
    CHECK(ks_get_owned(store, "empty", 5, &value, &length) == KS_OK);
    CHECK(length == 0 && value != NULL && *(char *)value == '\0');
    ks_free(value);
    CHECK(ks_get_owned(store, "none", 4, &value, &length) == KS_KEY_NOT_FOUND && value == NULL && length == 0);
    ks_free(value);

    CHECK(ks_take(store, "k", 1, &value, &length) == KS_OK && length == 5 && strcmp(value, "67890") == 0);
    ks_free(value);
    CHECK(ks_take(store, "k", 1, &value, &length) == KS_KEY_NOT_FOUND && value == NULL && length == 0);
}

static void largest_and_too_large(ks_store *store) {
    static char key[65536];
    static char value[1 << 20];
    size_t length;

    memset(key, 'k', sizeof key);
    memset(value, 'v', sizeof value);
    CHECK(ks_set(store, key, 65535, value, sizeof value) == KS_OK);
    CHECK(ks_get(store, key, 65535, value, sizeof value, &length) == KS_OK && length == sizeof value);
    CHECK(ks_set(store, key, 65536, value, 1) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("65536 bytes: keys have 1 to 65535 bytes");
    CHECK(ks_set(store, "", 0, value, 1) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("0 bytes: keys have 1 to 65535 bytes");
    CHECK(ks_set(store, "k", 1, value, SIZE_MAX) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("value has 1");
    CHECK(ks_get(store, key, SIZE_MAX, value, sizeof value, &length) == KS_INVALID_ARGUMENT);
}

/* Fewer keys under memcheck, which makes the program some thirty times slower. */
#ifdef FEW
enum { GROWTH = 700 };
#else
enum { GROWTH = 20000 };
#endif

static void growth(ks_store *store) {
    char key[32], value[32];
    size_t count;

    CHECK(ks_reserve(store, 1000) == KS_OK);
    for (int i = 0; i < GROWTH; i++) {
        snprintf(key, sizeof key, "key %d", i);
        snprintf(value, sizeof value, "value %d", i * 7);
        CHECK(ks_set(store, key, strlen(key), value, strlen(value)) == KS_OK);
    }
    CHECK(ks_count(store, &count) == KS_OK && count == GROWTH);
    for (int i = 0; i < GROWTH; i++) {
        snprintf(key, sizeof key, "key %d", i);
        snprintf(value, sizeof value, "value %d", i * 7);
        CHECK(has(store, key, value));
    }
    CHECK(ks_clear(store) == KS_OK && ks_shrink(store) == KS_OK);
    CHECK(ks_count(store, &count) == KS_OK && count == 0);
}

static void several_stores_at_once(void) {
    ks_store *first = open_store(KS_BACKEND_EPOCH, KS_POOL_SLAB);
    ks_store *second = open_store(KS_BACKEND_RWLOCK, KS_POOL_ARENA);
    CHECK(first != second);
    CHECK(ks_set(first, "k", 1, "first", 5) == KS_OK && ks_set(second, "k", 1, "second", 6) == KS_OK);
    CHECK(has(first, "k", "first") && has(second, "k", "second"));
    CHECK(ks_close(first) == KS_OK);
    CHECK(has(second, "k", "second"));
    CHECK(ks_close(second) == KS_OK);
}

int main(void) {
    on_every_store(set_get_delete);
    on_every_store(binary_keys);
    on_every_store(buffers);
    on_every_store(owned_values);
    on_every_store(largest_and_too_large);
    on_every_store(growth);
    several_stores_at_once();
    return 0;
}
