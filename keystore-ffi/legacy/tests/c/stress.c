/*
 * The predecessor's stress test, rewritten: 1,000 threads, each of which sets 1,000 keys that only
 * it uses, and then gets them. No key may be missing, and the statistics must be exact. Otherwise
 * the program returns 1.
 *
 *     stress [threads [keys]]
 */

#include "check.h"
#include <time.h>

static size_t threads = 1000, keys = 1000;

/* A thread's number and the errors that it counted. */
struct worker {
    pthread_t thread;
    size_t number, failed, missing, wrong;
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Writes `prefix` and the number of a key as text, without the cost of snprintf. */
static void name(char *out, const char *prefix, size_t thread, size_t number) {
    char digits[20];
    int length = 0;
    for (; *prefix != '\0'; prefix++)
        *out++ = *prefix;
    number += thread * keys;
    do
        digits[length++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (length > 0)
        *out++ = digits[--length];
    *out = '\0';
}

static void *work(void *context) {
    struct worker *worker = context;
    char key[32], text[32];
    key_store_value value;
    for (size_t i = 0; i < keys; i++) {
        name(key, "key_", worker->number, i);
        name(text, "value_", worker->number, i);
        value.data = (unsigned char *)text;
        value.data_size = strlen(text) + 1;
        worker->failed += set_key(key, &value) != 0;
    }
    for (size_t i = 0; i < keys; i++) {
        name(key, "key_", worker->number, i);
        name(text, "value_", worker->number, i);
        if (get_key(key, &value) != 0) {
            worker->missing++;
            continue;
        }
        worker->wrong += value.data_size != strlen(text) + 1 || strcmp((char *)value.data, text) != 0;
        free(value.data);
    }
    return NULL;
}

int main(int count, char **arguments) {
    size_t started = 0, failed = 0, missing = 0, wrong = 0, total;
    struct worker *workers;
    keystore_stats stats;
    double begin, elapsed;

    if (count > 1)
        threads = strtoul(arguments[1], NULL, 10);
    if (count > 2)
        keys = strtoul(arguments[2], NULL, 10);
    total = threads * keys;
    workers = calloc(threads, sizeof *workers);
    CHECK(workers != NULL && initialise_key_store(1024, 0.5, true) == 0);

    begin = seconds();
    for (; started < threads; started++) {
        workers[started].number = started;
        CHECK(pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0);
    }
    for (size_t i = 0; i < threads; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        failed += workers[i].failed;
        missing += workers[i].missing;
        wrong += workers[i].wrong;
    }
    elapsed = seconds() - begin;
    free(workers);

    stats = get_keystore_stats();
    printf("threads %zu, keys of each %zu\n", threads, keys);
    printf("set and not stored %zu, missing %zu, wrong %zu\n", failed, missing, wrong);
    printf("keys %u, buckets %u, of them empty %.1f %%, the fullest with %u keys\n", stats.key_entries.total_keys,
           stats.key_entries.total_buckets, stats.key_entries.empty_bucket_percent,
           stats.key_entries.max_keys_in_bucket);
    printf("memory %zu bytes, %.1f %% of it used, %zu bytes a key\n", stats.memory_pool.total_memory_bytes,
           stats.memory_pool.memory_utilization_percent, stats.memory_pool.memory_per_key_bytes);
    printf("adds %lu, of them failed %lu; finds %lu, of them failed %lu\n", stats.operation_counters.total_add_ops,
           stats.operation_counters.failed_add_ops, stats.operation_counters.total_find_ops,
           stats.operation_counters.failed_find_ops);
    printf("created %lu, updated %lu, read %lu\n", stats.data_node_counters.total_create_ops,
           stats.data_node_counters.total_update_ops, stats.data_node_counters.total_read_ops);
    printf("%.3f s, %.2f million operations a second\n", elapsed, (double)(2 * total) / elapsed / 1e6);

    CHECK(failed == 0 && missing == 0 && wrong == 0);
    CHECK(stats.key_entries.total_keys == total);
    CHECK(stats.operation_counters.total_add_ops == total && stats.operation_counters.failed_add_ops == 0);
    CHECK(stats.operation_counters.total_find_ops == total && stats.operation_counters.failed_find_ops == 0);
    CHECK(stats.data_node_counters.total_create_ops == total && stats.data_node_counters.total_update_ops == 0);
    CHECK(stats.data_node_counters.total_read_ops == total && cleanup_key_store() == 0);
    return 0;
}
