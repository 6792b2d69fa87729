#include "store/store.h"

#include <string.h>

/*
 * Every move that a delivery may make. PENDING to itself is "again later": the next try after a failed one, or
 * now, by hand. What is not here never happens, whoever asks for it.
 */
static const struct {
	bh_state from, to;
} MOVES[] = {
	{BH_STATE_PENDING, BH_STATE_PENDING},   {BH_STATE_PENDING, BH_STATE_HELD},
	{BH_STATE_PENDING, BH_STATE_DELIVERED}, {BH_STATE_PENDING, BH_STATE_GONE},
	{BH_STATE_PENDING, BH_STATE_EXHAUSTED}, {BH_STATE_PENDING, BH_STATE_COALESCED},
	{BH_STATE_PENDING, BH_STATE_CANCELLED}, {BH_STATE_HELD, BH_STATE_PENDING},
	{BH_STATE_HELD, BH_STATE_DELIVERED},    {BH_STATE_HELD, BH_STATE_GONE},
	{BH_STATE_HELD, BH_STATE_EXHAUSTED},    {BH_STATE_HELD, BH_STATE_COALESCED},
	{BH_STATE_HELD, BH_STATE_CANCELLED},    {BH_STATE_EXHAUSTED, BH_STATE_PENDING},
	{BH_STATE_PENDING, BH_STATE_FILTERED},  {BH_STATE_HELD, BH_STATE_FILTERED},
};

static const char *const NAMES[] = {
	[BH_STATE_PENDING] = "pending",     [BH_STATE_HELD] = "held",           [BH_STATE_DELIVERED] = "delivered",
	[BH_STATE_GONE] = "gone",           [BH_STATE_EXHAUSTED] = "exhausted", [BH_STATE_COALESCED] = "coalesced",
	[BH_STATE_CANCELLED] = "cancelled", [BH_STATE_FILTERED] = "filtered",
};

const char *bh_state_name(bh_state state)
{
	g_assert((size_t)state < G_N_ELEMENTS(NAMES) && NAMES[state]);
	return NAMES[state];
}

const char *bh_recovery_state_name(bh_recovery_state state)
{
	static const char *const names[] = {
		[BH_RECOVERY_RUNNING] = "running", [BH_RECOVERY_DONE] = "done", [BH_RECOVERY_CANCELLED] = "cancelled"};

	g_assert((size_t)state < G_N_ELEMENTS(names) && names[state]);
	return names[state];
}

void bh_recovery_free(bh_recovery *r)
{
	if (!r)
		return;
	g_free(r->who);
	g_free(r);
}

bool bh_state_parse(const char *text, bh_state *ret)
{
	for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++) {
		if (NAMES[i] && strcmp(NAMES[i], text) == 0) {
			*ret = (bh_state)i;
			return true;
		}
	}
	return false;
}

bool bh_state_is_final(bh_state state)
{
	return state != BH_STATE_PENDING && state != BH_STATE_HELD;
}

bool bh_state_may_move(bh_state from, bh_state to)
{
	for (size_t i = 0; i < G_N_ELEMENTS(MOVES); i++) {
		if (MOVES[i].from == from && MOVES[i].to == to)
			return true;
	}
	return false;
}
