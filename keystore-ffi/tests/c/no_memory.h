/*
 * An allocator with which one thread can run out of memory. To be included once, after
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

/* Allocations that this thread may still make; negative for any number. */
static __thread long left = -1;

/*
 * Bytes that the thread has given back since it may make none. It gets as many again: what was
 * just freed is there, as with any allocator. Libraries that cannot report a failure are called
 * only after the memory that they take was asked for and given back.
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
