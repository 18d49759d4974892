/*
 * One store for the whole process: the interface of the C predecessor, on keystore.
 *
 * A program that was written for the predecessor compiles with this header unchanged, and is linked
 * with -lkeystore_legacy. New programs get more from keystore.h and -lkeystore: several stores,
 * binary keys, empty values, batches, callbacks.
 *
 * Any thread may call every function, also while another thread initialises or cleans up.
 * A signal handler may call none of them: a call that interrupts another can wait without end.
 * Each function returns 0, or a negative code of docs/error-codes.md:
 *
 *     -10  no memory was available
 *     -20  an argument is NULL, a key is empty or has over 65535 bytes, a value is empty or has
 *          over 4 GiB - 1
 *     -21  an argument of initialise_key_store is outside its limits
 *     -40  the store is not initialised, or was cleaned up
 *     -41  the key is absent
 *     -1   a bug in the library, caught before it could do harm
 *
 * A code keeps its number in later versions. ks_last_error_message (keystore.h) tells which
 * argument was wrong and what its limit is.
 */

#ifndef KEY_STORE_H
#define KEY_STORE_H

#include "type_definition.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Creates the store. If there is a store already, the call leaves it as it is and returns 0.
 *
 * - bucket_size: the number of buckets at the start, a power of two. The store grows from there as
 *   keys are added.
 * - pre_memory_allocation_factor: the fraction of those buckets for which memory is reserved, over
 *   0 and at most 1.
 * - is_concurrency_enabled: true if threads use the store at once. If false, calls take turns: they
 *   are safe on any thread, and the buckets have no locks.
 *
 * Returns 0, -10 or -21.
 */
int initialise_key_store(unsigned int bucket_size, double pre_memory_allocation_factor, bool is_concurrency_enabled);

/*
 * Removes the store, after the calls of other threads have returned, and frees all its memory.
 * Values from get_key stay the caller's. The store can be initialised again.
 *
 * Returns 0; -40 if there is no store.
 */
int cleanup_key_store(void);

/*
 * Sets the value of the key, a string. Both are copied: the caller keeps its own memory.
 *
 * Returns 0, -10, -20 or -40.
 */
int set_key(const char *key, key_store_value *value);

/*
 * Copies the value of the key. value_out->data comes from malloc, and the caller frees it with
 * free. If the call fails, value_out becomes NULL and 0.
 *
 * Returns 0, -10, -20, -40 or -41.
 */
int get_key(const char *key, key_store_value *value_out);

/*
 * Removes the key.
 *
 * Returns 0, -10, -20, -40 or -41.
 */
int delete_key(const char *key);

/* Returns the statistics of the store; all zeros if there is none. It reads every key. */
keystore_stats get_keystore_stats(void);

#ifdef __cplusplus
}
#endif

#endif
