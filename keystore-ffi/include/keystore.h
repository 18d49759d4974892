/*
 * libkeystore: a concurrent, in-process key-value store, byte keys to byte values.
 *
 * Every function that can fail returns a status: KS_OK, or a negative code that ks_strerror names;
 * ks_last_error_message tells the value that was wrong and the limit that it broke. Keys and values
 * are pointer and length, and are copied. A NULL pointer, a closed store or a wrong size is a code,
 * never a crash. docs/c-api.md shows how to start, docs/error-codes.md lists the codes.
 *
 * Any number of threads may call any function but ks_close at once.
 *
 * A signal handler may call NONE of these functions: they take locks and allocate memory, so a call
 * that interrupts another can wait without end or corrupt the store. In a handler set a flag, or
 * write to a pipe, and make the call on an ordinary thread.
 *
 * A callback must return. Never leave it by longjmp, an exception, pthread_exit or cancellation.
 * docs/c-api.md has the rules for fork, the end of threads and dlclose.
 *
 * Each function that uses a store may also return KS_OUT_OF_MEMORY: on the backend epoch, the first
 * call of a thread needs some memory for the thread, whatever it does.
 *
 *     ks_store *store;
 *     char value[64];
 *     size_t length;
 *     if (ks_open(NULL, &store) != KS_OK) return 1;
 *     ks_set(store, "answer", 6, "42", 2);
 *     if (ks_get(store, "answer", 6, value, sizeof value, &length) == KS_OK)
 *         printf("%.*s\n", (int)length, value);
 *     ks_close(store);
 *
 * Made by `cargo xtask header` from the sources of keystore-ffi: change those, not this file.
 */

#ifndef KEYSTORE_H
#define KEYSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Success.
 */
#define KS_OK 0

/**
 * A failure without a code of its own: a bug in the library, caught before it could do harm.
 */
#define KS_GENERAL -1

/**
 * No memory was available, from the system or within the store's memory limit. Nothing has
 * changed.
 */
#define KS_OUT_OF_MEMORY -10

/**
 * An argument is outside its limits, or is NULL but must not be; or a buffer is too small.
 */
#define KS_INVALID_ARGUMENT -20

/**
 * A field of the options is outside its limits.
 */
#define KS_INVALID_CONFIG -21

/**
 * The call is inside a callback and would have to wait for a lock that the callback may hold. Or
 * the call has waited for a lock for as long as ks_options.lock_timeout_ns allows.
 */
#define KS_LOCK_NOT_ACQUIRED -30

/**
 * The store is NULL, closed, or was never opened.
 */
#define KS_NOT_INITIALISED -40

/**
 * The key is not in the store.
 */
#define KS_KEY_NOT_FOUND -41

/**
 * The key is in the store already.
 */
#define KS_KEY_EXISTS -42

/**
 * This store does not support the call.
 */
#define KS_UNSUPPORTED -43

/**
 * Value of ks_options.memory_limit for a store without a limit.
 */
#define KS_NO_MEMORY_LIMIT 0

/**
 * Value of ks_options.lock_timeout_ns for a store whose calls wait for locks without a limit.
 */
#define KS_NO_LOCK_TIMEOUT 0

/**
 * Answer of a ks_update_fn: leaves the key as it is.
 */
#define KS_UPDATE_KEEP 0

/**
 * Answer of a ks_update_fn: gives the key the new value.
 */
#define KS_UPDATE_SET 1

/**
 * Answer of a ks_update_fn: removes the key.
 */
#define KS_UPDATE_DELETE 2

/**
 * An open store. This is a handle, not an address: never dereference it.
 *
 * Any number of stores can be open at once. A store that is not single-threaded may be used by
 * any number of threads at once, in every function but ks_close.
 *
 * A child of fork has a copy of each open store, under the same handle. This holds on Linux with
 * glibc, if at the moment of the fork no thread is inside a call of this library, and no thread
 * that has used it is just ending. See docs/c-api.md.
 */
typedef struct ks_store ks_store;

/**
 * Algorithm of a store: one of KS_BACKEND_…
 */
typedef int32_t ks_backend;

/**
 * Source of the memory of entries: one of KS_POOL_…
 */
typedef int32_t ks_pool;

/**
 * Whether threads may share a store: one of KS_CONCURRENCY_…
 */
