#include "cli/heard.h"

#include "base/json.h"
#include "cli/member.h"
#include "cli/object.h"
#include "cli/text.h"

#include <string.h>

#define SEEN_MAX 100000 /* webhook-ids kept to tell repeats: a listener that runs for days must not grow */

bh_heard *bh_heard_new(const char *path)
{
	bh_heard *heard = g_new0(bh_heard, 1);
	heard->path = g_strdup(path);
	heard->headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	heard->body = g_string_new(NULL);
	return heard;
}

void bh_heard_free(bh_heard *heard)
{
	if (!heard)
		return;
	g_free(heard->verb);
	g_free(heard->path);
	g_free(heard->type);
	g_hash_table_unref(heard->headers);
	g_string_free(heard->body, TRUE);
	g_free(heard);
}

void bh_heard_add_header(bh_heard *heard, const char *name, const char *value)
{
	char *key = g_ascii_strdown(name, -1);
	const char *before = g_hash_table_lookup(heard->headers, key);
	char *joined = before ? g_strconcat(before, ", ", value ? value : "", NULL) : g_strdup(value ? value : "");
	g_hash_table_replace(heard->headers, key, joined);
}

/* NULL: not there. */
static const char *header_of(const bh_heard *heard, const char *name)
{
	return g_hash_table_lookup(heard->headers, name);
}

/* --- Judging ------------------------------------------------------------------------------- */

static void read_event(bh_heard *heard)
{
	g_autoptr(bh_json) json = bh_json_new();
	if (!bh_json_parse(json, (bh_span){heard->body->str, heard->body->len}, NULL))
		return;
	heard->type = bh_member_text(json, 0, "type");
	if (!heard->type) /* the shape `jomres` has it inside */
		heard->type = bh_member_text(json, bh_member(json, 0, "data"), "task");
	if (!bh_member_time(json, 0, "timestamp", &heard->event_at))
		heard->event_at = 0;
	if (!bh_member_int(json, 0, "sequence", &heard->sequence))
		heard->sequence = 0;
}

static void check_signature(bh_heard *heard, const GPtrArray *secrets, int64_t tolerance)
{
	heard->checked = secrets->len > 0;
	for (guint i = 0; i < secrets->len; i++) {
		heard->verification = bh_signature_verify(
			g_ptr_array_index(secrets, i), header_of(heard, "webhook-id"),
			header_of(heard, "webhook-timestamp"), header_of(heard, "webhook-signature"),
			(bh_span){heard->body->str, heard->body->len}, heard->arrived / BH_SECOND, tolerance);
		if (heard->verification != BH_VERIFY_NO_MATCH)
			return;
	}
}

void bh_heard_judge(bh_heard *heard, const GPtrArray *secrets, int64_t tolerance, GHashTable *seen)
{
	const char *id = header_of(heard, "webhook-id");
	read_event(heard);
	check_signature(heard, secrets, tolerance);
	if (!id || !bh_heard_verified(heard))
		return; /* what is forged must not make the real one look like a repeat */
	if (g_hash_table_size(seen) >= SEEN_MAX)
		g_hash_table_remove_all(seen);
	heard->repeat = !g_hash_table_add(seen, g_strdup(id));
}

bool bh_heard_verified(const bh_heard *heard)
{
	return !heard->checked || heard->verification == BH_VERIFIED;
}

const char *bh_verification_name(bh_verification verification)
{
	switch (verification) {
	case BH_VERIFIED:
		return "verified";
	case BH_VERIFY_MISSING_HEADER:
		return "missing_header";
	case BH_VERIFY_BAD_TIMESTAMP:
		return "bad_timestamp";
	case BH_VERIFY_TOO_OLD:
		return "too_old";
	case BH_VERIFY_TOO_NEW:
		return "too_new";
	case BH_VERIFY_NO_MATCH:
		return "no_match";
	}
	g_assert_not_reached();
}

/* --- Telling ------------------------------------------------------------------------------- */

static void append_word(GString *out, bh_screen screen, bh_paint paint, const char *text)
{
	g_autofree char *shown = bh_text_visible(bh_span_of(text), false);
	g_autofree char *cut = bh_text_cut(shown, 60);
	if (out->len)
		g_string_append(out, "  ");
	bh_paint_append(out, screen, paint, cut);
}

static void append_verdict(const bh_heard *heard, bh_screen screen, GString *out)
{
	if (!heard->checked)
		append_word(out, screen, BH_FAINT, "signature not checked");
	else if (heard->verification == BH_VERIFIED)
		append_word(out, screen, BH_GOOD, "verified");
	else
		append_word(out, screen, BH_BAD, "NOT VERIFIED");
	if (heard->repeat)
		append_word(out, screen, BH_WARN, "repeat");
}

