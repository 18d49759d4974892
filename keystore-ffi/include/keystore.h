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
 * Something failed that has no code of its own: a bug in the library, caught before it could
 * do harm.
 */
#define KS_GENERAL -1

/**
 * Memory could not be had, from the system or within the store's memory limit. Nothing has
 * changed.
 */
#define KS_OUT_OF_MEMORY -10

/**
 * An argument is outside its limits, NULL where it must not be, or a buffer is too small.
 */
#define KS_INVALID_ARGUMENT -20

/**
 * A field of the options is outside its limits.
 */
#define KS_INVALID_CONFIG -21

/**
 * The call came from inside a callback and would have to wait for a lock that the callback may
 * hold; or it has waited for a lock as long as ks_options.lock_timeout_ns lets it.
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
 * This store cannot do that.
 */
#define KS_UNSUPPORTED -43

/**
 * ks_options.memory_limit of a store without one.
 */
#define KS_NO_MEMORY_LIMIT 0

/**
 * ks_options.lock_timeout_ns of a store whose calls wait for a lock as long as it takes.
 */
#define KS_NO_LOCK_TIMEOUT 0

/**
 * Answer of a ks_update_fn: leave the key as it is.
 */
#define KS_UPDATE_KEEP 0

/**
 * Answer of a ks_update_fn: give the key the new value.
 */
#define KS_UPDATE_SET 1

/**
 * Answer of a ks_update_fn: remove the key.
 */
#define KS_UPDATE_DELETE 2

/**
 * An open store. A handle, not an address: never look behind it.
 *
 * Any number of stores can be open at once. A store that is not single-threaded may be used by
 * any number of threads at once, in every function but ks_close.
 *
 * A child of fork has a copy of each open store, under the same handle, if no thread was
 * inside a call of this library at that instant or just ending (Linux with glibc;
 * docs/c-api.md).
 */
typedef struct ks_store ks_store;

/**
 * Which algorithm a store runs on: one of KS_BACKEND_…
 */
typedef int32_t ks_backend;

/**
 * Where the memory of entries comes from: one of KS_POOL_…
 */
typedef int32_t ks_pool;

/**
 * Whether threads share a store: one of KS_CONCURRENCY_…
 */
typedef int32_t ks_concurrency;

/**
 * What a store is opened with. Fill it by ks_options_init, then change what you want
 * different.
 *
 * Later versions add fields at the end: `size` tells the library which of them a program
 * knows.
 */
typedef struct ks_options {
    /**
     * sizeof(ks_options), set by ks_options_init.
     */
    size_t size;
    /**
     * Which algorithm: KS_BACKEND_RWLOCK unless changed.
     */
    ks_backend backend;
    /**
     * Where the memory of entries comes from: KS_POOL_SLAB unless changed.
     */
    ks_pool pool;
    /**
     * Buckets at the start: a power of two, 1 to 2^32 (2^24 on 32-bit targets). A store grows
     * from there with its content. 256 unless changed.
     */
    size_t initial_buckets;
    /**
     * The share of the initial buckets for which the pool reserves a node up front: 0 (none)
     * to 1 (one node for each). 0 unless changed.
     */
    double preallocation;
    /**
     * The most bytes that entries may take: a call that would pass it returns KS_OUT_OF_MEMORY
     * and changes nothing. KS_NO_MEMORY_LIMIT unless changed.
     */
    uint64_t memory_limit;
    /**
     * Whether threads share the store: KS_CONCURRENCY_MULTI_THREADED unless changed.
     */
    ks_concurrency concurrency;
    /**
     * Whether calls are counted for ks_store_stats: 1 (yes) unless changed, or 0 (no). Entries
     * are always counted.
     */
    int32_t counters;
    /**
     * How long, in nanoseconds, a call waits for a lock that other threads hold: then it
     * returns KS_LOCK_NOT_ACQUIRED and has done nothing, except that ks_for_each, ks_clear and
     * ks_shrink have done what they did until then. A call that comes upon a table in motion
     * may wait so long more than once. The backend epoch waits for nobody. KS_NO_LOCK_TIMEOUT
     * unless changed.
     */
    uint64_t lock_timeout_ns;
} ks_options;

