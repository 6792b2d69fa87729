/*
 * An ordered map whose states share what did not change: a tree of immutable, counted nodes of up
 * to 32 entries. A change copies the nodes on one path (three for 100,000 items, about a hundred
 * pointers) and leaves every other state of the map as it was. Private to the directory.
 *
 *   find, put, remove   O(log n), about 17 comparisons for 100,000 items; most of them compare
 *                       64 bits within a node and touch no item
 *   page                O(log n + limit)
 *   share, clear        O(1), and what only this state held is freed
 *
 * A state may be read by any number of threads; a bh_map itself is changed by one.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How items of a kind are ordered and counted. */
typedef struct bh_map_kind {
	const void *(*key)(const void *item);
	/* The first 64 bits of a key's order: a smaller rank is a smaller key. */
	uint64_t (*rank)(const void *key);
	/* Decides between keys of the same rank; NULL: they are equal. */
	int (*compare)(const void *a, const void *b);
	void (*ref)(void *item);
	void (*unref)(void *item);
} bh_map_kind;

typedef struct bh_map_node bh_map_node;

/* One state. Zero but for its kind, it is empty. */
typedef struct bh_map {
	const bh_map_kind *kind;
	bh_map_node *root;
	size_t count;
} bh_map;

/* A second handle on the same state: changing one does not change the other. */
bh_map bh_map_share(const bh_map *map);
void bh_map_clear(bh_map *map);

void *bh_map_find(const bh_map *map, const void *key);

/* Adds `item` (and references it), in place of one with the same key. */
void bh_map_put(bh_map *map, void *item);

/* Drops the item with this key. False: there was none. */
bool bh_map_remove(bh_map *map, const void *key);

/* Appends up to `limit` items with a key greater than `after` (NULL: all), in order, borrowed. */
void bh_map_page(const bh_map *map, const void *after, size_t limit, GPtrArray *ret);