void bh_heard_line(const bh_heard *heard, bh_screen screen, GString *out)
{
	g_autoptr(GString) line = g_string_new(NULL);
	g_autofree char *clock = bh_text_clock(heard->arrived);
	g_autofree char *request = g_strdup_printf("%s %s", heard->verb, heard->path);
	g_autofree char *answer = g_strdup_printf("-> %d", heard->answered);
	const char *id = header_of(heard, "webhook-id");

	append_word(line, screen, BH_FAINT, clock);
	append_word(line, screen, BH_PLAIN, request);
	append_word(line, screen, BH_BOLD, heard->type ? heard->type : "(no event type)");
	append_word(line, screen, BH_PLAIN, id ? id : "(no webhook-id)");
	if (heard->sequence) {
		g_autofree char *number = g_strdup_printf("#%" G_GINT64_FORMAT, heard->sequence);
		append_word(line, screen, BH_PLAIN, number);
	}
	append_verdict(heard, screen, line);
	if (heard->event_at) {
		g_autofree char *span = bh_text_span(MAX(0, heard->arrived - heard->event_at));
		append_word(line, screen, BH_PLAIN, span);
	}
	append_word(line, screen, heard->answered < 300 ? BH_PLAIN : BH_WARN, answer);
	g_string_append_printf(out, "%s\n", line->str);
	if (heard->body_cut)
		g_string_append(out,
				"              The body is larger than what is kept of it, so it cannot be checked.\n");
	else if (!bh_heard_verified(heard))
		g_string_append_printf(out, "              %s\n", bh_verification_sentence(heard->verification));
}

static void add_text_or_null(GString *json, const char *name, const char *text)
{
	if (text)
		bh_object_text(json, name, text);
	else
		bh_object_raw(json, name, bh_span_of("null"));
}

static void add_headers(const bh_heard *heard, GString *json)
{
	g_autoptr(GString) headers = bh_object_new();
	g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(heard->headers), (GCompareFunc)strcmp);
	for (GList *n = names; n; n = n->next)
		bh_object_text(headers, n->data, g_hash_table_lookup(heard->headers, n->data));
	bh_object_raw(json, "headers", bh_object_end(headers));
}

/* As the API does: text as it is, and where it is no UTF-8 the bytes beside it. */
static void add_content(const bh_heard *heard, GString *json)
{
	bh_span content = {heard->body->str, heard->body->len};
	g_autoptr(GString) text = g_string_new(NULL);
	bh_json_append_string(text, content);
	bh_object_raw(json, "body", (bh_span){text->str, text->len});
	if (!g_utf8_validate(content.at, (gssize)content.size, NULL)) {
		g_autofree char *base64 = g_base64_encode((const guchar *)content.at, content.size);
		bh_object_text(json, "body_base64", base64);
	}
}

/* Milliseconds with what is finer, written as digits: a double would show 12.345000000000001. */
static void add_since_event(const bh_heard *heard, GString *json)
{
	bh_usec since = heard->arrived - heard->event_at, distance = ABS(since);
	g_autofree char *number = g_strdup_printf("%s%" G_GINT64_FORMAT ".%03d", since < 0 ? "-" : "",
						  distance / BH_MILLISECOND, (int)(distance % BH_MILLISECOND));
	bh_object_raw(json, "since_event_ms", bh_span_of(heard->event_at ? number : "null"));
}

void bh_heard_json(const bh_heard *heard, GString *out)
{
	char at[BH_TIME_TEXT_SIZE];
	g_autoptr(GString) json = bh_object_new();
	bh_object_int(json, "arrived_us", heard->arrived);
	bh_object_text(json, "arrived_at", bh_time_text(heard->arrived, at));
	bh_object_text(json, "verb", heard->verb);
	bh_object_text(json, "path", heard->path);
	add_text_or_null(json, "type", heard->type);
	add_text_or_null(json, "webhook_id", header_of(heard, "webhook-id"));
	bh_object_text(json, "signature", heard->checked ? bh_verification_name(heard->verification) : "not_checked");
	bh_object_raw(json, "verified",
		      bh_span_of(heard->checked && heard->verification == BH_VERIFIED ? "true" : "false"));
	bh_object_raw(json, "repeat", bh_span_of(heard->repeat ? "true" : "false"));
	add_since_event(heard, json);
	if (heard->sequence)
		bh_object_int(json, "sequence", heard->sequence);
	else
		bh_object_raw(json, "sequence", bh_span_of("null"));
	bh_object_int(json, "answered", heard->answered);
	add_headers(heard, json);
	add_content(heard, json);
	bh_object_end(json);
	g_string_append_printf(out, "%s\n", json->str);
}