typedef int32_t ks_concurrency;

/**
 * The options that a store is opened with. Fill them with ks_options_init, then change the fields
 * that you want different.
 *
 * Later versions add fields at the end. `size` tells the library which fields a program knows.
 */
typedef struct ks_options {
    /**
     * sizeof(ks_options), set by ks_options_init.
     */
    size_t size;
    /**
     * The algorithm: KS_BACKEND_RWLOCK unless changed.
     */
    ks_backend backend;
    /**
     * The source of the memory of entries: KS_POOL_SLAB unless changed.
     */
    ks_pool pool;
    /**
     * Number of buckets at the start: a power of two, 1 to 2^32 (2^24 on 32-bit targets). The
     * store grows from there as entries are added. 256 unless changed.
     */
    size_t initial_buckets;
    /**
     * Nodes that the pool reserves up front, as a fraction of the initial buckets: 0 (none) to 1
     * (one node for each bucket). 0 unless changed.
     */
    double preallocation;
    /**
     * Largest number of bytes that entries may take. A call that would exceed it returns
     * KS_OUT_OF_MEMORY and changes nothing. KS_NO_MEMORY_LIMIT unless changed.
     */
    uint64_t memory_limit;
    /**
     * Whether threads may share the store: KS_CONCURRENCY_MULTI_THREADED unless changed.
     */
    ks_concurrency concurrency;
    /**
     * Whether calls are counted for ks_store_stats: 1 (yes) unless changed, or 0 (no). The number
     * of entries is always counted.
     */
    int32_t counters;
    /**
     * The lock time-out in nanoseconds: how long a call waits for a lock that other threads hold.
     * After that time the call returns KS_LOCK_NOT_ACQUIRED and has done nothing, except that
     * ks_for_each, ks_clear and ks_shrink keep what they did until then. During a resize, a call
     * may wait this long several times. The backend epoch never waits. KS_NO_LOCK_TIMEOUT unless
     * changed.
     */
    uint64_t lock_timeout_ns;
} ks_options;

/**
 * The callback of ks_read, which is shown a value.
 *
 * `value` points to `value_len` bytes that belong to the store: read them, and keep no pointer
 * into them after the callback returns. The callback may call any function of the store except
 * ks_close. A call that would have to wait for a held lock returns KS_LOCK_NOT_ACQUIRED. The
 * callback must return: an exception that leaves it ends the process, and a longjmp out of it is
 * undefined behaviour.
 */
typedef void (*ks_read_fn)(void *context, const void *value, size_t value_len);

/**
 * The callback of ks_for_each, which is shown each entry. It returns 0 to go on to the next entry,
 * or another number to stop.
 *
 * The rules of ks_read_fn apply to the key and to the value.
 */
typedef int (*ks_for_each_fn)(void *context,
                              const void *key,
                              size_t key_len,
                              const void *value,
                              size_t value_len);

/**
 * The callback of ks_scan, which is shown each entry.
 *
 * The rules of ks_read_fn apply to the key and to the value.
 */
typedef void (*ks_scan_fn)(void *context,
                           const void *key,
                           size_t key_len,
                           const void *value,
                           size_t value_len);

/**
 * A byte string: an address and a length. The bytes belong to the program that fills it in.
 */
typedef struct ks_bytes {
    /**
     * The first byte; may be NULL if `len` is 0.
     */
    const void *data;
    /**
     * Number of bytes.
     */
    size_t len;
} ks_bytes;

/**
 * The callback of ks_update, which decides what happens to a key. It returns one of KS_UPDATE_…
 *
 * `old_value` is NULL if the key has no value. Otherwise it points to `old_len` bytes that belong
 * to the store; read them before the callback returns. With KS_UPDATE_SET, the callback writes the
 * new value's address and length to `new_value`. Those bytes stay the caller's. ks_update copies
 * them before it returns, so they must not change until then. If another thread changes the key in
 * the meantime, the callback is called again with the newer value, and only the last answer
 * counts. Otherwise the rules of ks_read_fn apply.
 */
typedef int (*ks_update_fn)(void *context,
                            const void *old_value,
                            size_t old_len,
                            struct ks_bytes *new_value);

/**
 * The callback of ks_read_many, which is shown each value. `index` is the key's position, from 0.
 * `value` is NULL if the key has no value. Otherwise the rules of ks_read_fn apply.
 */
