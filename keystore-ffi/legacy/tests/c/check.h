/*
 * Shared parts of the C programs for key_store.h. They use no header of libkeystore but that one.
 */

#ifndef CHECK_H
#define CHECK_H

#include "key_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program if `condition` does not hold. */
#define CHECK(condition)                                                                         \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);               \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

/* Sets a key to a text, its NUL included. */
static inline int set_text(const char *key, const char *text) {
    key_store_value value;
    int status;
    value.data_size = strlen(text) + 1;
    value.data = malloc(value.data_size);
    CHECK(value.data != NULL);
    memcpy(value.data, text, value.data_size);
    status = set_key(key, &value);
    /* The memory stays the caller's: the store does not notice what happens to it. */
    memset(value.data, '?', value.data_size);
    free(value.data);
    return status;
}

/* Returns whether the value of a key is this text. */
static inline bool has_text(const char *key, const char *text) {
    key_store_value value;
    bool same;
    if (get_key(key, &value) != 0)
        return false;
    same = value.data_size == strlen(text) + 1 && memcmp(value.data, text, value.data_size) == 0;
    free(value.data);
    return same;
}

#endif
