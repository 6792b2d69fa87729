#include "method/tokens.h"

#include <string.h>

#define REST_FIRST (5 * BH_SECOND)
#define REST_MAX (5 * BH_MINUTE)
#define RETRY_AFTER_MAX (10 * BH_HOUR)
#define LIFE_UNSAID (5 * BH_MINUTE)
#define LIFE_MAX BH_DAY
#define MARGIN \
	(60 * BH_SECOND) /* a token is not used in the last minute of its life: it must arrive while it is good */
#define PATIENCE_FIRST (30 * BH_SECOND)
#define PATIENCE_MAX (5 * BH_MINUTE)
#define IDLE_MAX BH_HOUR

typedef enum state {
	EMPTY,
	FLYING,
	HELD,
	RESTING,
} state;

struct bh_token_place {
	bh_tokens *tokens;
	unsigned refs; /* one is the table's */
	bh_token_key key;
	uint64_t version;
	GList link; /* in tokens->by_use */
	bh_mono used;

	state state;
	GQueue waiting; /* FLYING: bh_token_claim */
	bh_secret *token; /* HELD */
	bh_mono until; /* HELD: good; RESTING: nobody asks */

	unsigned failures; /* flights in a row that brought nothing */
	bh_cause cause; /* of the last one */
	char *sentence;

	bool was_replaced; /* a receiver refused one of its tokens */
	bool replaces; /* FLYING: for that reason */
	bool is_proved; /* some receiver took the token */
	bh_mono replaced; /* when */
	bh_usec patience; /* from then until the next may be replaced */
};

struct bh_tokens {
	GHashTable *places; /* bh_token_key -> bh_token_place, which owns it */
	GQueue by_use; /* the one that was not used for longest first */
	EVP_MD_CTX *hash;
	size_t places_max;
	void (*wake)(void *user);
};

/* --- Places ----------------------------------------------------------------------------------- */

static guint hash_key(gconstpointer data)
{
	guint hash;
	const bh_token_key *key = data;
	memcpy(&hash, key->digest, sizeof hash); /* as good as random: it is of SHA-256 */
	return hash;
}

static gboolean keys_equal(gconstpointer a, gconstpointer b)
{
	const bh_token_key *one = a, *other = b;
	return one->webhook == other->webhook && memcmp(one->digest, other->digest, sizeof one->digest) == 0;
}

static void drop_token(bh_token_place *place)
{
	g_clear_pointer(&place->token, bh_secret_unref);
	place->state = EMPTY;
}

bh_token_place *bh_token_place_ref(bh_token_place *place)
{
	place->refs++;
	return place;
}

void bh_token_place_unref(bh_token_place *place)
{
	if (!place || --place->refs > 0)
		return;
	g_clear_pointer(&place->token, bh_secret_unref);
	g_free(place->sentence);
	g_free(place);
}

bh_tokens *bh_tokens_new(size_t places_max, void (*wake)(void *user))
{
	bh_tokens *t = g_new0(bh_tokens, 1);
	t->places = g_hash_table_new(hash_key, keys_equal);
	t->hash = EVP_MD_CTX_new();
	t->places_max = places_max;
	t->wake = wake;
	return t;
}

static void forget(bh_token_place *place)
{
	g_hash_table_remove(place->tokens->places, &place->key);
	g_queue_unlink(&place->tokens->by_use, &place->link);
	bh_token_place_unref(place);
}

void bh_tokens_free(bh_tokens *t)
{
	if (!t)
		return;
	while (t->by_use.head)
		forget(t->by_use.head->data);
	g_hash_table_unref(t->places);
	EVP_MD_CTX_free(t->hash);
	g_free(t);
}

static bool is_in_use(const bh_token_place *place)
{
	return place->refs > 1;
}

/* Forgets the least used ones until no more than `most` are left; those in use stay. */
static void make_room(bh_tokens *t, size_t most)
{
	for (GList *at = t->by_use.head, *next; at && t->by_use.length > most; at = next) {
		next = at->next;
		if (!is_in_use(at->data))
			forget(at->data);
	}
}

