/*
 * Tests that wrong options, NULLs, closed handles and exhausted memory limits never crash, but
 * return a code and a message with the value and the limit.
 */

#include "check.h"

/* Opens with these options, which must fail with this status and write NULL. */
static void refuse(const ks_options *options, int status) {
    ks_store *store = (ks_store *)options;
    CHECK(ks_open(options, &store) == status);
    CHECK(store == NULL);
}

static ks_options defaults(void) {
    ks_options options;
    CHECK(ks_options_init(&options, sizeof options) == KS_OK);
    CHECK(options.size == sizeof options);
    return options;
}

static void wrong_options(void) {
    ks_options options = defaults();
    options.initial_buckets = 1000;
    refuse(&options, KS_INVALID_CONFIG);
    CHECK_MESSAGE("initial_buckets is 1000: it must be a power of two");
    options = defaults();
    options.preallocation = 1.5;
    refuse(&options, KS_INVALID_CONFIG);
    CHECK_MESSAGE("preallocation is 1.5: it must be from 0 to 1");
    options = defaults();
    options.backend = 9;
    refuse(&options, KS_INVALID_CONFIG);
    CHECK_MESSAGE("backend is 9");
    options = defaults();
    options.pool = -1;
    refuse(&options, KS_INVALID_CONFIG);
    CHECK_MESSAGE("pool is -1");
    options = defaults();
    options.concurrency = 0;
    refuse(&options, KS_INVALID_CONFIG);
    CHECK_MESSAGE("concurrency is 0");
    options = defaults();
    options.counters = 2;
    refuse(&options, KS_INVALID_CONFIG);
    CHECK_MESSAGE("counters is 2");
    options = defaults();
    options.backend = INT32_MIN;
    refuse(&options, KS_INVALID_CONFIG);
    CHECK_MESSAGE("backend is -2147483648: it must be 1 (rwlock)");
    options = defaults();
    options.initial_buckets = SIZE_MAX;
    refuse(&options, KS_INVALID_CONFIG);
    CHECK_MESSAGE("initial_buckets is 18446744073709551615: it must be a power of two from 1 to");
    options = defaults();
    options.preallocation = strtod("nan", NULL);
    refuse(&options, KS_INVALID_CONFIG);
    CHECK_MESSAGE("preallocation is NaN: it must be from 0 to 1");
    options = defaults();
    options.size = 3;
    refuse(&options, KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("options->size is 3: it must be sizeof(ks_options)");
    memset(&options, 0, sizeof options);
    refuse(&options, KS_INVALID_ARGUMENT);
    memset(&options, 0xff, sizeof options);
    refuse(&options, KS_INVALID_ARGUMENT);

    CHECK(ks_open(NULL, NULL) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("store is NULL");
    CHECK(ks_options_init(NULL, sizeof options) == KS_INVALID_ARGUMENT);
    CHECK(ks_options_init(&options, 0) == KS_INVALID_ARGUMENT);
}

/*
 * Tests a program of another version: sizes that a version has, and sizes that would cut a field.
 */
static void sizes_of_options(void) {
    struct {
        ks_options options;
        unsigned char later[40];
    } newer;
    ks_store *store;
    size_t first = offsetof(ks_options, lock_timeout_ns);

    for (size_t size = 0; size < 2000; size++) {
        ks_options options = defaults();
        /* Every later field has 8 bytes, so the size of a later version is a multiple of 8. */
        bool known = size == first || (size >= sizeof options && size <= sizeof newer && size % 8 == 0);
        if (size > sizeof newer && size <= 1024)
            continue; /* Of some later version: more than there is here. */
        options.size = size;
        newer.options = options;
        memset(newer.later, 0, sizeof newer.later);
        CHECK(ks_open(&newer.options, &store) == (known ? KS_OK : KS_INVALID_ARGUMENT));
        CHECK(!known || ks_close(store) == KS_OK);
        memset(&newer, 0xff, sizeof newer);
        CHECK(ks_options_init(&newer.options, size) == (known ? KS_OK : KS_INVALID_ARGUMENT));
        /* Nothing is written past the size, and nothing at all if the size is wrong. */
        for (size_t at = known ? size : 0; at < sizeof newer; at++)
            CHECK(((unsigned char *)&newer)[at] == 0xff);
    }
    CHECK(ks_options_init(&newer.options, SIZE_MAX) == KS_INVALID_ARGUMENT);
    CHECK(ks_options_init(&newer.options, sizeof newer) == KS_OK && newer.later[39] == 0);
    newer.later[5] = 7;
    refuse(&newer.options, KS_UNSUPPORTED);
    CHECK_MESSAGE("byte 61 is 7, and must be 0");
}

static void nothing_kept(void *context, const void *value, size_t length) {
    (void)context, (void)value, (void)length;
}

static int no_entry(void *context, const void *key, size_t key_len, const void *value, size_t value_len) {
    (void)context, (void)key, (void)key_len, (void)value, (void)value_len;
    return 0;
}

static void no_slice(void *context, const void *key, size_t key_len, const void *value, size_t value_len) {
    (void)context, (void)key, (void)key_len, (void)value, (void)value_len;
}

static int no_update(void *context, const void *old, size_t old_len, ks_bytes *new_value) {
    (void)context, (void)old, (void)old_len, (void)new_value;
    return KS_UPDATE_KEEP;
}

static void no_batch(void *context, size_t index, const void *value, size_t length) {
    (void)context, (void)index, (void)value, (void)length;
}

/*
 * Tests that every function that takes an array refuses more items than a block of memory can hold,
 * before it reads any.
 */
static void counts_that_overflow(ks_store *store) {
    size_t counts[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / sizeof(ks_bytes) + 2, SIZE_MAX / sizeof(ks_bytes)};
    ks_bytes key = {"k", 1};
    ks_value value = {&key, 3};
    size_t changed;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        CHECK(ks_get_many(store, &key, counts[i], &value) == KS_INVALID_ARGUMENT);
        CHECK_MESSAGE("no block of memory has more");
        CHECK(value.data == &key && value.len == 3);
        CHECK(ks_get_many(store, NULL, counts[i], &value) == KS_INVALID_ARGUMENT);
        CHECK(ks_get_many(store, &key, counts[i], NULL) == KS_INVALID_ARGUMENT);
        CHECK(ks_read_many(store, &key, counts[i], no_batch, NULL) == KS_INVALID_ARGUMENT);
        CHECK(ks_set_many(store, &key, &key, counts[i], &changed) == KS_INVALID_ARGUMENT && changed == 0);
        CHECK(ks_delete_many(store, &key, counts[i], &changed) == KS_INVALID_ARGUMENT && changed == 0);
    }
    CHECK(ks_get_many(store, NULL, 0, NULL) == KS_OK && ks_set_many(store, NULL, NULL, 0, NULL) == KS_OK);
    CHECK(ks_read_many(store, NULL, 0, no_batch, NULL) == KS_OK && ks_delete_many(store, NULL, 0, NULL) == KS_OK);
}

static int answer_too_long(void *context, const void *old, size_t old_len, ks_bytes *new_value) {
    (void)old, (void)old_len;
    new_value->data = "v";
    new_value->len = *(size_t *)context;
    return KS_UPDATE_SET;
}

/* Tests that a length that is too large for a narrower type is refused and never truncated. */
static void lengths_that_overflow(ks_store *store) {
    size_t lengths[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX, (size_t)UINT32_MAX + 2, 65536 + 1};
    size_t count;
    bool exists;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        CHECK(ks_set(store, "k", lengths[i], "v", 1) == KS_INVALID_ARGUMENT);
        CHECK(ks_exists(store, "k", lengths[i], &exists) == KS_INVALID_ARGUMENT && !exists);
        CHECK(ks_delete(store, "k", lengths[i]) == KS_INVALID_ARGUMENT);
        if (lengths[i] > UINT32_MAX) {
            CHECK(ks_update(store, "k", 1, answer_too_long, &lengths[i]) == KS_INVALID_ARGUMENT);
            CHECK(ks_set(store, "k", 1, "v", lengths[i]) == KS_INVALID_ARGUMENT);
            CHECK(ks_insert(store, "k", 1, "v", lengths[i]) == KS_INVALID_ARGUMENT);
            CHECK(ks_compare_exchange(store, "k", 1, NULL, 0, "v", lengths[i], &exists, NULL, NULL) ==
                  KS_INVALID_ARGUMENT);
        }
    }
    CHECK(ks_count(store, &count) == KS_OK && count == 0);
}