typedef void (*ks_read_many_fn)(void *context, size_t index, const void *value, size_t value_len);

/**
 * A value that the caller owns. Free `data` of each with ks_free.
 */
typedef struct ks_value {
    /**
     * The value, followed by a NUL; NULL if the key has none.
     */
    void *data;
    /**
     * Its length in bytes, without that NUL.
     */
    size_t len;
} ks_value;

/**
 * The statistics of a store, from ks_store_stats. They are exact if no other thread writes during
 * the call.
 *
 * Later versions add fields at the end. That is why ks_store_stats takes the size of the struct.
 */
typedef struct ks_stats {
    /**
     * Time when the store was opened, in seconds since the Unix epoch.
     */
    uint64_t opened_at;
    /**
     * Time when ks_clear or ks_shrink last finished, in seconds since the Unix epoch; 0 for never.
     */
    uint64_t cleaned_up_at;
    /**
     * Number of entries in the store.
     */
    uint64_t entries;
    /**
     * Number of buckets of the table; on the backend dashmap, number of shards.
     */
    uint64_t buckets;
    /**
     * Number of buckets that hold an entry.
     */
    uint64_t nonempty_buckets;
    /**
     * Number of buckets that hold no entry.
     */
    uint64_t empty_buckets;
    /**
     * Largest number of entries in one bucket.
     */
    uint64_t max_in_bucket;
    /**
     * Smallest number of entries in one bucket.
     */
    uint64_t min_in_bucket;
    /**
     * Mean number of entries in the buckets that hold any.
     */
    double mean_per_nonempty_bucket;
    /**
     * Standard deviation of the number of entries in a bucket, over all buckets.
     */
    double stddev_per_bucket;
    /**
     * Median of the number of entries in a bucket, over all buckets.
     */
    double median_per_bucket;
    /**
     * Empty buckets as a percentage of all buckets.
     */
    double empty_bucket_percent;
    /**
     * Number of buckets with two or more entries. Each entry after a bucket's first is a
     * collision.
     */
    uint64_t collision_buckets;
    /**
     * Buckets with two or more entries, as a percentage of all buckets.
     */
    double collision_percent;
    /**
     * Largest number of collisions in one bucket.
     */
    uint64_t max_collisions_in_bucket;
    /**
     * Mean number of collisions in the buckets that hold any entry.
     */
    double mean_collisions_per_nonempty_bucket;
    /**
     * Bytes of live nodes: headers, keys, values and their spare space.
     */
    uint64_t node_bytes;
    /**
     * Bytes of the table.
     */
    uint64_t table_bytes;
    /**
     * Bytes that were removed but may still be read by other threads, and so are not yet freed.
     */
    uint64_t garbage_bytes;
    /**
     * Number of nodes that the pool has handed out and not yet got back.
     */
    uint64_t pool_live_nodes;
    /**
     * Bytes that were requested for those nodes.
     */
    uint64_t pool_live_bytes;
    /**
     * Bytes that the pool holds of the system's memory, in use or not.
     */
    uint64_t pool_held_bytes;
    /**
     * Number of nodes so far that the pool took from the system because its own memory had no
     * room.
     */
    uint64_t pool_fallbacks;
    /**
     * Bytes of those nodes that are still live.
     */
    uint64_t pool_fallback_bytes;
    /**
     * Calls that write; each entry of a batch counts as one. This field and all that follow are 0
     * if ks_options.counters is 0.
     */
    uint64_t adds;
    /**
     * Calls that read.
     */
    uint64_t finds;
    /**
     * Calls that remove, and entries that ks_clear removed.
     */
    uint64_t deletes;
    /**
     * Adds that failed.
     */
    uint64_t failed_adds;
    /**
     * Finds that failed or whose key was absent.
     */
    uint64_t failed_finds;
    /**
     * Deletes that failed or whose key was absent.
     */
    uint64_t failed_deletes;
    /**
     * Entries that were created.
     */
    uint64_t nodes_created;
    /**
     * Values that were replaced.
     */
    uint64_t nodes_updated;
    /**
     * Values that were read.
     */
    uint64_t nodes_read;
    /**
     * Entries that were removed.
     */
    uint64_t nodes_deleted;
    /**
     * Adds that failed while the key was absent, or before the store knew whether it was.
     */
    uint64_t nodes_failed_creates;
    /**
     * Calls that returned an error; an absent key is not an error.
     */
    uint64_t errors;
} ks_stats;

