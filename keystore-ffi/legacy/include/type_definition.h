/*
 * The types of key_store.h, as programs written for the C predecessor of keystore know them.
 */

#ifndef TYPE_DEFINITION_H
#define TYPE_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef _WIN32
/* Nothing here needs it; programs may rely on its being included. */
#include <pthread.h>
#endif

/*
 * A value. What set_key is given stays the caller's; what get_key fills in is the caller's to
 * free.
 */
typedef struct {
    unsigned char *data; /* The first byte. */
    size_t data_size;    /* How many bytes; at least 1 for set_key. */
} key_store_value;

/* Times, in seconds since the Unix epoch. */
typedef struct {
    size_t init_timestamp;         /* When the store was initialised. */
    size_t last_cleanup_timestamp; /* When the process last cleaned a store up; 0 for never. */
} metadata_stats;

/* Keys, and how they lie in the buckets. */
typedef struct {
    unsigned int total_keys;                  /* Keys in the store. */
    unsigned int total_buckets;               /* Buckets now: the store grows. */
    unsigned int nonempty_buckets;            /* Buckets that hold a key. */
    unsigned int empty_buckets;               /* Buckets that hold none. */
    unsigned int max_keys_in_bucket;          /* The most keys in one bucket. */
    unsigned int min_keys_in_bucket;          /* The fewest keys in one bucket. */
    double avg_keys_per_nonempty_bucket;      /* Keys to a bucket that holds any. */
    double stddev_keys_per_bucket;            /* Standard deviation over all buckets. */
    double median_keys_per_bucket;            /* Median over all buckets. */
    double avg_collisions_per_nonempty_bucket; /* Keys past the first of a bucket. */
    double empty_bucket_percent;              /* Empty buckets in percent of all. */
} key_entry_stats;

/* Buckets that hold more than one key: each key past a bucket's first is a collision. */
typedef struct {
    unsigned int collision_buckets;            /* Buckets with two keys or more. */
    double collision_percent;                  /* Those in percent of all buckets. */
    unsigned int highest_collision_in_bucket;  /* The most collisions in one bucket. */
    double avg_collisions_per_nonempty_bucket; /* Collisions to a bucket that holds any key. */
} key_collision_stats;

/* The pool that keys and values lie in. */
typedef struct {
    size_t total_memory_bytes;         /* Bytes that the pool holds of the system's memory. */
    size_t used_memory_bytes;          /* Bytes of them that keys and values asked for. */
    size_t free_memory_bytes;          /* The rest. */
    double memory_utilization_percent; /* Used bytes in percent of the total. */
    size_t memory_per_key_bytes;       /* Used bytes to a key, rounded down; 0 without keys. */
    double fragmentation_percent;      /* Free bytes in percent of the total. */
} memory_pool_stats;

/* Calls. error_code_counters[n] counts the calls that returned -n. */
typedef struct {
    unsigned long total_add_ops;     /* set_key. */
    unsigned long total_find_ops;    /* get_key. */
    unsigned long total_delete_ops;  /* delete_key. */
    unsigned long failed_add_ops;    /* Those that did not return 0. */
    unsigned long failed_find_ops;   /* As before; a key that is not there is one. */
    unsigned long failed_delete_ops; /* As before. */
    unsigned long error_code_counters[100];
} bucket_operation_counter_stats;

/*
 * What calls did to keys and values. Failed are calls that a wrong argument or an absent key did
 * not end before.
 */
typedef struct {
    unsigned long total_update_ops;  /* Values that were replaced. */
    unsigned long total_read_ops;    /* Values that were read. */
    unsigned long total_delete_ops;  /* Keys that were removed. */
    unsigned long total_create_ops;  /* Keys that came into being. */
    unsigned long failed_update_ops; /* Always 0: a set_key that fails counts as a failed create. */
    unsigned long failed_read_ops;   /* Values that could not be copied. */
    unsigned long failed_delete_ops; /* Keys that could not be removed. */
    unsigned long failed_create_ops; /* set_key without memory or with a long value. */
    unsigned long error_code_counters[100];
} data_node_operation_counters;

/* All of it. Exact while no other thread is inside a call. */
typedef struct {
    metadata_stats metadata;
    key_entry_stats key_entries;
    key_collision_stats collisions;
    memory_pool_stats memory_pool;
    bucket_operation_counter_stats operation_counters;
    data_node_operation_counters data_node_counters;
} keystore_stats;

#endif