/**
 * What ks_read shows a value to.
 *
 * `value` points to `value_len` bytes that belong to the store: read them, and keep no pointer
 * into them past the callback's return. The callback may call any function of the store but
 * ks_close; one that would have to wait for a lock that is held answers KS_LOCK_NOT_ACQUIRED.
 * It must return: an exception that leaves it ends the process, and a longjmp out of it is
 * undefined.
 */
typedef void (*ks_read_fn)(void *context, const void *value, size_t value_len);

/**
 * What ks_for_each shows each entry to: 0 goes on to the next, anything else stops.
 *
 * As for ks_read_fn, for the key and the value both.
 */
typedef int (*ks_for_each_fn)(void *context,
                              const void *key,
                              size_t key_len,
                              const void *value,
                              size_t value_len);

/**
 * A byte string that belongs to its maker: an address and a length.
 */
typedef struct ks_bytes {
    /**
     * The first byte; may be NULL where `len` is 0.
     */
    const void *data;
    /**
     * How many bytes.
     */
    size_t len;
} ks_bytes;

/**
 * What ks_update asks what to do with a key: one of KS_UPDATE_…
 *
 * `old_value` is NULL where the key has no value; otherwise it points to `old_len` bytes that
 * belong to the store, to be read before the callback returns. With KS_UPDATE_SET, `new_value`
 * says what the key gets: bytes that stay the caller's, that are copied before ks_update
 * returns, and that must stay as they are until then. May be called again, with the newer
 * value, where another thread changes the key meanwhile: only the last answer counts.
 * Otherwise the rules of ks_read_fn.
 */
typedef int (*ks_update_fn)(void *context,
                            const void *old_value,
                            size_t old_len,
                            struct ks_bytes *new_value);

/**
 * What ks_read_many shows each value to: `index` is the key's position, from 0; `value` is
 * NULL where the key has none. Otherwise the rules of ks_read_fn.
 */
typedef void (*ks_read_many_fn)(void *context, size_t index, const void *value, size_t value_len);

/**
 * A value as memory of its own, to be given back by ks_free, address by address.
 */
typedef struct ks_value {
    /**
     * The value, followed by a NUL; NULL where the key has none.
     */
    void *data;
    /**
     * Its length in bytes, without that NUL.
     */
    size_t len;
} ks_value;

/**
 * A picture of a store, from ks_store_stats. Exact while no other thread writes.
 *
 * Later versions add fields at the end: that is why ks_store_stats is given its size.
 */