/**
 * The numbers of a store that are cheap to read, from ks_store_counters. A number may be slightly
 * old while other threads write.
 *
 * Later versions add fields at the end. That is why ks_store_counters takes the size of the
 * struct.
 */
typedef struct ks_counters {
    /**
     * Number of entries in the store.
     */
    uint64_t entries;
    /**
     * Number of reads whose key was present. This field, misses, sets, deletes and node_bytes are
     * 0 if ks_options.counters is 0.
     */
    uint64_t hits;
    /**
     * Number of reads whose key was absent.
     */
    uint64_t misses;
    /**
     * Number of calls that write and have not failed; each entry of a batch counts as one.
     */
    uint64_t sets;
    /**
     * Number of entries that were removed.
     */
    uint64_t deletes;
    /**
     * Bytes of live nodes: headers, keys, values and their spare space.
     */
    uint64_t node_bytes;
    /**
     * Bytes that the pool holds of the system's memory, in use or not.
     */
    uint64_t pool_held_bytes;
    /**
     * Bytes that were removed but may still be read by other threads, and so are not yet freed.
     */
    uint64_t garbage_bytes;
    /**
     * Bytes of the table, without overflow buckets.
     */
    uint64_t table_bytes;
    /**
     * 1 if the table is being resized, otherwise 0.
     */
    uint64_t is_resizing;
} ks_counters;

/**
 * A lock in every bucket. Overwrites values in place and frees memory at once. A call inside a
 * callback is refused if it needs a lock that is held. The default.
 */
#define KS_BACKEND_RWLOCK 1

/**
 * Lock-free: readers never wait.
 */
#define KS_BACKEND_EPOCH 2

/**
 * A lock in every shard of a dashmap.
 */
#define KS_BACKEND_DASHMAP 3

/**
 * Fixed size classes, preallocated; freed nodes are reused. The default.
 */
#define KS_POOL_SLAB 1

/**
 * Large chunks that are handed out from front to back. A chunk is reused once all of its nodes are
 * freed.
 */
#define KS_POOL_ARENA 2

/**
 * The system's allocator.
 */
#define KS_POOL_SYSTEM 3

/**
 * Any number of threads may use the store at once. The default.
 */
#define KS_CONCURRENCY_MULTI_THREADED 1

/**
 * Only the thread that opens the store uses it. Every call from another thread is refused with
 * KS_UNSUPPORTED. The backend rwlock then takes no locks.
 */
#define KS_CONCURRENCY_SINGLE_THREADED 2

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns a short text for a status code, and "unknown status code" for any other number.
 *
 * The text is static: never free it. Any thread may call this.
 */
const char *ks_strerror(int status);

/**
 * Returns the message of the last call that failed on this thread: the value that was wrong, and
 * the limit that it broke. It is the empty string if no call has failed yet. A call that succeeds
 * does not change it. UTF-8, at most 511 bytes.
 *
 * The text belongs to the library and to the calling thread: never free it. Copy it if you need it
 * after the thread's next failing call.
 */
const char *ks_last_error_message(void);

/**
 * Returns the version of the running library, for example "0.1.0".
 *
 * The text is static: never free it. Any thread may call this.
 */
const char *ks_version(void);

/**
 * Fills `options` with the defaults.
 *
 * @param options the struct to fill; need not be initialised.
 * @param size sizeof(ks_options). With it, a library that is newer than the program writes only
 * the fields that the program knows.
 * @return KS_OK, or KS_INVALID_ARGUMENT if `options` is NULL or `size` is not a size that
 * ks_options has in some version.
 *
 * # Safety
 * `options` is NULL or has room for `size` bytes. Any thread may call this.
 */
int ks_options_init(struct ks_options *options, size_t size);

/**
 * Opens a store.
 *
 * @param options the options; NULL for the defaults. The library keeps no pointer to them.
 * @param store where the handle goes; close it with ks_close. NULL goes there if the call fails.
 * @return KS_OK; KS_INVALID_CONFIG for an option outside its limits; KS_INVALID_ARGUMENT if
 * `store` is NULL or options->size is wrong; KS_OUT_OF_MEMORY; KS_UNSUPPORTED if a field of a
 * later version is not at its default.
 *
 * # Safety
 * `options` is NULL or was filled by ks_options_init; `store` is NULL or can be written.
 * Any thread may call this.
 */
