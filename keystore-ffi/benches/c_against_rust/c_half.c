/*
 * The C half of the comparison: the loops as a C program writes them. See main.rs.
 *
 *     c_half BACKEND KEYS OPERATIONS
 *
 * Each line of the input names a loop. The program runs the loop once, and prints the nanoseconds
 * that it took and a sum over the values that it read. The sum keeps the compiler from removing the
 * loop, and shows that both halves do the same work.
 */

#include <keystore.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Length of keys and values in bytes, and number of keys in a batch. */
enum { KEY = 16, VALUE = 64, BATCH = 32 };

static ks_store *store;

static void write_key(unsigned char *key, uint64_t number) {
    number *= 0x9e3779b97f4a7c15;
    memcpy(key, "key-0000", 8);
    for (int i = 0; i < 8; i++)
        key[8 + i] = (unsigned char)(number >> (56 - 8 * i));
}

/* Gets the keys one by one into a buffer. */
static uint64_t get(const unsigned char *keys, size_t count) {
    unsigned char value[VALUE];
    size_t length;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        if (ks_get(store, keys + i * KEY, KEY, value, sizeof value, &length) == KS_OK)
            sum += value[0] + length;
    return sum;
}

static void fill(ks_bytes batch[BATCH], const unsigned char *keys) {
    for (size_t i = 0; i < BATCH; i++) {
        batch[i].data = keys + i * KEY;
        batch[i].len = KEY;
    }
}

static void add_up(void *context, size_t index, const void *value, size_t length) {
    (void)index;
    if (value != NULL)
        *(uint64_t *)context += *(const unsigned char *)value + length;
}

/* Reads the keys in batches, in place. */
static uint64_t read_many(const unsigned char *keys, size_t count) {
    ks_bytes batch[BATCH];
    uint64_t sum = 0;
    for (size_t first = 0; first < count; first += BATCH) {
        fill(batch, keys + first * KEY);
        if (ks_read_many(store, batch, BATCH, add_up, &sum) != KS_OK)
            return 0;
    }
    return sum;
}

/* Gets the keys in batches, each value as a copy. */
static uint64_t get_many(const unsigned char *keys, size_t count) {
    ks_bytes batch[BATCH];
    ks_value values[BATCH];
    uint64_t sum = 0;
    for (size_t first = 0; first < count; first += BATCH) {
        fill(batch, keys + first * KEY);
        if (ks_get_many(store, batch, BATCH, values) != KS_OK)
            return 0;
        for (size_t i = 0; i < BATCH; i++) {
            sum += *(unsigned char *)values[i].data + values[i].len;
            ks_free(values[i].data);
        }
    }
    return sum;
}

/* Sets the keys in batches, all to one value. */
static uint64_t set_many(const unsigned char *keys, size_t count) {
    static const unsigned char value[VALUE] = {7};
    ks_bytes batch[BATCH], values[BATCH];
    uint64_t sum = 0;
    for (size_t i = 0; i < BATCH; i++) {
        values[i].data = value;
        values[i].len = VALUE;
    }
    for (size_t first = 0; first < count; first += BATCH) {
        size_t created;
        fill(batch, keys + first * KEY);
        if (ks_set_many(store, batch, values, BATCH, &created) != KS_OK)
            return 0;
        sum += created + BATCH;
    }
    return sum;
}

static uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        uint64_t (*run)(const unsigned char *, size_t);
    } loops[] = {{"get", get}, {"read_many", read_many}, {"get_many", get_many}, {"set_many", set_many}};
    size_t count, operations;
    unsigned char *all, *drawn;
    uint64_t random = 42;
    ks_options options;
    char line[32];

    if (argc != 4 || ks_options_init(&options, sizeof options) != KS_OK)
        return 2;
    options.backend = atoi(argv[1]);
    count = strtoul(argv[2], NULL, 10);
    operations = strtoul(argv[3], NULL, 10);
    all = malloc(count * KEY);
    drawn = malloc(operations * KEY);
    if (all == NULL || drawn == NULL || ks_open(&options, &store) != KS_OK || ks_reserve(store, count) != KS_OK)
        return 1;
    for (size_t i = 0; i < count; i++)
        write_key(all + i * KEY, i);
    for (size_t i = 0; i < operations; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        write_key(drawn + i * KEY, (random >> 33) % count);
    }
    if (set_many(all, count) == 0)
        return 1;

    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
            if (strcmp(line, loops[i].name) == 0) {
                uint64_t started = nanoseconds(), sum = loops[i].run(drawn, operations);
                printf("%llu %llu\n", (unsigned long long)(nanoseconds() - started), (unsigned long long)sum);
                fflush(stdout);
            }
    }
    free(all);
    free(drawn);
    return ks_close(store);
}
