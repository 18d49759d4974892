/* The C half of the comparison: loops as a C program has them. See main.rs. */

#include <keystore.h>

#include <stdint.h>

/* Keys of 16 bytes, one after another; values of 64. */
enum { KEY = 16, VALUE = 64, BATCH = 32 };

/* Gets `count` keys one by one into a buffer: the sum of the first bytes, so that nothing is left out. */
uint64_t get_each(ks_store *store, const unsigned char *keys, size_t count) {
    unsigned char value[VALUE];
    size_t length;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        if (ks_get(store, keys + i * KEY, KEY, value, sizeof value, &length) == KS_OK)
            sum += value[0] + length;
    return sum;
}

static void add_up(void *context, size_t index, const void *value, size_t length) {
    (void)index;
    if (value != NULL)
        *(uint64_t *)context += *(const unsigned char *)value + length;
}

/* Reads `count` keys in batches. */
uint64_t read_batches(ks_store *store, const unsigned char *keys, size_t count) {
    ks_bytes batch[BATCH];
    uint64_t sum = 0;
    for (size_t first = 0; first + BATCH <= count; first += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            batch[i].data = keys + (first + i) * KEY;
            batch[i].len = KEY;
        }
        if (ks_read_many(store, batch, BATCH, add_up, &sum) != KS_OK)
            return 0;
    }
    return sum;
}

/* Gets `count` keys in batches, each value as memory of its own. */
uint64_t get_batches(ks_store *store, const unsigned char *keys, size_t count) {
    ks_bytes batch[BATCH];
    ks_value values[BATCH];
    uint64_t sum = 0;
    for (size_t first = 0; first + BATCH <= count; first += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            batch[i].data = keys + (first + i) * KEY;
            batch[i].len = KEY;
        }
        if (ks_get_many(store, batch, BATCH, values) != KS_OK)
            return 0;
        for (size_t i = 0; i < BATCH; i++)
            if (values[i].data != NULL) {
                sum += *(unsigned char *)values[i].data + values[i].len;
                ks_free(values[i].data);
            }
    }
    return sum;
}

/* Sets `count` keys in batches, all to one value: how many were new. */
uint64_t set_batches(ks_store *store, const unsigned char *keys, size_t count) {
    static const unsigned char value[VALUE];
    ks_bytes batch[BATCH], values[BATCH];
    uint64_t sum = 0;
    for (size_t first = 0; first + BATCH <= count; first += BATCH) {
        size_t created;
        for (size_t i = 0; i < BATCH; i++) {
            batch[i].data = keys + (first + i) * KEY;
            batch[i].len = KEY;
            values[i].data = value;
            values[i].len = VALUE;
        }
        if (ks_set_many(store, batch, values, BATCH, &created) != KS_OK)
            return 0;
        sum += created + BATCH;
    }
    return sum;
}

/* A store with room for `count` keys: NULL where there is none. */
ks_store *open_with_room(ks_backend backend, size_t count) {
    ks_options options;
    ks_store *store;
    if (ks_options_init(&options, sizeof options) != KS_OK)
        return NULL;
    options.backend = backend;
    if (ks_open(&options, &store) != KS_OK)
        return NULL;
    if (ks_reserve(store, count) != KS_OK)
        return NULL;
    return store;
}
