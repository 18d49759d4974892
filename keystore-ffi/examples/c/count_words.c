/*
 * Counts the words of a text, and prints the most frequent ones.
 *
 *     count_words < text
 */

#include <keystore.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 10, LONGEST = 255 };

/* A word and its number of occurrences. */
struct ranked {
    unsigned long count;
    char word[LONGEST + 1];
};

/* Adds one to a count. The new value lies in `context`, which is valid until ks_update returns. */
static int add_one(void *context, const void *old_value, size_t old_len, ks_bytes *new_value) {
    unsigned long *count = context;
    *count = 0;
    if (old_value != NULL)
        memcpy(count, old_value, old_len);
    ++*count;
    new_value->data = count;
    new_value->len = sizeof *count;
    return KS_UPDATE_SET;
}

/* Orders more frequent words first. */
static int compare(const struct ranked *a, const struct ranked *b) {
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return -strcmp(a->word, b->word);
}

/* Inserts an entry at its place among the most frequent words so far. */
static int rank(void *context, const void *key, size_t key_len, const void *value, size_t value_len) {
    struct ranked *top = context, candidate;
    memset(&candidate, 0, sizeof candidate);
    memcpy(&candidate.count, value, value_len);
    memcpy(candidate.word, key, key_len);
    for (int i = 0; i < TOP; i++)
        if (compare(&candidate, &top[i]) < 0) {
            struct ranked next = top[i];
            top[i] = candidate;
            candidate = next;
        }
    return 0;
}

/* Prints the last message. */
static int fail(void) {
    fprintf(stderr, "keystore: %s\n", ks_last_error_message());
    return EXIT_FAILURE;
}

int main(void) {
    static struct ranked top[TOP];
    char word[LONGEST + 1];
    unsigned long count;
    ks_options options;
    ks_store *store;

    if (ks_options_init(&options, sizeof options) != KS_OK)
        return fail();
    options.initial_buckets = 1024;
    if (ks_open(&options, &store) != KS_OK)
        return fail();

    while (scanf("%255s", word) == 1)
        if (ks_update(store, word, strlen(word), add_one, &count) != KS_OK)
            return fail();
    if (ks_for_each(store, rank, top) != KS_OK || ks_close(store) != KS_OK)
        return fail();

    for (int i = 0; i < TOP && top[i].count > 0; i++)
        printf("%lu %s\n", top[i].count, top[i].word);
    return EXIT_SUCCESS;
}
