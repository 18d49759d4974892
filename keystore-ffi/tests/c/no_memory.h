/*
 * An allocator that can let one thread run out of memory. Include this file once, after defining
 * _GNU_SOURCE.
 */

#ifndef KS_TEST_NO_MEMORY_H
#define KS_TEST_NO_MEMORY_H

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

/* Number of allocations that this thread may still make; negative for no limit. */
static __thread long left = -1;

/*
 * Bytes that the thread has freed since its allocations ran out. It may allocate as many again,
 * because memory that was just freed is available with any allocator too. The library relies on
 * that: before it calls a dependency that cannot report a failure, it allocates as much memory and
 * frees it again.
 */
static __thread size_t given_back;

static bool refused(size_t size) {
    if (left < 0)
        return false;
    if (left > 0) {
        left--;
        return false;
    }
    if (size > given_back)
        return true;
    given_back -= size;
    return false;
}

void *malloc(size_t size) { return refused(size) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return refused(count * size) ? NULL : __libc_calloc(count, size); }
void *memalign(size_t alignment, size_t size) { return refused(size) ? NULL : __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return refused(size) ? NULL : __libc_memalign(alignment, size); }

void *realloc(void *block, size_t size) {
    size_t before = malloc_usable_size(block);
    if (refused(size))
        return NULL;
    if (left == 0)
        given_back += before;
    return __libc_realloc(block, size);
}

void free(void *block) {
    if (left == 0)
        given_back += malloc_usable_size(block);
    __libc_free(block);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    if (refused(size))
        return ENOMEM;
    *block = __libc_memalign(alignment, size);
    return *block == NULL ? ENOMEM : 0;
}

#endif
