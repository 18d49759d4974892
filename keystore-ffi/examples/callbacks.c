#include <keystore.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * Adds one to a number. The new value lies in the caller's `context`, because it must stay valid
 * after this function has returned.
 */
static int add_one(void *context, const void *old_value, size_t old_len, ks_bytes *new_value) {
    uint64_t *number = context;
    *number = 0;
    if (old_value != NULL && old_len == sizeof *number)
        memcpy(number, old_value, sizeof *number); /* A value need not be aligned. */
    ++*number;
    new_value->data = number;
    new_value->len = sizeof *number;
    return KS_UPDATE_SET; /* or KS_UPDATE_KEEP, KS_UPDATE_DELETE */
}

/* Prints an entry. */
static int print(void *context, const void *key, size_t key_len, const void *value,
                 size_t value_len) {
    uint64_t number;
    if (value_len != sizeof number)
        return 1; /* Stops. */
    memcpy(&number, value, sizeof number);
    fprintf(context, "%.*s: %llu\n", (int)key_len, (const char *)key, (unsigned long long)number);
    return 0; /* Goes on. */
}

int main(void) {
    ks_store *store;
    uint64_t number;
    int status = ks_open(NULL, &store);
    for (int i = 0; status == KS_OK && i < 3; i++)
        status = ks_update(store, "visits", 6, add_one, &number);
    if (status == KS_OK)
        status = ks_for_each(store, print, stdout);
    if (status != KS_OK)
        return fprintf(stderr, "%s\n", ks_last_error_message()), 1;
    return ks_close(store);
}
