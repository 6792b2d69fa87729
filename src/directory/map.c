#include "directory/map.h"

#include <string.h>

#define WIDTH 32
/* A node that lost entries joins a neighbour when both have room in one with some to spare, else the next put would split it. */
#define JOINED_MAX (WIDTH * 3 / 4)

/*
 * In a leaf an entry is an item. Above, it is a child and that child's first item, which orders it: it
 * is borrowed, as the child holds it.
 */
typedef struct entry {
	uint64_t rank;
	void *item;
	bh_map_node *child; /* NULL in a leaf */
} entry;

struct bh_map_node {
	int refs; /* atomic */
	unsigned count;
	entry entries[]; /* never empty */
};

/* A key that is looked for, with its rank worked out once. */
typedef struct probe {
	const bh_map_kind *kind;
	const void *key;
	uint64_t rank;
} probe;

static probe probe_of(const bh_map_kind *kind, const void *key)
{
	return (probe){kind, key, kind->rank(key)};
}

static int compare(const probe *p, const entry *e)
{
	if (p->rank != e->rank)
		return p->rank < e->rank ? -1 : 1;
	return p->kind->compare ? p->kind->compare(p->key, p->kind->key(e->item)) : 0;
}

/* How many entries are not greater than the key: the last of them is the key's, or what leads to it. */
static unsigned entries_up_to(const bh_map_node *node, const probe *p)
{
	unsigned low = 0, high = node->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (compare(p, &node->entries[middle]) < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool is_leaf(const bh_map_node *node)
{
	return !node->entries[0].child;
}

static void ref_entry(const bh_map_kind *kind, const entry *e)
{
	if (e->child)
		g_atomic_int_inc(&e->child->refs);
	else
		kind->ref(e->item);
}

static void unref_node(const bh_map_kind *kind, bh_map_node *node)
{
	if (!node || !g_atomic_int_dec_and_test(&node->refs))
		return;
	for (unsigned i = 0; i < node->count; i++) {
		if (node->entries[i].child)
			unref_node(kind, node->entries[i].child);
		else
			kind->unref(node->entries[i].item);
	}
	g_free(node);
}

/* Takes the references that the entries hold. */
static bh_map_node *make_node(const entry *entries, unsigned count)
{
	bh_map_node *node = g_malloc(sizeof *node + count * sizeof *entries);

	node->refs = 1;
	node->count = count;
	memcpy(node->entries, entries, count * sizeof *entries);
	return node;
}

/* Takes the reference. */
static entry entry_of(bh_map_node *child)
{
	return (entry){.rank = child->entries[0].rank, .item = child->entries[0].item, .child = child};
}

/*
 * A node that is being rewritten: copies of all its entries, of which `from` and those after it, `gone` in
 * number, make place for `come` new ones. The others are referenced.
 */
typedef struct draft {
	entry entries[WIDTH + 1];
	unsigned count;
} draft;

static void replace(draft *d, const bh_map_kind *kind, const bh_map_node *node, unsigned from, unsigned gone,
		    const entry *fresh, unsigned come)
{
	memcpy(d->entries, node->entries, from * sizeof *fresh);
	if (come > 0)
		memcpy(d->entries + from, fresh, come * sizeof *fresh);
	memcpy(d->entries + from + come, node->entries + from + gone, (node->count - from - gone) * sizeof *fresh);
	d->count = node->count - gone + come;
	for (unsigned i = 0; i < d->count; i++)
		if (i < from || i >= from + come)
			ref_entry(kind, &d->entries[i]);
}

/* One node, or two when it grew too wide. Returns how many. */
static unsigned finish(const draft *d, bh_map_node *ret[2])
{
	unsigned left = d->count > WIDTH ? d->count / 2 : d->count;

	ret[0] = make_node(d->entries, left);
	if (left == d->count)
		return 1;
	ret[1] = make_node(d->entries + left, d->count - left);
	return 2;
}

static unsigned put_into(const bh_map_node *node, const probe *p, void *item, bh_map_node *ret[2], bool *ret_new)
{
	unsigned up_to = entries_up_to(node, p);
	draft d;

	if (is_leaf(node)) {
		entry fresh = {.rank = p->rank, .item = item};
		bool there = up_to > 0 && compare(p, &node->entries[up_to - 1]) == 0;
		p->kind->ref(item);
		replace(&d, p->kind, node, up_to - there, there, &fresh, 1);
		*ret_new = !there;
	} else {
		unsigned at = up_to > 0 ? up_to - 1 : 0;
		bh_map_node *children[2];
		entry fresh[2];
		unsigned come = put_into(node->entries[at].child, p, item, children, ret_new);
		for (unsigned i = 0; i < come; i++)
			fresh[i] = entry_of(children[i]);
		replace(&d, p->kind, node, at, 1, fresh, come);
	}
	return finish(&d, ret);
}

/* Two neighbouring nodes as one. */
static bh_map_node *join(const bh_map_kind *kind, const bh_map_node *left, const bh_map_node *right)
{
	entry entries[WIDTH];

	memcpy(entries, left->entries, left->count * sizeof *entries);
	memcpy(entries + left->count, right->entries, right->count * sizeof *entries);
	unsigned count = left->count + right->count;
	for (unsigned i = 0; i < count; i++)
		ref_entry(kind, &entries[i]);
	return make_node(entries, count);
}

static bool would_join(const bh_map_node *left, const bh_map_node *right)
{
	return left->count + right->count <= JOINED_MAX;
}

static bh_map_node *remove_from(const bh_map_node *node, const probe *p);

/* The child at `at` became `child` (taken; NULL: empty). */
static bh_map_node *with_smaller_child(const bh_map_kind *kind, const bh_map_node *node, unsigned at,
				       bh_map_node *child)
{
	unsigned from = at, gone = 1;
	bh_map_node *joined = NULL;
	draft d;

	if (child && at > 0 && would_join(node->entries[at - 1].child, child)) {
		joined = join(kind, node->entries[at - 1].child, child);
		from = at - 1;
		gone = 2;
	} else if (child && at + 1 < node->count && would_join(child, node->entries[at + 1].child)) {
		joined = join(kind, child, node->entries[at + 1].child);
		gone = 2;
	}
	if (joined) {
		unref_node(kind, child);
		child = joined;
	}
	if (!child && node->count == 1)
		return NULL;
	entry fresh = child ? entry_of(child) : (entry){0};
	replace(&d, kind, node, from, gone, &fresh, child ? 1 : 0);
	return make_node(d.entries, d.count);
}

/* The node without the key, which is there. NULL: nothing is left. */
static bh_map_node *remove_from(const bh_map_node *node, const probe *p)
{
	unsigned at = entries_up_to(node, p) - 1;
	draft d;

	if (!is_leaf(node))
		return with_smaller_child(p->kind, node, at, remove_from(node->entries[at].child, p));
	if (node->count == 1)
		return NULL;
	replace(&d, p->kind, node, at, 1, NULL, 0);
	return make_node(d.entries, d.count);
}

bh_map bh_map_share(const bh_map *map)
{
	if (map->root)
		g_atomic_int_inc(&map->root->refs);
	return *map;
}

void bh_map_clear(bh_map *map)
{
	unref_node(map->kind, g_steal_pointer(&map->root));
	map->count = 0;
}

void *bh_map_find(const bh_map *map, const void *key)
{
	probe p = probe_of(map->kind, key);

	for (const bh_map_node *node = map->root; node;) {
		unsigned up_to = entries_up_to(node, &p);
		if (up_to == 0)
			return NULL;
		const entry *e = &node->entries[up_to - 1];
		if (!e->child)
			return compare(&p, e) == 0 ? e->item : NULL;
		node = e->child;
	}
	return NULL;
}

static void set_root(bh_map *map, bh_map_node *root)
{
	unref_node(map->kind, map->root);
	map->root = root;
}

void bh_map_put(bh_map *map, void *item)
{
	probe p = probe_of(map->kind, map->kind->key(item));
	bh_map_node *nodes[2];
	bool new = true;

	if (!map->root) {
		map->kind->ref(item);
		nodes[0] = make_node(&(entry){.rank = p.rank, .item = item}, 1);
	} else if (put_into(map->root, &p, item, nodes, &new) == 2) {
		nodes[0] = make_node((entry[]){entry_of(nodes[0]), entry_of(nodes[1])}, 2);
	}
	set_root(map, nodes[0]);
	map->count += new;
}

bool bh_map_remove(bh_map *map, const void *key)
{
	probe p = probe_of(map->kind, key);

	if (!bh_map_find(map, key))
		return false;
	bh_map_node *root = remove_from(map->root, &p);
	while (root && root->count == 1 && !is_leaf(root)) {
		bh_map_node *only = root->entries[0].child;
		g_atomic_int_inc(&only->refs);
		unref_node(map->kind, root);
		root = only;
	}
	set_root(map, root);
	map->count--;
	return true;
}

/* Appends from entries with a key greater than the probe's (NULL: from all) until `ret` has `full` items. */
static void page(const bh_map_node *node, const probe *p, guint full, GPtrArray *ret)
{
	unsigned up_to = p ? entries_up_to(node, p) : 0;

	if (is_leaf(node)) {
		for (unsigned i = up_to; i < node->count && ret->len < full; i++)
			g_ptr_array_add(ret, node->entries[i].item);
		return;
	}
	/* Only the child that the key leads to can hold smaller ones. */
	if (up_to > 0)
		page(node->entries[up_to - 1].child, p, full, ret);
	for (unsigned i = up_to; i < node->count && ret->len < full; i++)
		page(node->entries[i].child, NULL, full, ret);
}

void bh_map_page(const bh_map *map, const void *after, size_t limit, GPtrArray *ret)
{
	probe p = after ? probe_of(map->kind, after) : (probe){0};

	if (map->root)
		page(map->root, after ? &p : NULL, ret->len + (guint)MIN(limit, G_MAXUINT - ret->len), ret);
}
