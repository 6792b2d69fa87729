/* How a webhook's deliveries are spaced: in which order, which of them are sent at all, how many a second. */
#include "api/body.h"
#include "api/reply.h"
#include "api/webhook.h"

static bool refuse(bh_call *call, const char *pointer, const char *why)
{
	bh_reply_problem(call, BH_PROBLEM_FIELD, pointer, "%s", why);
	return false;
}

static uint32_t member(bh_call *call, uint32_t object, const char *name)
{
	return bh_json_member(bh_call_json(call), object, name);
}

/* --- Fields that keys are made of -------------------------------------------------------- */

static const bh_text_rule FIELD = {.max = BH_FIELD_NAME_MAX};

static bool check_field(bh_call *call, const char *name, const char *pointer)
{
	for (const char *c = name; *c; c++)
		if (!g_ascii_isalnum(*c) && *c != '_' && *c != '-' && *c != '.')
			return refuse(call, pointer,
				      "It is \"property\", or the name of a field of data: letters, digits and _ - .");
	return true;
}

static bool check_fields(bh_call *call, char *const *names)
{
	if (!names[0])
		return refuse(call, "/coalesce/fields", "It must not be empty: \"property\" is one.");
	for (unsigned i = 0; names[i]; i++) {
		g_autofree char *pointer = g_strdup_printf("/coalesce/fields/%u", i);
		if (!check_field(call, names[i], pointer))
			return false;
	}
	return true;
}

/* --- Order ------------------------------------------------------------------------------- */

bool bh_set_order_by(bh_call *call, bh_webhook *w, uint32_t node)
{
	g_autofree char *name = NULL;

	if (!bh_body_is_null(call, node) &&
	    (!bh_body_text(call, node, "/order_by", &FIELD, &name) || !check_field(call, name, "/order_by")))
		return false;
	g_free(w->order_by);
	w->order_by = g_steal_pointer(&name);
	return true;
}

/* --- Coalescing -------------------------------------------------------------------------- */

static bool set_window(bh_call *call, bh_webhook *w, uint32_t node)
{
	static const bh_number_rule RULE = {1, 86400, false};
	double seconds = 0;

	if (node == BH_JSON_NONE)
		return w->coalesce ||
		       refuse(call, "/coalesce/seconds", "It is missing: how long to wait for newer ones.");
	if (!bh_body_number(call, node, "/coalesce/seconds", &RULE, &seconds))
		return false;
	w->coalesce = (bh_usec)(seconds * BH_SECOND + 0.5);
	return true;
}

static bool set_fields(bh_call *call, bh_webhook *w, uint32_t node)
{
	if (node == BH_JSON_NONE)
		return w->coalesce_fields ||
		       refuse(call, "/coalesce/fields", "It is missing: which fields make two events the same.");
	return bh_body_texts(call, node, "/coalesce/fields", &FIELD, BH_COALESCE_FIELDS_MAX, &w->coalesce_fields) &&
	       check_fields(call, w->coalesce_fields);
}

bool bh_set_coalesce(bh_call *call, bh_webhook *w, uint32_t node)
{
	static const char *const MEMBERS[] = {"seconds", "fields", NULL};

	if (bh_body_is_null(call, node)) {
		w->coalesce = 0;
		g_clear_pointer(&w->coalesce_fields, g_strfreev);
		return true;
	}
	return bh_body_object(call, node, "/coalesce", MEMBERS) && set_window(call, w, member(call, node, "seconds")) &&
	       set_fields(call, w, member(call, node, "fields"));
}

/* --- Rate -------------------------------------------------------------------------------- */

/* One of the two numbers: given, or as it was (0: it was not). */
static bool read_number(bh_call *call, uint32_t node, const char *pointer, double most, double *value)
{
	const bh_number_rule rule = {1, most, true};

	if (node == BH_JSON_NONE)
		return *value > 0 || refuse(call, pointer, "It is missing: so many requests in so many seconds.");
	return bh_body_number(call, node, pointer, &rule, value);
}

bool bh_set_rate_limit(bh_call *call, bh_webhook *w, uint32_t node)
{
	static const char *const MEMBERS[] = {"requests", "seconds", NULL};
	double requests = (double)w->rate_requests, seconds = (double)w->rate_per / BH_SECOND;

	if (bh_body_is_null(call, node)) {
		w->rate_requests = 0;
		w->rate_per = 0;
		return true;
	}
	if (!bh_body_object(call, node, "/rate_limit", MEMBERS) ||
	    !read_number(call, member(call, node, "requests"), "/rate_limit/requests", 1000000, &requests) ||
	    !read_number(call, member(call, node, "seconds"), "/rate_limit/seconds", 86400, &seconds))
		return false;
	w->rate_requests = (int64_t)requests;
	w->rate_per = (bh_usec)seconds * BH_SECOND;
	return true;
}

/* --- Shown ------------------------------------------------------------------------------- */

static void write_coalesce(GString *out, const bh_webhook *w)
{
	char seconds[G_ASCII_DTOSTR_BUF_SIZE];

	if (!w->coalesce) {
		bh_out_null(out, "coalesce");
		return;
	}
	g_ascii_formatd(seconds, sizeof seconds, "%.12g", (double)w->coalesce / BH_SECOND);
	bh_out_open(out, "coalesce", '{');
	bh_out_raw(out, "seconds", bh_span_of(seconds));
	bh_out_texts(out, "fields", w->coalesce_fields);
	bh_out_close(out, '}');
}

static void write_rate(GString *out, const bh_webhook *w)
{
	if (!w->rate_requests) {
		bh_out_null(out, "rate_limit");
		return;
	}
	bh_out_open(out, "rate_limit", '{');
	bh_out_int(out, "requests", w->rate_requests);
	bh_out_int(out, "seconds", w->rate_per / BH_SECOND);
	bh_out_close(out, '}');
}

void bh_write_pace(GString *out, const bh_webhook *w)
{
	bh_out_text(out, "order_by", w->order_by);
	write_coalesce(out, w);
	write_rate(out, w);
}