/* What was fetched with settings that are not the webhook's any more is worth nothing but trouble. */
static void forget_other_versions(bh_tokens *t, bh_id webhook, uint64_t version)
{
	for (GList *at = t->by_use.head, *next; at; at = next) {
		bh_token_place *place = at->data;
		next = at->next;
		if (place->key.webhook != webhook || place->version == version)
			continue;
		if (!is_in_use(place))
			forget(place);
		else if (place->state == HELD)
			drop_token(place);
	}
}

static bh_token_place *add_place(bh_tokens *t, const bh_token_key *key, uint64_t version)
{
	bh_token_place *place = g_new0(bh_token_place, 1);
	*place = (bh_token_place){.tokens = t, .refs = 1, .key = *key, .version = version, .patience = PATIENCE_FIRST};
	place->link.data = place;
	g_hash_table_insert(t->places, &place->key, place);
	g_queue_push_tail_link(&t->by_use, &place->link);
	return place;
}

bh_token_place *bh_tokens_place(bh_tokens *t, const bh_token_key *key, uint64_t version, bh_mono now)
{
	bh_token_place *place = g_hash_table_lookup(t->places, key);

	if (!place) {
		forget_other_versions(t, key->webhook, version);
		make_room(t, t->places_max - 1);
		place = add_place(t, key, version);
	} else if (t->by_use.tail != &place->link) {
		g_queue_unlink(&t->by_use, &place->link);
		g_queue_push_tail_link(&t->by_use, &place->link);
	}
	place->used = now;
	return bh_token_place_ref(place);
}

void bh_tokens_tidy(bh_tokens *t, bh_mono now)
{
	while (t->by_use.head) {
		bh_token_place *oldest = t->by_use.head->data;
		if (is_in_use(oldest) || bh_mono_since(now, oldest->used) < IDLE_MAX)
			return;
		forget(oldest);
	}
}

EVP_MD_CTX *bh_tokens_hash(bh_tokens *t)
{
	return t->hash;
}

size_t bh_tokens_count(const bh_tokens *t)
{
	return t->by_use.length;
}

/* --- A claim ---------------------------------------------------------------------------------- */

static void wake(bh_token_claim *claim, bh_token_turn turn)
{
	claim->turn = turn;
	claim->place->tokens->wake(claim->user);
}

/* The token that the place has now, unless it is the very one that will not do. */
static bh_token_turn take_token(bh_token_claim *claim)
{
	bh_secret *token = claim->place->token;

	if (claim->instead_of && bh_secret_equal(token, claim->instead_of))
		return BH_TOKEN_NO_OTHER;
	claim->token = bh_secret_ref(token);
	return BH_TOKEN_HAD;
}

static bh_token_turn take_refusal(bh_token_claim *claim, bool was_asked, bh_usec after)
{
	const bh_token_place *place = claim->place;
	claim->refusal = (bh_token_refusal){
		.cause = place->cause, .sentence = g_strdup(place->sentence), .after = after, .was_asked = was_asked};
	return BH_TOKEN_REFUSED;
}

static void let_time_pass(bh_token_place *place, bh_mono now)
{
	if ((place->state == HELD || place->state == RESTING) && bh_mono_reached(now, place->until))
		drop_token(place);
}

/*
 * The receiver refused the token that is held. It is replaced, unless that was done a moment ago; the moment grows while
 * nobody takes what comes.
 */
static bool may_replace(bh_token_place *place, bh_mono now)
{
	if (place->was_replaced && bh_mono_since(now, place->replaced) < place->patience)
		return false;
	if (place->is_proved)
		place->patience = PATIENCE_FIRST;
	else if (place->was_replaced)
		place->patience = MIN(2 * place->patience, PATIENCE_MAX);
	return true;
}

static bh_token_turn fly(bh_token_claim *claim, bool replaces)
{
	claim->place->state = FLYING;
	claim->place->replaces = replaces;
	return BH_TOKEN_ASK;
}