int ks_open(const struct ks_options *options, struct ks_store **store);

/**
 * Closes a store and frees all its memory. From here on the handle and every copy of it are
 * invalid. Values from ks_get_owned and the like stay the caller's.
 *
 * @return KS_OK; KS_NOT_INITIALISED if the handle is NULL or was closed already;
 * KS_LOCK_NOT_ACQUIRED if called inside a callback of this store, which stays open; KS_UNSUPPORTED
 * if the store is single-threaded and another thread opened it.
 *
 * # Safety
 * No other thread is inside a call with this store, or starts one until ks_close returns.
 */
int ks_close(struct ks_store *store);

/**
 * Sets the value of `key` to `value`, whether or not it had one.
 *
 * Keys have 1 to 65,535 bytes, values 0 to 4 GiB - 1; a value of 0 bytes may be NULL. Both are
 * copied.
 *
 * @return KS_OK; KS_INVALID_ARGUMENT for a key or value outside its limits; KS_OUT_OF_MEMORY;
 * KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call is inside a callback and would
 * have to wait for a lock; KS_NOT_INITIALISED if the store is not open; KS_UNSUPPORTED if the
 * store is single-threaded and another thread opened it. After a failure the store is as before.
 *
 * # Safety
 * `key` and `value` are NULL or point to as many bytes as their lengths say. Any thread may
 * call this while the store is open.
 */
int ks_set(struct ks_store *store,
           const void *key,
           size_t key_len,
           const void *value,
           size_t value_len);

/**
 * Sets the value of `key` to `value` if it has none. This is one atomic step: if several threads
 * insert an absent key, one succeeds.
 *
 * @return KS_OK; KS_KEY_EXISTS if the key has a value, which it keeps; and the failures of ks_set.
 *
 * # Safety
 * As for ks_set.
 */
int ks_insert(struct ks_store *store,
              const void *key,
              size_t key_len,
              const void *value,
              size_t value_len);

/**
 * Copies the value of `key` into the caller's buffer.
 *
 * @param buffer where the value goes. NULL with a capacity of 0 only requests the length.
 * @param capacity size of the buffer in bytes.
 * @param value_len where the value's length goes, also if the buffer is too small. 0 goes there if
 * the call fails for another reason.
 * @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if the buffer is too
 * small (then *value_len is greater than `capacity`, and the buffer is unchanged), if `value_len`
 * is NULL, or for a key outside its limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or
 * if the call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the
 * store is not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
 *
 * # Safety
 * `key` is NULL or points to `key_len` bytes; `buffer` is NULL or has room for `capacity`
 * bytes and does not overlap the key; `value_len` is NULL or can be written. Any thread may
 * call this while the store is open.
 */
int ks_get(struct ks_store *store,
           const void *key,
           size_t key_len,
           void *buffer,
           size_t capacity,
           size_t *value_len);

/**
 * Copies the value of `key` into memory that the caller owns.
 *
 * @param value where the value's address goes. The caller owns the memory and frees it with
 * ks_free. On success the address is never NULL, also for a value of 0 bytes. A NUL follows the
 * value, so that a text can be used as a string. NULL goes there if the call fails.
 * @param value_len where the value's length goes, without that NUL; 0 if the call fails.
 * @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `value` or `value_len`
 * is NULL, or for a key outside its limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or
 * if the call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the
 * store is not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
 *
 * # Safety
 * `key` is NULL or points to `key_len` bytes; `value` and `value_len` are NULL or can be
 * written. Any thread may call this while the store is open.
 */
int ks_get_owned(struct ks_store *store,
                 const void *key,
                 size_t key_len,
                 void **value,
                 size_t *value_len);

/**
 * Frees a value that ks_get_owned, ks_take, ks_get_many or ks_compare_exchange returned.
 *
 * @param value the value, also after its store was closed; NULL does nothing.
 *
 * # Safety
 * `value` came from this library and has not been freed. Any thread may call this.
 */
void ks_free(void *value);

