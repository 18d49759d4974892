/*
 * Tests every call as a program written for the predecessor makes it: codes, ownership and
 * statistics, in both concurrency modes.
 */

#include "check.h"

static void wrong_arguments(void) {
    unsigned char byte = 'b';
    key_store_value value = {&byte, 1}, no_data = {NULL, 1}, no_size = {&byte, 0}, out = {&byte, 7};
    static char long_key[70000];

    memset(long_key, 'k', sizeof long_key - 1);
    CHECK(set_key(NULL, &value) == -20);
    CHECK(set_key("", &value) == -20);
    CHECK(set_key(long_key, &value) == -20);
    CHECK(set_key("k", NULL) == -20);
    CHECK(set_key("k", &no_data) == -20);
    CHECK(set_key("k", &no_size) == -20);
    CHECK(get_key(NULL, &out) == -20 && out.data == NULL && out.data_size == 0);
    CHECK(get_key("", &out) == -20);
    CHECK(get_key("k", NULL) == -20);
    CHECK(delete_key(NULL) == -20);
    CHECK(delete_key("") == -20);
    out.data = &byte;
    CHECK(get_key("k", &out) == -41 && out.data == NULL && out.data_size == 0);
    CHECK(delete_key("k") == -41);
}

static void values(void) {
    unsigned char bytes[] = {0, 255, 0, 1};
    key_store_value value = {bytes, sizeof bytes}, first, second;
    size_t size = 3 << 20;

    CHECK(set_text("fruit", "apple") == 0 && has_text("fruit", "apple"));
    CHECK(set_text("fruit", "a much longer value than the one before") == 0);
    CHECK(has_text("fruit", "a much longer value than the one before"));
    CHECK(set_text("fruit", "fig") == 0 && has_text("fruit", "fig"));

    /* A value may have any bytes. Each get returns a separate copy, which outlives the key. */
    CHECK(set_key("bytes", &value) == 0);
    CHECK(get_key("bytes", &first) == 0 && get_key("bytes", &second) == 0 && first.data != second.data);
    CHECK(delete_key("bytes") == 0 && get_key("bytes", &value) == -41);
    CHECK(first.data_size == 4 && memcmp(first.data, bytes, 4) == 0);
    CHECK(second.data_size == 4 && memcmp(second.data, bytes, 4) == 0);
    free(first.data);
    free(second.data);

    value.data = calloc(size, 1);
    value.data_size = size;
    CHECK(value.data != NULL && set_key("large", &value) == 0);
    free(value.data);
    CHECK(get_key("large", &value) == 0 && value.data_size == size && value.data[size - 1] == 0);
    free(value.data);
    CHECK(delete_key("large") == 0 && delete_key("fruit") == 0);
}