typedef struct ks_stats {
    /**
     * When the store was opened, seconds since the Unix epoch.
     */
    uint64_t opened_at;
    /**
     * When ks_clear or ks_shrink last finished, seconds since the Unix epoch; 0 for never.
     */
    uint64_t cleaned_up_at;
    /**
     * Entries in the store.
     */
    uint64_t entries;
    /**
     * Buckets of the table; the shards of the backend dashmap.
     */
    uint64_t buckets;
    /**
     * Buckets that hold an entry.
     */
    uint64_t nonempty_buckets;
    /**
     * Buckets that hold none.
     */
    uint64_t empty_buckets;
    /**
     * The most entries in one bucket.
     */
    uint64_t max_in_bucket;
    /**
     * The fewest entries in one bucket.
     */
    uint64_t min_in_bucket;
    /**
     * Entries to a bucket that holds any.
     */
    double mean_per_nonempty_bucket;
    /**
     * Standard deviation of the entries in a bucket, over all buckets.
     */
    double stddev_per_bucket;
    /**
     * Median of the entries in a bucket, over all buckets.
     */
    double median_per_bucket;
    /**
     * Empty buckets in percent of all.
     */
    double empty_bucket_percent;
    /**
     * Buckets with two entries or more: each entry past a bucket's first is a collision.
     */
    uint64_t collision_buckets;
    /**
     * Those in percent of all buckets.
     */
    double collision_percent;
    /**
     * The most collisions in one bucket.
     */
    uint64_t max_collisions_in_bucket;
    /**
     * Collisions to a bucket that holds any entry.
     */
    double mean_collisions_per_nonempty_bucket;
    /**
     * Bytes of live nodes: headers, keys, values and the room left in them.
     */
    uint64_t node_bytes;
    /**
     * Bytes of the table.
     */
    uint64_t table_bytes;
    /**
     * Bytes that were removed and wait until no reader can be looking at them.
     */
    uint64_t garbage_bytes;
    /**
     * Nodes that the pool has handed out and not yet got back.
     */
    uint64_t pool_live_nodes;
    /**
     * Bytes that those nodes asked for.
     */
    uint64_t pool_live_bytes;
    /**
     * Bytes that the pool holds of the system's memory, in use or not.
     */
    uint64_t pool_held_bytes;
    /**
     * Nodes that the pool could not serve from its own memory and took from the system, ever.
     */
    uint64_t pool_fallbacks;
    /**
     * Bytes of those nodes that are still live.
     */
    uint64_t pool_fallback_bytes;
    /**
     * Calls that write, each entry of a batch included. This and all that follow: 0 where
     * ks_options.counters is 0.
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
     * Entries that came into being.
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
     * Adds that failed if the key was absent, or before that was known.
     */
    uint64_t nodes_failed_creates;
    /**
     * Calls that the store answered with an error; a key that is absent is none.
     */
    uint64_t errors;
} ks_stats;

/**
 * A lock in every bucket. Overwrites in place, gives memory back at once; a callback that
 * needs a lock which is held is refused. The default.
 */
#define KS_BACKEND_RWLOCK 1

/**
 * Lock-free: readers wait for nobody.
 */
#define KS_BACKEND_EPOCH 2

/**
 * A lock in every shard of a dashmap.
 */
#define KS_BACKEND_DASHMAP 3

/**
 * Fixed size classes, preallocated, freed nodes reused. The default.
 */
#define KS_POOL_SLAB 1

/**
 * Large chunks that are handed out from front to back, and reused once all of their nodes are
 * freed.
 */
#define KS_POOL_ARENA 2

/**
 * The system's allocator.
 */
#define KS_POOL_SYSTEM 3

/**
 * Any number of threads at once. The default.
 */
#define KS_CONCURRENCY_MULTI_THREADED 1

/**
 * Only the thread that opens the store uses it; every call from another is refused with
 * KS_UNSUPPORTED. The backend rwlock takes no locks then.
 */
#define KS_CONCURRENCY_SINGLE_THREADED 2

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * A short text for a status code, "unknown status code" for any other number.
 *
 * The text is static: never free it. Any thread may call this.
 */
const char *ks_strerror(int status);

/**
 * What the last call that failed on this thread has to say: the value that was wrong, and the
 * limit that it broke. The empty string where no call has failed yet; a call that succeeds
 * leaves it as it is. UTF-8, at most 511 bytes.
 *
 * The text belongs to the library and to the calling thread: never free it, and copy it where
 * it must outlive the thread's next failing call.
 */
const char *ks_last_error_message(void);

/**
 * The version of the library that is running, such as "0.1.0".
 *
 * The text is static: never free it. Any thread may call this.
 */
const char *ks_version(void);

/**
 * Fills `options` with the defaults.
 *
 * @param options the caller's, need not be initialised.
 * @param size sizeof(ks_options), so that a library that is newer than the program writes no
 * field too many.
 * @return KS_OK, or KS_INVALID_ARGUMENT if `options` is NULL or `size` is no size of
 * ks_options.
 *
 * # Safety
 * `options` is NULL or has room for `size` bytes. Any thread may call this.
 */
int ks_options_init(struct ks_options *options, size_t size);