/* Calls every function with a handle that is not open. */
static void refuse_handle(ks_store *store) {
    char buffer[8];
    size_t n;
    void *value;
    bool b;
    ks_stats stats;
    ks_counters counters;
    uint64_t cursor = 5;
    ks_bytes key = {"k", 1};
    ks_value copy;
    CHECK(ks_set(store, "k", 1, "v", 1) == KS_NOT_INITIALISED);
    CHECK(ks_insert(store, "k", 1, "v", 1) == KS_NOT_INITIALISED);
    CHECK(ks_get(store, "k", 1, buffer, sizeof buffer, &n) == KS_NOT_INITIALISED);
    CHECK(ks_get_owned(store, "k", 1, &value, &n) == KS_NOT_INITIALISED && value == NULL);
    CHECK(ks_take(store, "k", 1, &value, &n) == KS_NOT_INITIALISED && value == NULL);
    CHECK(ks_read(store, "k", 1, nothing_kept, NULL) == KS_NOT_INITIALISED);
    CHECK(ks_update(store, "k", 1, no_update, NULL) == KS_NOT_INITIALISED);
    CHECK(ks_compare_exchange(store, "k", 1, "v", 1, "w", 1, &b, NULL, NULL) == KS_NOT_INITIALISED);
    CHECK(ks_delete(store, "k", 1) == KS_NOT_INITIALISED);
    CHECK(ks_exists(store, "k", 1, &b) == KS_NOT_INITIALISED && !b);
    CHECK(ks_count(store, &n) == KS_NOT_INITIALISED && n == 0);
    CHECK(ks_clear(store) == KS_NOT_INITIALISED);
    CHECK(ks_reserve(store, 1) == KS_NOT_INITIALISED);
    CHECK(ks_shrink(store) == KS_NOT_INITIALISED);
    CHECK(ks_for_each(store, no_entry, NULL) == KS_NOT_INITIALISED);
    CHECK(ks_scan(store, &cursor, 1, no_slice, NULL) == KS_NOT_INITIALISED && cursor == 5);
    CHECK(ks_read_many(store, &key, 1, no_batch, NULL) == KS_NOT_INITIALISED);
    CHECK(ks_get_many(store, &key, 1, &copy) == KS_NOT_INITIALISED && copy.data == NULL);
    CHECK(ks_set_many(store, &key, &key, 1, &n) == KS_NOT_INITIALISED);
    CHECK(ks_delete_many(store, &key, 1, &n) == KS_NOT_INITIALISED);
    CHECK(ks_store_stats(store, &stats, sizeof stats + 1) == KS_INVALID_ARGUMENT);
    CHECK(ks_store_stats(store, &stats, sizeof stats) == KS_NOT_INITIALISED);
    CHECK(ks_store_counters(store, &counters, sizeof counters) == KS_NOT_INITIALISED);
    CHECK(ks_close(store) == KS_NOT_INITIALISED);
}

