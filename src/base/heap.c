#include "base/heap.h"

#include <stdint.h>

static size_t *place_of(const bh_heap *heap, void *thing)
{
	return (void *)((char *)thing + heap->place_offset);
}

static void put(bh_heap *heap, size_t place, void *thing)
{
	heap->things->pdata[place] = thing;
	*place_of(heap, thing) = place;
}

static void rise(bh_heap *heap, size_t place, void *thing)
{
	while (place > 0) {
		size_t above = (place - 1) / 2;
		if (!heap->before(thing, heap->things->pdata[above]))
			break;
		put(heap, place, heap->things->pdata[above]);
		place = above;
	}
	put(heap, place, thing);
}

static void sink(bh_heap *heap, size_t place, void *thing)
{
	size_t size = heap->things->len;
	for (;;) {
		size_t below = 2 * place + 1;
		if (below >= size)
			break;
		if (below + 1 < size && heap->before(heap->things->pdata[below + 1], heap->things->pdata[below]))
			below++;
		if (!heap->before(heap->things->pdata[below], thing))
			break;
		put(heap, place, heap->things->pdata[below]);
		place = below;
	}
	put(heap, place, thing);
}

void bh_heap_init(bh_heap *heap, bool (*before)(const void *a, const void *b), size_t place_offset)
{
	*heap = (bh_heap){.things = g_ptr_array_new(), .before = before, .place_offset = place_offset};
}

void bh_heap_clear(bh_heap *heap)
{
	g_clear_pointer(&heap->things, g_ptr_array_unref);
}

size_t bh_heap_size(const bh_heap *heap)
{
	return heap->things->len;
}

void *bh_heap_first(const bh_heap *heap)
{
	return heap->things->len > 0 ? heap->things->pdata[0] : NULL;
}

void bh_heap_add(bh_heap *heap, void *thing)
{
	g_ptr_array_add(heap->things, thing);
	rise(heap, heap->things->len - 1, thing);
}

void *bh_heap_pop(bh_heap *heap)
{
	void *first = bh_heap_first(heap);
	if (first)
		bh_heap_remove(heap, first);
	return first;
}

void bh_heap_remove(bh_heap *heap, void *thing)
{
	size_t place = *place_of(heap, thing);
	g_assert(place < heap->things->len && heap->things->pdata[place] == thing);

	void *last = heap->things->pdata[heap->things->len - 1];
	g_ptr_array_set_size(heap->things, (gint)heap->things->len - 1);
	*place_of(heap, thing) = SIZE_MAX;
	if (last != thing) {
		put(heap, place, last);
		bh_heap_moved(heap, last);
	}
}

void bh_heap_moved(bh_heap *heap, void *thing)
{
	rise(heap, *place_of(heap, thing), thing);
	sink(heap, *place_of(heap, thing), thing);
}