/**
 * Removes `key`.
 *
 * @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT for a key outside its
 * limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call is inside a callback
 * and would have to wait for a lock; KS_NOT_INITIALISED if the store is not open; KS_UNSUPPORTED
 * if the store is single-threaded and another thread opened it.
 *
 * # Safety
 * `key` is NULL or points to `key_len` bytes. Any thread may call this while the store is open.
 */
int ks_delete(struct ks_store *store, const void *key, size_t key_len);

/**
 * Tells whether `key` has a value.
 *
 * @param exists where the answer goes; false if the call fails.
 * @return KS_OK, whatever the answer; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `exists` is NULL or
 * for a key outside its limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call
 * is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the store is not
 * open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
 *
 * # Safety
 * `key` is NULL or points to `key_len` bytes; `exists` is NULL or can be written. Any
 * thread may call this while the store is open.
 */
int ks_exists(struct ks_store *store, const void *key, size_t key_len, bool *exists);

/**
 * Counts the entries of the store. The number is exact if no thread writes during the call.
 *
 * @param count where the number goes; 0 if the call fails.
 * @return KS_OK; KS_INVALID_ARGUMENT if `count` is NULL; KS_NOT_INITIALISED if the store is not
 * open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
 *
 * # Safety
 * `count` is NULL or can be written. Any thread may call this while the store is open.
 */
int ks_count(struct ks_store *store, size_t *count);

/**
 * Removes every entry that is there during the whole call. O(n). The table keeps its size;
 * ks_shrink makes it smaller.
 *
 * @return KS_OK; KS_OUT_OF_MEMORY; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the
 * call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the store is
 * not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
 *
 * # Safety
 * Any thread may call this while the store is open.
 */
int ks_clear(struct ks_store *store);

/**
 * Makes the store large enough for `additional` more entries, so that setting them need not grow
 * it.
 *
 * @return KS_OK; KS_OUT_OF_MEMORY if the store grew only as far as memory allowed; and the
 * failures of ks_clear.
 *
 * # Safety
 * As for ks_clear.
 */
int ks_reserve(struct ks_store *store, size_t additional);

/**
 * Makes the store as small as its entries allow, but not smaller than it was when opened. O(n).
 *
 * @return KS_OK; KS_OUT_OF_MEMORY if the store shrank only as far as memory allowed; and the
 * failures of ks_clear.
 *
 * # Safety
 * As for ks_clear.
 */
int ks_shrink(struct ks_store *store);

/**
 * Shows the value of `key` to a callback in place, without a copy. If the key has no value, the
 * callback is not called.
 *
 * @param visit is called at most once, before ks_read returns, on this thread.
 * @param context is passed to `visit` unchanged; may be NULL.
 * @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `visit` is NULL or for
 * a key outside its limits; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call is
 * inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the store is not
 * open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
 *
 * # Safety
 * `key` is NULL or points to `key_len` bytes; `visit` keeps the rules of ks_read_fn. Any
 * thread may call this while the store is open.
 */
int ks_read(struct ks_store *store,
            const void *key,
            size_t key_len,
            ks_read_fn visit,
            void *context);

/**
 * Shows entries to a callback, in no particular order, until all are shown or the callback stops.
 * Each entry that is there during the whole call is shown, and none twice, also while other
 * threads write. O(n).
 *
 * @param visit is called on this thread, before ks_for_each returns. It returns 0 to go on,
 * another number to stop.
 * @param context is passed to `visit` unchanged; may be NULL.
 * @return KS_OK, stopped or not; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `visit` is NULL;
 * KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the call is inside a callback and would
 * have to wait for a lock; KS_NOT_INITIALISED if the store is not open; KS_UNSUPPORTED if the
 * store is single-threaded and another thread opened it.
 *
 * # Safety
 * `visit` keeps the rules of ks_read_fn. Any thread may call this while the store is open.
 */
int ks_for_each(struct ks_store *store, ks_for_each_fn visit, void *context);

