/* What the C programs against key_store.h share: nothing here is of libkeystore but that header. */

#ifndef CHECK_H
#define CHECK_H

#include "key_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program where `condition` does not hold. */
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
    /* The caller keeps its own: what it does with it is nothing to the store. */
    memset(value.data, '?', value.data_size);
    free(value.data);
    return status;
}

/* Whether the value of a key is this text. */
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