static bh_token_turn turn_of(bh_token_claim *claim, bh_mono now)
{
	bh_token_place *place = claim->place;

	let_time_pass(place, now);
	switch (place->state) {
	case EMPTY:
		return fly(claim, false);
	case FLYING:
		g_queue_push_tail_link(&place->waiting, &claim->link);
		return BH_TOKEN_WAIT;
	case HELD:
		if (take_token(claim) == BH_TOKEN_HAD)
			return BH_TOKEN_HAD;
		if (!may_replace(place, now))
			return BH_TOKEN_NO_OTHER;
		drop_token(place);
		return fly(claim, true);
	case RESTING: /* who was refused by the receiver has an answer to go on with */
		return claim->instead_of ? BH_TOKEN_NO_OTHER
					 : take_refusal(claim, false, bh_mono_since(place->until, now));
	}
	g_assert_not_reached();
}

bh_token_turn bh_token_want(bh_token_place *place, bh_secret *instead_of, bh_mono now, bh_token_claim *claim)
{
	g_assert(!claim->place);
	claim->place = bh_token_place_ref(place);
	claim->instead_of = instead_of ? bh_secret_ref(instead_of) : NULL;
	claim->link = (GList){.data = claim};
	claim->turn = turn_of(claim, now);
	return claim->turn;
}

static bool asks(const bh_token_claim *claim)
{
	return claim->place && claim->turn == BH_TOKEN_ASK;
}

static bh_usec use_of(bh_usec life)
{
	if (life <= 0)
		return LIFE_UNSAID;
	return MIN(life < 2 * MARGIN ? life / 2 : life - MARGIN, LIFE_MAX);
}

void bh_token_granted(bh_token_claim *claim, bh_secret *token, bh_usec life, bh_mono now)
{
	bh_token_place *place = claim->place;
	bh_token_claim *next;

	g_assert(asks(claim) && place->state == FLYING);
	place->state = HELD;
	place->token = bh_secret_ref(token);
	place->until = bh_mono_add(now, use_of(life));
	place->failures = 0;
	place->is_proved = false;
	if (place->replaces) {
		place->was_replaced = true;
		place->replaced = now;
	}

	claim->turn = take_token(claim);
	for (GList *link; (link = g_queue_pop_head_link(&place->waiting)) != NULL; wake(next, take_token(next)))
		next = link->data;
}

static bh_usec rest_of(unsigned failures, bh_usec retry_after)
{
	bh_usec step = failures < 7 ? MIN(REST_FIRST << (failures - 1), REST_MAX) : REST_MAX;
	return MAX(step, MIN(retry_after, RETRY_AFTER_MAX));
}

void bh_token_refused(bh_token_claim *claim, bh_cause cause, const char *sentence, bh_usec retry_after, bh_mono now)
{
	bh_token_place *place = claim->place;
	bh_token_claim *next;

	g_assert(asks(claim) && place->state == FLYING);
	bh_usec after = 0;
	place->cause = cause;
	g_free(place->sentence);
	place->sentence = g_strdup(sentence);
	if (cause == BH_CAUSE_GUARD) { /* nothing was sent, and the next answer is as near */
		place->state = EMPTY;
	} else {
		after = rest_of(++place->failures, retry_after);
		place->state = RESTING;
		place->until = bh_mono_add(now, after);
	}

	claim->turn = take_refusal(claim, true, after);
	for (GList *link; (link = g_queue_pop_head_link(&place->waiting)) != NULL;
	     wake(next, take_refusal(next, true, after)))
		next = link->data;
}

/* Who asked is gone before the answer was heard. */
static void hand_over(bh_token_place *place)
{
	GList *first = g_queue_pop_head_link(&place->waiting);

	if (first)
		wake(first->data, BH_TOKEN_ASK);
	else
		place->state = EMPTY;
}

void bh_token_leave(bh_token_claim *claim)
{
	bh_token_place *place = claim->place;
	if (!place)
		return;

	if (asks(claim))
		hand_over(place);
	else if (claim->turn == BH_TOKEN_WAIT)
		g_queue_unlink(&place->waiting, &claim->link);
	bh_secret_unref(claim->instead_of);
	bh_secret_unref(claim->token);
	g_free(claim->refusal.sentence);
	*claim = (bh_token_claim){.user = claim->user};
	bh_token_place_unref(place);
}

void bh_token_proved(bh_token_place *place, const bh_secret *token)
{
	if (place->state == HELD && !place->is_proved &&
	    (place->token == token || bh_secret_equal(place->token, token)))
		place->is_proved = true;
}