/**
 * Shows about `limit` entries to a callback, and moves the cursor past them. The calls of one scan
 * together show each entry that is there during the whole scan, and none twice, whatever happens
 * to the store between them.
 *
 * A scan starts with a cursor of 0, and is over as soon as the cursor is 0 again. The cursor is a
 * number: it holds no memory and no lock, so it can be kept, sent, or thrown away. Other values
 * than 0 belong to one open store. A call shows a few entries more than `limit` if they are
 * in one bucket. Expected O(limit); on the backend dashmap each call also looks at all entries of
 * one shard.
 *
 * @param cursor the position; it is unchanged if the call fails.
 * @param limit number of entries, at least 1.
 * @param visit is called on this thread, before ks_scan returns.
 * @param context is passed to `visit` unchanged; may be NULL.
 * @return KS_OK; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `cursor` or `visit` is NULL, if `limit`
 * is 0, or if the cursor is of another store; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or
 * if the call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the
 * store is not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
 * After a failure no entry of this call was shown.
 *
 * # Safety
 * `cursor` is NULL, or can be read and written; `visit` keeps the rules of ks_read_fn. Any thread
 * may call this while the store is open.
 */
int ks_scan(struct ks_store *store,
            uint64_t *cursor,
            size_t limit,
            ks_scan_fn visit,
            void *context);

/**
 * Removes `key`, and copies the value that it had into memory that the caller owns. This is one
 * atomic step: if several threads take one value, only one of them gets it. ks_store_stats counts
 * it among the adds, like every operation that reads and writes in one step.
 *
 * @param value where the value's address goes. The caller owns the memory and frees it with
 * ks_free, as with ks_get_owned.
 * @param value_len where the value's length goes.
 * @return as ks_get_owned. If there is no memory for the copy, the key stays in the store.
 *
 * # Safety
 * As for ks_get_owned.
 */
int ks_take(struct ks_store *store,
            const void *key,
            size_t key_len,
            void **value,
            size_t *value_len);

/**
 * Changes `key` from the value `expected` to the value `new_value`, as one atomic step, if its
 * value is `expected` now.
 *
 * NULL with a length of 0 stands for "no value", as `expected` and as `new_value`. So a call can
 * create a key only if it is absent, or remove it only if it has a certain value. An address that
 * is not NULL, with a length of 0, stands for the value of 0 bytes.
 *
 * @param exchanged where the answer goes: true if the key had the expected value and was changed;
 * false otherwise, and if the call fails.
 * @param actual where the address goes of a copy of the value that the key had instead. The caller
 * frees the copy with ks_free. NULL goes there if the key had no value, and if it was exchanged.
 * May be NULL together with actual_len; then there is no copy.
 * @param actual_len where that value's length goes.
 * @return KS_OK, exchanged or not; KS_INVALID_ARGUMENT if `exchanged` is NULL; otherwise the
 * failures of ks_set.
 *
 * # Safety
 * `key`, `expected` and `new_value` are NULL or point to as many bytes as their lengths say;
 * `exchanged`, `actual` and `actual_len` are NULL or can be written. Any thread may call this
 * while the store is open.
 */
int ks_compare_exchange(struct ks_store *store,
                        const void *key,
                        size_t key_len,
                        const void *expected,
                        size_t expected_len,
                        const void *new_value,
                        size_t new_len,
                        bool *exchanged,
                        void **actual,
                        size_t *actual_len);

/**
 * Shows the value of `key` to a callback, and keeps, sets or removes the key as the callback
 * answers, as one atomic step.
 *
 * @param decide is called on this thread before ks_update returns. It is called again if another
 * thread changes the key in the meantime.
 * @param context is passed to `decide` unchanged; may be NULL.
 * @return KS_OK; KS_INVALID_ARGUMENT if `decide` is NULL, if its answer is none of KS_UPDATE_…, if
 * its new value is NULL with a length, or for a key or value outside its limits; and the other
 * failures of ks_set. After a failure the store is as before.
 *
 * # Safety
 * `key` is NULL or points to `key_len` bytes; `decide` keeps the rules of ks_update_fn. Any
 * thread may call this while the store is open.
 */
int ks_update(struct ks_store *store,
              const void *key,
              size_t key_len,
              ks_update_fn decide,
              void *context);

/**
 * Shows the value of each key to a callback in place, in order.
 *
 * @param keys `count` keys.
 * @param visit is called once for each key, before ks_read_many returns, on this thread.
 * @param context is passed to `visit` unchanged; may be NULL.
 * @return KS_OK, whether keys have values or not; otherwise a failure of ks_read. The last message
 * then names the position of the key; `visit` was called only for the keys before it.
 *
 * # Safety
 * `keys` is NULL or points to `count` keys, each of which is NULL or points to its bytes;
 * `visit` keeps the rules of ks_read_many_fn. Any thread may call this while the store
 * is open.
 */
