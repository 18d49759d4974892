#include <keystore.h>
#include <stdio.h>

int main(void) {
    ks_store *store;
    char value[64];
    size_t length;
    if (ks_open(NULL, &store) != KS_OK || ks_set(store, "answer", 6, "42", 2) != KS_OK ||
        ks_get(store, "answer", 6, value, sizeof value, &length) != KS_OK)
        return fprintf(stderr, "%s\n", ks_last_error_message()), 1;
    printf("%.*s\n", (int)length, value);
    return ks_close(store);
}
