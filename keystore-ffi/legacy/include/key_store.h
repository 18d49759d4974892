/*
 * One store for the whole process: the interface of the C predecessor, on keystore.
 *
 * A program that was written for the predecessor builds with this header as it is, and is linked
 * with -lkeystore_legacy. New programs have more from keystore.h and -lkeystore: several stores,
 * binary keys, empty values, batches, callbacks.
 *
 * Any thread may call every function, also while another thread initialises or cleans up.
 * A signal handler may call none of them: a call that interrupts another can wait without end.
 * Each function answers 0, or a negative code of docs/error-codes.md:
 *
 *     -10  memory could not be had
 *     -20  an argument is NULL, a key is empty or has over 65535 bytes, a value is empty or has
 *          over 4 GiB - 1
 *     -21  an argument of initialise_key_store is outside its limits
 *     -40  the store is not initialised, or was cleaned up
 *     -41  the key is not there
 *     -1   a bug in the library, caught before it could do harm
 *
 * Each keeps its number. ks_last_error_message (keystore.h) tells which argument was wrong and
 * what its limit is.
 */

#ifndef KEY_STORE_H
#define KEY_STORE_H

#include "type_definition.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes the store. If there is a store already, it stays as it is, and the answer is 0.
 *
 * - bucket_size: the buckets at the start, a power of two. The store grows from there with its
 *   keys.
 * - pre_memory_allocation_factor: the share of those buckets for which memory is reserved, over 0
 *   and at most 1.
 * - is_concurrency_enabled: true if threads work in the store at once. If false, calls take turns:
 *   they are safe on any thread, and the buckets have no locks.
 *
 * 0, -10, -21.
 */
int initialise_key_store(unsigned int bucket_size, double pre_memory_allocation_factor, bool is_concurrency_enabled);

/*
 * Removes the store, once calls of other threads have returned, and gives back all its memory.
 * Values from get_key stay the caller's. The store can be initialised anew.
 *
 * 0; -40 where there is none.
 */
int cleanup_key_store(void);

/*
 * Gives the key, a string, this value. Both are copied: the caller keeps its own.
 *
 * 0, -10, -20, -40.
 */
int set_key(const char *key, key_store_value *value);

/*
 * Copies the value of the key: value_out->data comes from malloc, and the caller frees it with
 * free. NULL and 0 go there where the call fails.
 *
 * 0, -10, -20, -40, -41.
 */
int get_key(const char *key, key_store_value *value_out);

/*
 * Removes the key.
 *
 * 0, -10, -20, -40, -41.
 */
int delete_key(const char *key);

/* Takes a picture of the store: all zeros where it is not initialised. It looks at every key. */
keystore_stats get_keystore_stats(void);

#ifdef __cplusplus
}
#endif

#endif
