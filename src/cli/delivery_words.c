#include "cli/delivery_words.h"

#include "cli/member.h"

#define OVERDUE_AFTER (2 * BH_SECOND) /* what was due a moment ago is about to be sent */

static char *earlier_words(const bh_json *json, uint32_t delivery)
{
	if (!bh_member_true(json, delivery, "waits_for_earlier"))
		return NULL;
	g_autofree char *key = bh_member_shown(json, delivery, "order_key");
	return key ? g_strdup_printf("an earlier one with the order key \"%s\"", key) : g_strdup("an earlier one");
}

static bool is_overdue(const bh_view *view, const bh_json *json, uint32_t delivery)
{
	bh_usec due;
	return bh_member_time(json, delivery, "due_at", &due) && due + OVERDUE_AFTER < view->now;
}

char *bh_delivery_waits_for(const bh_view *view, const bh_json *json, uint32_t delivery)
{
	char *earlier = earlier_words(json, delivery);
	if (earlier || !is_overdue(view, json, delivery))
		return earlier;
	return g_strdup("its turn: the receiver is asked only now and then while it fails, or has had its rate");
}

char *bh_delivery_why(const bh_view *view, const bh_json *json, uint32_t delivery)
{
	g_autofree char *reason = bh_member_shown(json, delivery, "reason");
	g_autofree char *newer = bh_member_shown(json, delivery, "superseded_by");
	g_autofree char *earlier = earlier_words(json, delivery);
	GString *why = g_string_new(reason ? reason : "");
	if (newer && why->len) { /* the reason tells of a newer one: here is which */
		if (why->str[why->len - 1] == '.')
			g_string_truncate(why, why->len - 1);
		g_string_append_printf(why, ": %s.", newer);
	} else if (newer) {
		g_string_append_printf(why, "The newer %s was sent in its place.", newer);
	}
	if (earlier)
		g_string_append_printf(why, " It waits until %s has ended.", earlier);
	char *text = g_strstrip(g_string_free(why, FALSE));
	if (!*text)
		g_clear_pointer(&text, g_free);
	return text;
}