/**
 * Opens a store.
 *
 * @param options what it is to be; NULL for the defaults. Not kept.
 * @param store where the handle goes, to be closed by ks_close; NULL goes there where the call
 * fails.
 * @return KS_OK; KS_INVALID_CONFIG for an option outside its limits; KS_INVALID_ARGUMENT if
 * `store` is NULL or options->size is wrong; KS_OUT_OF_MEMORY; KS_UNSUPPORTED for a field of a
 * later version.
 *
 * # Safety
 * `options` is NULL or was filled by ks_options_init; `store` is NULL or can be written.
 * Any thread may call this.
 */
int ks_open(const struct ks_options *options, struct ks_store **store);

/**
 * Closes a store and gives back all its memory. The handle, and every copy of it, is invalid
 * from here on; values that were got as owned stay the caller's.
 *
 * @return KS_OK; KS_NOT_INITIALISED for a handle that is NULL or was closed already;
 * KS_LOCK_NOT_ACQUIRED from inside a callback of this store, which stays open; KS_UNSUPPORTED
 * from another thread than a single-threaded store's own.
 *
 * # Safety
 * No other thread is inside a call with this store, or starts one until ks_close returns.
 */
int ks_close(struct ks_store *store);

/**
 * Gives `key` the value `value`, whether it has one or not.
 *
 * Keys have 1 to 65,535 bytes, values 0 to 4 GiB - 1; a value of 0 bytes may be NULL. Both are
 * copied.
 *
 * @return KS_OK; KS_INVALID_ARGUMENT for a key or value outside its limits; KS_OUT_OF_MEMORY;
 * KS_LOCK_NOT_ACQUIRED if it may not wait for a lock, or not that long; KS_NOT_INITIALISED;
 * KS_UNSUPPORTED from another thread than a single-threaded store's own. After each of them
 * the store is as before.
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
 * Gives `key` the value `value` where it has none. One step: of several threads that insert
 * one key, one succeeds.
 *
 * @return KS_OK; KS_KEY_EXISTS if the key has a value, which it keeps; and those of ks_set.
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
 * Copies the value of `key` into a buffer of the caller's.
 *
 * @param buffer where the value goes. NULL with a capacity of 0 only asks for the length.
 * @param capacity the buffer's room, bytes.
 * @param value_len where the value's length goes, also where the buffer is too small; 0 goes
 * there if the call fails for another reason.
 * @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if the buffer is
 * too small (then *value_len is greater than `capacity`, and the buffer is untouched), where
 * `value_len` is NULL, or for a key outside its limits; KS_LOCK_NOT_ACQUIRED if it may not
 * wait for a lock, or not that long; KS_NOT_INITIALISED; KS_UNSUPPORTED from another thread
 * than a single-threaded store's own.
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
 * Gives the value of `key` as memory of its own.
 *
 * @param value where the value's address goes: the caller's from here on, to be given back by
 * ks_free. Never NULL on success, also for a value of 0 bytes; a NUL follows the value, so
 * that text can be used as a string. NULL goes there if the call fails.
 * @param value_len where the value's length goes, without that NUL; 0 where the call fails.
 * @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT for a NULL result or
 * a key outside its limits; KS_LOCK_NOT_ACQUIRED if it may not wait for a lock, or not that
 * long; KS_NOT_INITIALISED; KS_UNSUPPORTED from another thread than a single-threaded store's
 * own.
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
 * Gives back the memory of a value that ks_get_owned, ks_take, ks_get_many or
 * ks_compare_exchange gave.
 *
 * @param value such a value, also after its store was closed; NULL does nothing.
 *
 * # Safety
 * `value` came from this library and has not been freed. Any thread may call this.
 */
void ks_free(void *value);

/**
 * Removes `key`.
 *
 * @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT for a key outside its
 * limits; KS_LOCK_NOT_ACQUIRED if it may not wait for a lock, or not that long;
 * KS_NOT_INITIALISED; KS_UNSUPPORTED from another thread than a single-threaded store's own.
 *
 * # Safety
 * `key` is NULL or points to `key_len` bytes. Any thread may call this while
 * the store is open.
 */
