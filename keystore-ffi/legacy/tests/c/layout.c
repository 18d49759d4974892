/*
 * Prints the size of every struct and the offset of every field, for a comparison with the structs
 * of the library.
 */

#include "check.h"

#define SIZE(type) printf(#type " %zu\n", sizeof(type))
#define FIELD(type, field) printf(#type "." #field " %zu\n", offsetof(type, field))

int main(void) {
    SIZE(key_store_value);
    FIELD(key_store_value, data);
    FIELD(key_store_value, data_size);
    SIZE(metadata_stats);
    FIELD(metadata_stats, init_timestamp);
    FIELD(metadata_stats, last_cleanup_timestamp);
    SIZE(key_entry_stats);
    FIELD(key_entry_stats, total_keys);
    FIELD(key_entry_stats, total_buckets);
    FIELD(key_entry_stats, nonempty_buckets);
    FIELD(key_entry_stats, empty_buckets);
    FIELD(key_entry_stats, max_keys_in_bucket);
    FIELD(key_entry_stats, min_keys_in_bucket);
    FIELD(key_entry_stats, avg_keys_per_nonempty_bucket);
    FIELD(key_entry_stats, stddev_keys_per_bucket);
    FIELD(key_entry_stats, median_keys_per_bucket);
    FIELD(key_entry_stats, avg_collisions_per_nonempty_bucket);
    FIELD(key_entry_stats, empty_bucket_percent);
    SIZE(key_collision_stats);
    FIELD(key_collision_stats, collision_buckets);
    FIELD(key_collision_stats, collision_percent);
    FIELD(key_collision_stats, highest_collision_in_bucket);
    FIELD(key_collision_stats, avg_collisions_per_nonempty_bucket);
    SIZE(memory_pool_stats);
    FIELD(memory_pool_stats, total_memory_bytes);
    FIELD(memory_pool_stats, used_memory_bytes);
    FIELD(memory_pool_stats, free_memory_bytes);
    FIELD(memory_pool_stats, memory_utilization_percent);
    FIELD(memory_pool_stats, memory_per_key_bytes);
    FIELD(memory_pool_stats, fragmentation_percent);
    SIZE(bucket_operation_counter_stats);
    FIELD(bucket_operation_counter_stats, total_add_ops);
    FIELD(bucket_operation_counter_stats, total_find_ops);
    FIELD(bucket_operation_counter_stats, total_delete_ops);
    FIELD(bucket_operation_counter_stats, failed_add_ops);
    FIELD(bucket_operation_counter_stats, failed_find_ops);
    FIELD(bucket_operation_counter_stats, failed_delete_ops);
    FIELD(bucket_operation_counter_stats, error_code_counters);
    SIZE(data_node_operation_counters);
    FIELD(data_node_operation_counters, total_update_ops);
    FIELD(data_node_operation_counters, total_read_ops);
    FIELD(data_node_operation_counters, total_delete_ops);
    FIELD(data_node_operation_counters, total_create_ops);
    FIELD(data_node_operation_counters, failed_update_ops);
    FIELD(data_node_operation_counters, failed_read_ops);
    FIELD(data_node_operation_counters, failed_delete_ops);
    FIELD(data_node_operation_counters, failed_create_ops);
    FIELD(data_node_operation_counters, error_code_counters);
    SIZE(keystore_stats);
    FIELD(keystore_stats, metadata);
    FIELD(keystore_stats, key_entries);
    FIELD(keystore_stats, collisions);
    FIELD(keystore_stats, memory_pool);
    FIELD(keystore_stats, operation_counters);
    FIELD(keystore_stats, data_node_counters);
    return 0;
}
