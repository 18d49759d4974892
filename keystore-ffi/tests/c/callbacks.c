/*
 * Tests the operations that call back, the operations that read and write in one step, batches and
 * statistics, on every backend and pool.
 */

#include "check.h"

/* A value as a callback was shown it. */
struct seen {
    ks_store *store;
    char value[64];
    size_t length;
    int calls;
};

static void see(void *context, const void *value, size_t length) {
    struct seen *seen = context;
    CHECK(length <= sizeof seen->value);
    memcpy(seen->value, value, length);
    seen->length = length;
    seen->calls++;
}

static void try_to_close(void *context, const void *value, size_t length) {
    struct seen *seen = context;
    size_t count;
    (void)value, (void)length;
    CHECK(ks_close(seen->store) == KS_LOCK_NOT_ACQUIRED);
    CHECK_MESSAGE("inside a callback");
    CHECK(ks_count(seen->store, &count) == KS_OK);
    seen->calls++;
}

static void read_in_place(ks_store *store) {
    struct seen seen = {.store = store};
    CHECK(ks_set(store, "k", 1, "in place", 8) == KS_OK);
    CHECK(ks_read(store, "k", 1, see, &seen) == KS_OK);
    CHECK(seen.calls == 1 && seen.length == 8 && memcmp(seen.value, "in place", 8) == 0);
    CHECK(ks_read(store, "none", 4, see, &seen) == KS_KEY_NOT_FOUND && seen.calls == 1);
    CHECK(ks_read(store, "k", 1, try_to_close, &seen) == KS_OK && seen.calls == 2);
    CHECK(has(store, "k", "in place"));
}

/* State of a scan over the entries. */
struct walk {
    int entries;
    int stop_after;
    unsigned sum;
};

static int step(void *context, const void *key, size_t key_len, const void *value, size_t value_len) {
    struct walk *walk = context;
    const unsigned char *byte = value;
    CHECK(key_len == 1 && value_len == 1 && *(const unsigned char *)key == *byte);
    walk->entries++;
    walk->sum += *byte;
    return walk->entries == walk->stop_after;
}

static void walk_over_all(ks_store *store) {
    struct walk all = {0, 0, 0}, some = {0, 10, 0};
    for (int i = 0; i < 200; i++) {
        unsigned char byte = (unsigned char)i;
        CHECK(ks_set(store, &byte, 1, &byte, 1) == KS_OK);
    }
    CHECK(ks_for_each(store, step, &all) == KS_OK && all.entries == 200 && all.sum == 199 * 200 / 2);
    CHECK(ks_for_each(store, step, &some) == KS_OK && some.entries == 10);
}

/* State of a scan by cursor: how often each of the keys 0 to 199 was shown. */
struct slice {
    ks_store *store;
    int shown[200];
    size_t entries;
};

static void show_slice(void *context, const void *key, size_t key_len, const void *value, size_t value_len) {
    struct slice *slice = context;
    const unsigned char *byte = key;
    CHECK(key_len == 1 && value_len == 1 && *(const unsigned char *)value == *byte);
    CHECK(ks_close(slice->store) == KS_LOCK_NOT_ACQUIRED);
    slice->shown[*byte]++;
    slice->entries++;
}

static void scan_by_cursor(ks_store *store) {
    static const size_t limits[] = {1, 7, 1000};
    uint64_t cursor = 0;
    size_t calls = 0;
    CHECK(ks_scan(store, &cursor, 10, show_slice, NULL) == KS_OK && cursor == 0);
    for (int i = 0; i < 200; i++) {
        unsigned char byte = (unsigned char)i;
        CHECK(ks_set(store, &byte, 1, &byte, 1) == KS_OK);
    }
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct slice slice = {.store = store};
        do {
            size_t before = slice.entries;
            CHECK(ks_scan(store, &cursor, limits[i], show_slice, &slice) == KS_OK);
            CHECK(slice.entries > before || cursor == 0);
            calls++;
            /* The table grows between two calls. */
            CHECK(calls != 3 || ks_reserve(store, 5000) == KS_OK);
        } while (cursor != 0);
        CHECK(slice.entries == 200);
        for (int key = 0; key < 200; key++)
            CHECK(slice.shown[key] == 1);
    }
    CHECK(calls > 20);

    CHECK(ks_scan(store, &cursor, 0, show_slice, NULL) == KS_INVALID_ARGUMENT && cursor == 0);
    CHECK_MESSAGE("limit is 0");
    ks_store *other = open_store(KS_BACKEND_RWLOCK, KS_POOL_SLAB);
    struct slice slice = {.store = store};
    CHECK(ks_scan(store, &cursor, 1, show_slice, &slice) == KS_OK && cursor != 0);
    uint64_t kept = cursor;
    CHECK(ks_scan(other, &cursor, 1, show_slice, NULL) == KS_INVALID_ARGUMENT && cursor == kept);
    CHECK_MESSAGE("cursor is ");
    CHECK(ks_close(other) == KS_OK);
}