int ks_read_many(struct ks_store *store,
                 const struct ks_bytes *keys,
                 size_t count,
                 ks_read_many_fn visit,
                 void *context);

/**
 * Copies the value of each key into memory that the caller owns, in order.
 *
 * @param keys `count` keys.
 * @param values room for `count` values. The caller frees each with ks_free. NULL and 0 go there
 * if a key has no value, and everywhere if the call fails.
 * @return KS_OK, whether keys have values or not; otherwise a failure of ks_get_owned. The last
 * message then names the position of the key, and there is nothing to free.
 *
 * # Safety
 * `keys` is NULL or points to `count` keys, each of which is NULL or points to its bytes;
 * `values` is NULL or has room for `count` values, and does not overlap the keys. Any thread
 * may call this while the store is open.
 */
int ks_get_many(struct ks_store *store,
                const struct ks_bytes *keys,
                size_t count,
                struct ks_value *values);

/**
 * Does what ks_set does for each entry, in order: the key at each position gets the value at the
 * same position.
 *
 * @param keys `count` keys.
 * @param values `count` values.
 * @param created where the number of keys goes that had no value before; may be NULL. If the call
 * fails, the number may be too small.
 * @return KS_OK; otherwise a failure of ks_set. The last message then names the position of the
 * entry. The entries before it are set; this entry and those after it are not.
 *
 * # Safety
 * `keys` and `values` are NULL or point to `count` byte strings, each of which is NULL or
 * points to its bytes; `created` is NULL or can be written. Any thread may call this
 * while the store is open.
 */
int ks_set_many(struct ks_store *store,
                const struct ks_bytes *keys,
                const struct ks_bytes *values,
                size_t count,
                size_t *created);

/**
 * Does what ks_delete does for each key, in order.
 *
 * @param keys `count` keys.
 * @param deleted where the number of keys goes that had a value; may be NULL. If the call fails,
 * the number may be too small.
 * @return KS_OK, whether keys had values or not; otherwise a failure of ks_delete. The last
 * message then names the position of the key. The keys before it are removed; this key and those
 * after it are not.
 *
 * # Safety
 * `keys` is NULL or points to `count` keys, each of which is NULL or points to its bytes;
 * `deleted` is NULL or can be written. Any thread may call this while the store is open.
 */
int ks_delete_many(struct ks_store *store,
                   const struct ks_bytes *keys,
                   size_t count,
                   size_t *deleted);

/**
 * Collects the statistics of the store. O(n): it reads every bucket and entry.
 *
 * @param stats where the statistics go; unchanged if the call fails.
 * @param size sizeof(ks_stats). With it, a library that is newer than the program writes only the
 * fields that the program knows. A library that is older fills the fields that it does not know
 * with zeros.
 * @return KS_OK; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `stats` is NULL or `size` is not a size
 * that ks_stats has in some version; KS_LOCK_NOT_ACQUIRED if the lock time-out passes, or if the
 * call is inside a callback and would have to wait for a lock; KS_NOT_INITIALISED if the store is
 * not open; KS_UNSUPPORTED if the store is single-threaded and another thread opened it.
 *
 * # Safety
 * `stats` is NULL or has room for `size` bytes. Any thread may call this while the store is open.
 */
int ks_store_stats(struct ks_store *store, struct ks_stats *stats, size_t size);

/**
 * Reads the counters of the store. It takes some microseconds, no matter how many entries there
 * are, so a monitoring system may call it often.
 *
 * @param counters where the counters go; unchanged if the call fails.
 * @param size sizeof(ks_counters). With it, libraries and programs of different versions
 * understand each other, as with ks_store_stats.
 * @return KS_OK; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `counters` is NULL or `size` is not a
 * size that ks_counters has in some version; KS_LOCK_NOT_ACQUIRED on the backend dashmap as for
 * ks_store_stats; KS_NOT_INITIALISED if the store is not open; KS_UNSUPPORTED if the store is
 * single-threaded and another thread opened it.
 *
 * # Safety
 * `counters` is NULL or has room for `size` bytes. Any thread may call this while the store is
 * open.
 */
int ks_store_counters(struct ks_store *store, struct ks_counters *counters, size_t size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KEYSTORE_H */
