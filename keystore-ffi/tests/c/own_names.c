/* Tests that a program with keystore.h may have functions with the names of the predecessor's. */

#include "check.h"

int get_key(int number);
int set_key(int number);

int get_key(int number) { return number + 1; }
int set_key(int number) { return number + 2; }

int main(void) {
    ks_store *store = open_store(KS_BACKEND_EPOCH, KS_POOL_SLAB);
    CHECK(ks_set(store, "k", 1, "value", 5) == KS_OK && has(store, "k", "value"));
    CHECK(get_key(1) == 2 && set_key(1) == 3);
    CHECK(ks_close(store) == KS_OK);
    return 0;
}