static void handles_that_are_not_open(void) {
    int local = 0;
    ks_store *closed = open_store(KS_BACKEND_EPOCH, KS_POOL_SLAB);
    CHECK(ks_close(closed) == KS_OK);
    refuse_handle(closed);
    CHECK_MESSAGE("was closed");
    /* A store that is opened later does not make the old handle valid again. */
    ks_store *next = open_store(KS_BACKEND_EPOCH, KS_POOL_SLAB);
    refuse_handle(closed);
    CHECK(ks_close(next) == KS_OK);
    refuse_handle(NULL);
    CHECK_MESSAGE("store is NULL");
    refuse_handle((ks_store *)&local);
    refuse_handle((ks_store *)UINTPTR_MAX);
    refuse_handle((ks_store *)1);
}

static void nulls(ks_store *store) {
    char buffer[8];
    size_t n;
    void *value;
    bool b;
    uint64_t cursor = 0;
    ks_bytes key = {NULL, 3};
    ks_value copy;
    CHECK(ks_set(store, NULL, 3, "v", 1) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("key is NULL");
    CHECK(ks_set(store, NULL, 0, "v", 1) == KS_INVALID_ARGUMENT);
    CHECK(ks_set(store, "k", 1, NULL, 1) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("value is NULL");
    CHECK(ks_insert(store, NULL, 3, "v", 1) == KS_INVALID_ARGUMENT);
    CHECK(ks_insert(store, "k", 1, NULL, 1) == KS_INVALID_ARGUMENT);
    CHECK(ks_get(store, NULL, 3, buffer, sizeof buffer, &n) == KS_INVALID_ARGUMENT);
    CHECK(ks_get(store, "k", 1, NULL, 8, &n) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("buffer is NULL");
    CHECK(ks_get(store, "k", 1, buffer, sizeof buffer, NULL) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("value_len is NULL");
    CHECK(ks_get_owned(store, NULL, 3, &value, &n) == KS_INVALID_ARGUMENT);
    CHECK(ks_get_owned(store, "k", 1, NULL, &n) == KS_INVALID_ARGUMENT);
    CHECK(ks_get_owned(store, "k", 1, &value, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_take(store, "k", 1, NULL, &n) == KS_INVALID_ARGUMENT);
    CHECK(ks_read(store, "k", 1, NULL, NULL) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("visit is NULL");
    CHECK(ks_update(store, "k", 1, NULL, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_compare_exchange(store, "k", 1, NULL, 0, NULL, 0, NULL, NULL, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_compare_exchange(store, "k", 1, NULL, 0, NULL, 0, &b, &value, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_compare_exchange(store, "k", 1, NULL, 3, NULL, 0, &b, NULL, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_delete(store, NULL, 3) == KS_INVALID_ARGUMENT);
    CHECK(ks_exists(store, NULL, 3, &b) == KS_INVALID_ARGUMENT && !b);
    CHECK(ks_exists(store, "k", 1, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_count(store, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_for_each(store, NULL, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_scan(store, NULL, 1, no_slice, NULL) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("cursor is NULL");
    CHECK(ks_scan(store, &cursor, 1, NULL, NULL) == KS_INVALID_ARGUMENT && cursor == 0);
    CHECK(ks_read_many(store, &key, 1, NULL, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_read_many(store, &key, 1, no_batch, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_read_many(store, NULL, 1, no_batch, NULL) == KS_INVALID_ARGUMENT);
    CHECK_MESSAGE("keys is NULL");
    CHECK(ks_get_many(store, NULL, 1, &copy) == KS_INVALID_ARGUMENT);
    CHECK(ks_get_many(store, &key, 1, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_set_many(store, &key, NULL, 1, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_delete_many(store, NULL, 1, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_delete_many(store, &key, SIZE_MAX, NULL) == KS_INVALID_ARGUMENT);
    CHECK(ks_count(store, &n) == KS_OK && n == 0);
    ks_free(NULL);
}

static void memory_limit(void) {
    static char value[1000];
    size_t set = 0, count;
    int status;
    ks_options options = defaults();
    ks_store *store;
    options.memory_limit = 10000;
    CHECK(ks_open(&options, &store) == KS_OK);
    while ((status = ks_set(store, &set, sizeof set, value, sizeof value)) == KS_OK && set < 100)
        set++;
    CHECK(status == KS_OUT_OF_MEMORY && set >= 5 && set < 10);
    CHECK_MESSAGE("memory limit of 10000 bytes");
    CHECK(ks_count(store, &count) == KS_OK && count == set);
    CHECK(ks_clear(store) == KS_OK && ks_set(store, "k", 1, value, sizeof value) == KS_OK);
    CHECK(ks_close(store) == KS_OK);
}

static void texts(void) {
    int codes[] = {0,   -1,  -10, -11, -12, -20, -21, -30, -31, -40, -41, -42, -43,
                   -44, -45, -46, -47, -48, -50, -51, -52, -60, -61, -70, -71};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        CHECK(strcmp(ks_strerror(codes[i]), "unknown status code") != 0);
    CHECK(strcmp(ks_strerror(KS_KEY_NOT_FOUND), "key not found") == 0);
    CHECK(strcmp(ks_strerror(1), "unknown status code") == 0);
    CHECK(strcmp(ks_strerror(-1000), "unknown status code") == 0);
    CHECK(strcmp(ks_version(), KEYSTORE_VERSION) == 0);
}

int main(void) {
    CHECK(strcmp(ks_last_error_message(), "") == 0);
    wrong_options();
    sizes_of_options();
    handles_that_are_not_open();
    on_every_store(nulls);
    on_every_store(counts_that_overflow);
    on_every_store(lengths_that_overflow);
    memory_limit();
    texts();
    return 0;
}
