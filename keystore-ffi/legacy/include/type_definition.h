/* The types of key_store.h, for programs that were written for the C predecessor of keystore. */

#ifndef TYPE_DEFINITION_H
#define TYPE_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef _WIN32
/* The headers do not need it, but programs may rely on it. */
#include <pthread.h>
#endif

/* A value. The caller owns what it passes to set_key, and frees what get_key fills in. */
typedef struct {
    unsigned char *data; /* The first byte. */
    size_t data_size;    /* Number of bytes; at least 1 for set_key. */
} key_store_value;

/* Times, in seconds since the Unix epoch. */
typedef struct {
    size_t init_timestamp;         /* Time when the store was initialised. */
    size_t last_cleanup_timestamp; /* Time of the last clean-up in this process; 0 for never. */
} metadata_stats;

/* Numbers of keys, and their distribution over the buckets. */
typedef struct {
    unsigned int total_keys;                  /* Number of keys in the store. */
    unsigned int total_buckets;               /* Number of buckets now; the store grows. */
    unsigned int nonempty_buckets;            /* Buckets that hold a key. */
    unsigned int empty_buckets;               /* Buckets that hold no key. */
    unsigned int max_keys_in_bucket;          /* Largest number of keys in one bucket. */
    unsigned int min_keys_in_bucket;          /* Smallest number of keys in one bucket. */
    double avg_keys_per_nonempty_bucket;      /* Mean number of keys in nonempty buckets. */
    double stddev_keys_per_bucket;            /* Standard deviation over all buckets. */
    double median_keys_per_bucket;            /* Median over all buckets. */
    double avg_collisions_per_nonempty_bucket; /* Mean number of keys after the first. */
    double empty_bucket_percent;              /* Empty buckets as a percentage of all. */
} key_entry_stats;

/* Collisions: each key of a bucket after its first is one. */
typedef struct {
    unsigned int collision_buckets;            /* Buckets with two or more keys. */
    double collision_percent;                  /* These buckets as a percentage of all. */
    unsigned int highest_collision_in_bucket;  /* Largest number of collisions in one bucket. */
    double avg_collisions_per_nonempty_bucket; /* Mean number in nonempty buckets. */
} key_collision_stats;

/* Memory of the pool that holds keys and values. */
typedef struct {
    size_t total_memory_bytes;         /* Bytes that the pool holds of the system's memory. */
    size_t used_memory_bytes;          /* Bytes of them requested for keys and values. */
    size_t free_memory_bytes;          /* Bytes of them that are not used. */
    double memory_utilization_percent; /* Used bytes as a percentage of the total. */
    size_t memory_per_key_bytes;       /* Used bytes per key, rounded down; 0 without keys. */
    double fragmentation_percent;      /* Free bytes as a percentage of the total. */
} memory_pool_stats;

/* Counts of calls. error_code_counters[n] counts the calls that returned -n. */
typedef struct {
    unsigned long total_add_ops;     /* Calls of set_key. */
    unsigned long total_find_ops;    /* Calls of get_key. */
    unsigned long total_delete_ops;  /* Calls of delete_key. */
    unsigned long failed_add_ops;    /* Calls of set_key that did not return 0. */
    unsigned long failed_find_ops;   /* The same for get_key; an absent key counts. */
    unsigned long failed_delete_ops; /* The same for delete_key; an absent key counts. */
    unsigned long error_code_counters[100];
} bucket_operation_counter_stats;

/*
 * Effects of the calls on keys and values. The failed ones do not include calls that ended early
 * because of a wrong argument or an absent key.
 */
typedef struct {
    unsigned long total_update_ops;  /* Values that were replaced. */
    unsigned long total_read_ops;    /* Values that were read. */
    unsigned long total_delete_ops;  /* Keys that were removed. */
    unsigned long total_create_ops;  /* Keys that were created. */
    unsigned long failed_update_ops; /* Always 0: a set_key that fails counts as a failed create. */
    unsigned long failed_read_ops;   /* Values that could not be copied. */
    unsigned long failed_delete_ops; /* Keys that could not be removed. */
    unsigned long failed_create_ops; /* Calls of set_key without memory or with a long value. */
    unsigned long error_code_counters[100];
} data_node_operation_counters;

/* All statistics. They are exact if no other thread is inside a call. */
typedef struct {
    metadata_stats metadata;
    key_entry_stats key_entries;
    key_collision_stats collisions;
    memory_pool_stats memory_pool;
    bucket_operation_counter_stats operation_counters;
    data_node_operation_counters data_node_counters;
} keystore_stats;

#endif