int ks_delete(struct ks_store *store, const void *key, size_t key_len);

/**
 * Tells whether `key` has a value.
 *
 * @param exists where the answer goes; false if the call fails.
 * @return KS_OK, whatever the answer; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `exists` is
 * NULL or for a key outside its limits; KS_LOCK_NOT_ACQUIRED if it may not wait for a lock,
 * or not that long; KS_NOT_INITIALISED; KS_UNSUPPORTED from another thread than a
 * single-threaded store's own.
 *
 * # Safety
 * `key` is NULL or points to `key_len` bytes; `exists` is NULL or can be written. Any
 * thread may call this while the store is open.
 */
int ks_exists(struct ks_store *store, const void *key, size_t key_len, bool *exists);

/**
 * Tells how many entries the store has. Exact while nobody writes.
 *
 * @param count where the number goes; 0 where the call fails.
 * @return KS_OK; KS_INVALID_ARGUMENT if `count` is NULL; KS_NOT_INITIALISED; KS_UNSUPPORTED
 * from another thread than a single-threaded store's own.
 *
 * # Safety
 * `count` is NULL or can be written. Any thread may call this while the store is open.
 */
int ks_count(struct ks_store *store, size_t *count);

/**
 * Removes every entry that is there throughout the call. O(n). The store keeps its size: see
 * ks_shrink.
 *
 * @return KS_OK; KS_OUT_OF_MEMORY; KS_LOCK_NOT_ACQUIRED if it may not wait for a lock, or
 * not that long; KS_NOT_INITIALISED; KS_UNSUPPORTED from another thread than a single-threaded
 * store's own.
 *
 * # Safety
 * Any thread may call this while the store is open.
 */
int ks_clear(struct ks_store *store);

/**
 * Makes the store large enough for `additional` more entries, so that setting them need not
 * grow it.
 *
 * @return KS_OK; KS_OUT_OF_MEMORY, and the store is as large as memory allowed; and those of
 * ks_clear.
 *
 * # Safety
 * As for ks_clear.
 */
int ks_reserve(struct ks_store *store, size_t additional);

/**
 * Makes the store as small as its entries allow, and no smaller than it was opened. O(n).
 *
 * @return KS_OK; KS_OUT_OF_MEMORY, and the store is as small as could be; and those of
 * ks_clear.
 *
 * # Safety
 * As for ks_clear.
 */
int ks_shrink(struct ks_store *store);

/**
 * Shows the value of `key` to a callback in place, without a copy. The callback is not called
 * where the key has none.
 *
 * @param visit is called once at most, before ks_read returns, on this thread.
 * @param context is handed to `visit` as it is; may be NULL.
 * @return KS_OK; KS_KEY_NOT_FOUND; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `visit` is NULL
 * or for a key outside its limits; KS_LOCK_NOT_ACQUIRED if it may not wait for a lock, or
 * not that long; KS_NOT_INITIALISED; KS_UNSUPPORTED from another thread than a single-threaded
 * store's own.
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
 * Shows every entry to a callback until that stops, in no particular order: each entry that is
 * there throughout, and none twice, also while others write. O(n).
 *
 * @param visit is called on this thread, before ks_for_each returns; 0 goes on, anything else
 * stops.
 * @param context is handed to `visit` as it is; may be NULL.
 * @return KS_OK, stopped or not; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `visit` is NULL;
 * KS_LOCK_NOT_ACQUIRED if it may not wait for a lock, or not that long; KS_NOT_INITIALISED;
 * KS_UNSUPPORTED from another thread than a single-threaded store's own.
 *
 * # Safety
 * `visit` keeps the rules of ks_read_fn. Any thread may call this while the
 * store is open.
 */
int ks_for_each(struct ks_store *store, ks_for_each_fn visit, void *context);

