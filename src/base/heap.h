/*
 * A binary heap of borrowed pointers, smallest first. Each thing keeps its own place in a size_t field (SIZE_MAX:
 * it is in no heap), so that one in the middle can be moved or taken out.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct bh_heap {
	GPtrArray *things;
	bool (*before)(const void *a, const void *b);
	size_t place_offset; /* offsetof(thing, place) */
} bh_heap;

void bh_heap_init(bh_heap *heap, bool (*before)(const void *a, const void *b), size_t place_offset);
void bh_heap_clear(bh_heap *heap);

size_t bh_heap_size(const bh_heap *heap);
void *bh_heap_first(const bh_heap *heap); /* NULL: empty */
void bh_heap_add(bh_heap *heap, void *thing);
void *bh_heap_pop(bh_heap *heap); /* NULL: empty */
void bh_heap_remove(bh_heap *heap, void *thing);
/* After what orders the thing changed. */
void bh_heap_moved(bh_heap *heap, void *thing);