static int add_one(void *context, const void *old_value, size_t old_len, ks_bytes *new_value) {
    uint64_t *number = context;
    *number = 0;
    if (old_value != NULL) {
        CHECK(old_len == sizeof *number);
        memcpy(number, old_value, sizeof *number);
    }
    ++*number;
    new_value->data = number;
    new_value->len = sizeof *number;
    return KS_UPDATE_SET;
}

static int answer(void *context, const void *old_value, size_t old_len, ks_bytes *new_value) {
    (void)old_value, (void)old_len, (void)new_value;
    return *(int *)context;
}

static int set_nothing_of_some_length(void *context, const void *old, size_t old_len, ks_bytes *new_value) {
    (void)context, (void)old, (void)old_len;
    new_value->data = NULL;
    new_value->len = 5;
    return KS_UPDATE_SET;
}

static void update(ks_store *store) {
    uint64_t number = 0;
    int keep = KS_UPDATE_KEEP, delete = KS_UPDATE_DELETE, set = KS_UPDATE_SET, wrong = 7;
    bool exists;

    for (uint64_t i = 1; i <= 100; i++)
        CHECK(ks_update(store, "n", 1, add_one, &number) == KS_OK && number == i);
    CHECK(ks_update(store, "n", 1, answer, &keep) == KS_OK);
    CHECK(ks_update(store, "n", 1, answer, &wrong) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("answered 7");
    CHECK(ks_update(store, "n", 1, set_nothing_of_some_length, NULL) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("new_value is NULL");
    CHECK(ks_update(store, "n", 1, add_one, &number) == KS_OK && number == 101);
    CHECK(ks_update(store, "n", 1, answer, &set) == KS_OK && has(store, "n", ""));
    CHECK(ks_update(store, "n", 1, answer, &delete) == KS_OK);
    CHECK(ks_exists(store, "n", 1, &exists) == KS_OK && !exists);
}

static void compare_exchange(ks_store *store) {
    bool exchanged;
    void *actual;
    size_t length;

    /* Creates the key only if it is absent. */
    CHECK(ks_compare_exchange(store, "k", 1, NULL, 0, "a", 1, &exchanged, NULL, NULL) == KS_OK && exchanged);
    CHECK(ks_compare_exchange(store, "k", 1, NULL, 0, "b", 1, &exchanged, &actual, &length) == KS_OK);
    CHECK(!exchanged && length == 1 && strcmp(actual, "a") == 0);
    ks_free(actual);
    /* The value of 0 bytes is not "no value". */
    CHECK(ks_compare_exchange(store, "k", 1, "a", 1, "", 0, &exchanged, &actual, &length) == KS_OK);
    CHECK(exchanged && actual == NULL && length == 0 && has(store, "k", ""));
    CHECK(ks_compare_exchange(store, "k", 1, NULL, 0, "c", 1, &exchanged, NULL, NULL) == KS_OK && !exchanged);
    /* Removes the key only if it has this value. */
    CHECK(ks_compare_exchange(store, "k", 1, "a", 1, NULL, 0, &exchanged, NULL, NULL) == KS_OK && !exchanged);
    CHECK(ks_compare_exchange(store, "k", 1, "", 0, NULL, 0, &exchanged, NULL, NULL) == KS_OK && exchanged);
    CHECK(ks_compare_exchange(store, "k", 1, "x", 1, "y", 1, &exchanged, &actual, &length) == KS_OK);
    CHECK(!exchanged && actual == NULL && length == 0);
}

enum { BATCH = 150 };

/* Counts of the values that a batch showed. */
struct many {
    size_t next;
    size_t present;
};

static void see_many(void *context, size_t index, const void *value, size_t length) {
    struct many *many = context;
    CHECK(index == many->next++);
    if (value == NULL)
        return;
    many->present++;
    CHECK(length == sizeof(int) && *(const unsigned char *)value == (unsigned char)index);
}

static void batches(ks_store *store) {
    int numbers[BATCH];
    ks_bytes keys[BATCH], values[BATCH];
    ks_value copies[BATCH];
    struct many many = {0, 0};
    size_t total, count;

    for (int i = 0; i < BATCH; i++) {
        numbers[i] = i;
        keys[i].data = values[i].data = &numbers[i];
        keys[i].len = values[i].len = sizeof numbers[i];
    }
    CHECK(ks_set_many(store, keys, values, BATCH, &total) == KS_OK && total == BATCH);
    CHECK(ks_set_many(store, keys, values, BATCH, &total) == KS_OK && total == 0);
    CHECK(ks_set_many(store, NULL, NULL, 0, NULL) == KS_OK);
    CHECK(ks_delete_many(store, keys, 50, &total) == KS_OK && total == 50);
    CHECK(ks_delete_many(store, keys, 60, &total) == KS_OK && total == 10);
    CHECK(ks_count(store, &count) == KS_OK && count == BATCH - 60);

    CHECK(ks_read_many(store, keys, BATCH, see_many, &many) == KS_OK);
    CHECK(many.next == BATCH && many.present == BATCH - 60);
    CHECK(ks_get_many(store, keys, BATCH, copies) == KS_OK);
    for (int i = 0; i < BATCH; i++) {
        CHECK((copies[i].data == NULL) == (i < 60));
        CHECK(i < 60 || (copies[i].len == sizeof i && memcmp(copies[i].data, &i, sizeof i) == 0));
        ks_free(copies[i].data);
    }

    /* A wrong key in a batch: the keys before it are done, and the message names its position. */
    keys[100].len = 0;
    many.next = many.present = 0;
    CHECK(ks_read_many(store, keys, BATCH, see_many, &many) == KS_INVALID_ARGUMENT && many.next == 100);
    CHECK_MESSAGE("entry 100 of the batch: a key of 0 bytes");
    CHECK(ks_get_many(store, keys, BATCH, copies) == KS_INVALID_ARGUMENT);
    for (int i = 0; i < BATCH; i++)
        CHECK(copies[i].data == NULL && copies[i].len == 0);
    CHECK(ks_delete_many(store, keys, BATCH, &total) == KS_INVALID_ARGUMENT && total >= 4);
    CHECK(ks_count(store, &count) == KS_OK && count == BATCH - 100);
    keys[100].data = NULL;
    keys[100].len = 4;
    CHECK(ks_set_many(store, keys, values, BATCH, NULL) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("entry 100 of the batch: key is NULL");
    CHECK(ks_count(store, &count) == KS_OK && count == BATCH);
}

static void statistics(ks_store *store) {
    ks_stats stats;
    char buffer[8];
    size_t length;

    for (int i = 0; i < 100; i++)
        CHECK(ks_set(store, &i, sizeof i, "value", 5) == KS_OK);
    for (int i = 0; i < 50; i++)
        CHECK(ks_get(store, &i, sizeof i, buffer, sizeof buffer, &length) == KS_OK);
    CHECK(ks_get(store, "none", 4, buffer, sizeof buffer, &length) == KS_KEY_NOT_FOUND);
    for (int i = 0; i < 30; i++)
        CHECK(ks_delete(store, &i, sizeof i) == KS_OK);
    CHECK(ks_set(store, "", 0, "value", 5) == KS_INVALID_ARGUMENT);
    CHECK(ks_store_stats(store, &stats, sizeof stats) == KS_OK);
    CHECK(stats.entries == 70 && stats.adds == 101 && stats.finds == 51 && stats.deletes == 30);
    CHECK(stats.failed_adds == 1 && stats.failed_finds == 1 && stats.failed_deletes == 0);
    CHECK(stats.nodes_created == 100 && stats.nodes_deleted == 30 && stats.errors == 1);
    CHECK(stats.nonempty_buckets + stats.empty_buckets == stats.buckets && stats.node_bytes >= 70 * 9);
    CHECK(stats.opened_at > 1600000000);

    ks_counters counters;
    CHECK(ks_store_counters(store, &counters, sizeof counters) == KS_OK);
    CHECK(counters.entries == 70 && counters.hits == 50 && counters.misses == 1);
    CHECK(counters.sets == 100 && counters.deletes == 30 && counters.node_bytes == stats.node_bytes);
    CHECK(counters.pool_held_bytes == stats.pool_held_bytes && counters.table_bytes > 0);
    CHECK(counters.is_resizing <= 1);
    /* A program that was compiled with a later header. */
    struct {
        ks_counters known;
        uint64_t later;
    } longer = {.later = 7};
    CHECK(ks_store_counters(store, &longer.known, sizeof longer) == KS_OK);
    CHECK(longer.known.entries == 70 && longer.later == 0);
    CHECK(ks_store_counters(store, &counters, sizeof counters - 1) == KS_INVALID_ARGUMENT);
    CHECK(ks_store_counters(store, NULL, sizeof counters) == KS_INVALID_ARGUMENT);
    CHECK(ks_store_stats(store, &stats, sizeof stats - 1) == KS_INVALID_ARGUMENT);
    CHECK(ks_store_stats(store, NULL, sizeof stats) == KS_INVALID_ARGUMENT);
}

int main(void) {
    on_every_store(read_in_place);
    on_every_store(walk_over_all);
    on_every_store(scan_by_cursor);
    on_every_store(update);
    on_every_store(compare_exchange);
    on_every_store(batches);
    on_every_store(statistics);
    return 0;
}