/**
 * Removes `key`, and gives the value that it had as memory of its own. One step: of several
 * threads that take one key, one succeeds. ks_store_stats counts it among the adds, as all
 * that read and write in one step.
 *
 * @param value where the value's address goes: the caller's from here on, to be given back by
 * ks_free. As in ks_get_owned.
 * @param value_len where the value's length goes.
 * @return as ks_get_owned. If the value cannot be copied, the key stays.
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
 * Changes `key` from the value `expected` to the value `new_value` where it is `expected` now,
 * as one step.
 *
 * NULL with a length of 0 stands for "no value" on either side: so a key can be created only
 * if absent, or removed only if it has a value. An address that is not NULL, with a length of
 * 0, stands for the value of 0 bytes.
 *
 * @param exchanged where it goes whether the key was as expected and has been changed; false
 * where the call fails.
 * @param actual where the value goes that the key had instead, as memory of its own, to be
 * given back by ks_free; NULL goes there where it had none, and where it was exchanged. May be
 * NULL, together with actual_len: then the caller does not get it.
 * @param actual_len where that value's length goes.
 * @return KS_OK, exchanged or not; and the failures of ks_set, with KS_INVALID_ARGUMENT also
 * where `exchanged` is NULL.
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
 * Shows the value of `key` to a callback, and does with the key what that answers, as one
 * step.
 *
 * @param decide is called on this thread before ks_update returns, and again where another
 * thread changes the key meanwhile.
 * @param context is handed to `decide` as it is; may be NULL.
 * @return KS_OK; KS_INVALID_ARGUMENT if `decide` is NULL, if its answer is none of
 * KS_UPDATE_…, if its new value is NULL with a length, or for a key or value outside its
 * limits; and the other failures of ks_set. After each of them the store is as before.
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
 * @param context is handed to `visit` as it is; may be NULL.
 * @return KS_OK, whether keys have values or not; otherwise a failure of ks_read, with the
 * position of the key in the last message: `visit` was called for those before it only.
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
 * Gives the value of each key as memory of its own, in order.
 *
 * @param keys `count` keys.
 * @param values room for `count` values: the caller's from here on, each to be given back by
 * ks_free. NULL and 0 go there if a key has none, and everywhere if the call fails.
 * @return KS_OK, whether keys have values or not; otherwise a failure of ks_get_owned, with
 * the position of the key in the last message: nothing has to be freed then.
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
 * ks_set for each entry, in order: the value at each position goes to the key at the same
 * position.
 *
 * @param keys `count` keys.
 * @param values `count` values.
 * @param created where the number of keys goes that had no value before; may be NULL. Where
 * the call fails, some of those that were set may be missing from it.
 * @return KS_OK; otherwise a failure of ks_set, with the position of the entry in the last
 * message: those before it are set, it and those after it are not.
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
 * ks_delete for each key, in order.
 *
 * @param keys `count` keys.
 * @param deleted where the number of keys goes that had a value; may be NULL. If the call
 * fails, some of those that were removed may be missing from it.
 * @return KS_OK, whether keys had values or not; otherwise a failure of ks_delete, with the
 * position of the key in the last message: those before it are removed, it and those after it
 * are not.
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
 * Takes a picture of the store. O(n): it looks at every bucket and entry.
 *
 * @param stats where the picture goes; untouched if the call fails.
 * @param size sizeof(ks_stats), so that a library that is newer than the program writes no
 * field too many; one that is older fills the fields that it does not know with zeros.
 * @return KS_OK; KS_OUT_OF_MEMORY; KS_INVALID_ARGUMENT if `stats` is NULL or `size` is no
 * size of ks_stats; KS_LOCK_NOT_ACQUIRED if it may not wait for a lock, or not that long;
 * KS_NOT_INITIALISED; KS_UNSUPPORTED from another thread than a single-threaded store's own.
 *
 * # Safety
 * `stats` is NULL or has room for `size` bytes. Any thread may call this while
 * the store is open.
 */
int ks_store_stats(struct ks_store *store, struct ks_stats *stats, size_t size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KEYSTORE_H */