/* Makes known calls on a new store and checks every count. */
static void statistics(bool is_concurrency_enabled) {
    key_store_value none = {NULL, 0};
    keystore_stats stats;
    char key[32];
    unsigned long errors = 0;

    CHECK(initialise_key_store(16, 1.0, is_concurrency_enabled) == 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key %d", i);
        CHECK(set_text(key, "0123456789") == 0);
    }
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "key %d", i);
        CHECK(set_text(key, "other text") == 0 && has_text(key, "other text"));
    }
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "key %d", i);
        CHECK(delete_key(key) == 0);
    }
    CHECK(get_key("absent", &none) == -41 && delete_key("absent") == -41 && delete_key("absent") == -41);
    CHECK(set_key("", &none) == -20 && set_key("k", &none) == -20 && get_key(NULL, &none) == -20);

    stats = get_keystore_stats();
    CHECK(stats.metadata.init_timestamp > 1600000000);
    CHECK(stats.key_entries.total_keys == 900);
    CHECK(stats.key_entries.total_buckets > 16);
    CHECK(stats.key_entries.nonempty_buckets + stats.key_entries.empty_buckets == stats.key_entries.total_buckets);
    CHECK(stats.key_entries.max_keys_in_bucket >= stats.key_entries.min_keys_in_bucket);
    CHECK(stats.key_entries.avg_keys_per_nonempty_bucket >= 1);
    CHECK(stats.collisions.highest_collision_in_bucket == stats.key_entries.max_keys_in_bucket - 1);
    CHECK(stats.collisions.collision_buckets <= stats.key_entries.nonempty_buckets);
    CHECK(stats.memory_pool.used_memory_bytes >= 900 * (strlen("key 100") + 11));
    CHECK(stats.memory_pool.total_memory_bytes ==
          stats.memory_pool.used_memory_bytes + stats.memory_pool.free_memory_bytes);
    CHECK(stats.memory_pool.memory_per_key_bytes == stats.memory_pool.used_memory_bytes / 900);
    CHECK(stats.memory_pool.memory_utilization_percent + stats.memory_pool.fragmentation_percent > 99.9);

    CHECK(stats.operation_counters.total_add_ops == 1302 && stats.operation_counters.failed_add_ops == 2);
    CHECK(stats.operation_counters.total_find_ops == 302 && stats.operation_counters.failed_find_ops == 2);
    CHECK(stats.operation_counters.total_delete_ops == 102 && stats.operation_counters.failed_delete_ops == 2);
    CHECK(stats.operation_counters.error_code_counters[41] == 3);
    CHECK(stats.operation_counters.error_code_counters[20] == 3);
    for (int code = 0; code < 100; code++)
        errors += stats.operation_counters.error_code_counters[code];
    CHECK(errors == 6);
    CHECK(stats.data_node_counters.total_create_ops == 1000 && stats.data_node_counters.total_update_ops == 300);
    CHECK(stats.data_node_counters.total_read_ops == 300 && stats.data_node_counters.total_delete_ops == 100);
    CHECK(stats.data_node_counters.failed_create_ops == 0 && stats.data_node_counters.failed_delete_ops == 0);
    CHECK(cleanup_key_store() == 0);
}

static void not_initialised(void) {
    unsigned char byte = 'b';
    key_store_value value = {&byte, 1};
    keystore_stats stats;

    CHECK(set_key("k", &value) == -40);
    CHECK(get_key("k", &value) == -40 && value.data == NULL);
    CHECK(delete_key("k") == -40);
    CHECK(cleanup_key_store() == -40);
    stats = get_keystore_stats();
    CHECK(stats.key_entries.total_buckets == 0 && stats.operation_counters.total_add_ops == 0);
}

static void configurations(void) {
    double not_a_number = strtod("nan", NULL);
    unsigned int wrong_sizes[] = {0, 3, 1000, 4294967295u};
    double wrong_factors[] = {0, -0.5, 1.01, 0};
    wrong_factors[3] = not_a_number;
    for (int i = 0; i < 4; i++) {
        CHECK(initialise_key_store(wrong_sizes[i], 0.5, true) == -21);
        CHECK(initialise_key_store(1024, wrong_factors[i], true) == -21);
    }
    not_initialised();
}

int main(void) {
    not_initialised();
    configurations();
    for (int mode = 0; mode < 2; mode++) {
        CHECK(initialise_key_store(1024, 0.5, mode) == 0);
        CHECK(set_text("kept", "here") == 0);
        /* Initialising again keeps the store. */
        CHECK(initialise_key_store(16, 1.0, !mode) == 0 && has_text("kept", "here"));
        CHECK(initialise_key_store(3, 5, mode) == 0 && has_text("kept", "here"));
        CHECK(delete_key("kept") == 0);
        wrong_arguments();
        values();
        CHECK(set_text("left", "behind") == 0);
        CHECK(cleanup_key_store() == 0);
        not_initialised();
        CHECK(initialise_key_store(1, 1, mode) == 0 && !has_text("left", "behind"));
        CHECK(get_keystore_stats().metadata.last_cleanup_timestamp > 1600000000);
        CHECK(cleanup_key_store() == 0);
        statistics(mode);
    }
    return 0;
}
