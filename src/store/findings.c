#include "store/findings.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

/* Ids are most of the text, and printf takes longer over one than the database over the row. */
static void append_id(GString *text, bh_id id)
{
	char digits[20];
	size_t at = sizeof digits;
	uint64_t rest = (uint64_t)id;

	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	g_string_append_len(text, digits + at, (gssize)(sizeof digits - at));
}

static void append_manager(GString *text, const char *manager)
{
	for (const unsigned char *c = (const unsigned char *)manager; *c; c++) {
		if (*c <= ' ' || *c == ':' || *c == '%')
			g_string_append_printf(text, "%%%02x", *c);
		else
			g_string_append_c(text, (char)*c);
	}
}

void bh_findings_write(GString *text, const bh_finding *findings, size_t count, bh_delivery *const *deliveries,
		       size_t delivery_count)
{
	size_t made = 0;

	g_string_truncate(text, 0);
	for (size_t i = 0; i < count; i++) {
		const bh_finding *f = &findings[i];
		bh_id delivery = bh_verdict_delivers(f->verdict) && made < delivery_count ? deliveries[made++]->id : 0;

		if (i > 0)
			g_string_append_c(text, ' ');
		append_id(text, f->webhook);
		g_string_append_c(text, ':');
		g_string_append(text, bh_verdict_name(f->verdict));
		g_string_append_c(text, ':');
		append_id(text, delivery);
		if (f->manager) {
			g_string_append_c(text, ':');
			append_manager(text, f->manager);
		}
	}
	g_assert(made == delivery_count);
}

static bool read_id(const char *text, bh_id *ret)
{
	gint64 id;

	if (!g_ascii_string_to_signed(text, 10, 0, G_MAXINT64, &id, NULL))
		return false;
	*ret = id;
	return true;
}

static bool read_finding(const char *word, bh_finding *ret, bh_id *ret_delivery)
{
	g_auto(GStrv) fields = g_strsplit(word, ":", 4);
	guint count = g_strv_length(fields);

	if (count < 3 || !read_id(fields[0], &ret->webhook) || !bh_verdict_parse(fields[1], &ret->verdict) ||
	    !read_id(fields[2], ret_delivery))
		return false;
	ret->manager = NULL;
	if (count == 4)
		ret->manager = g_uri_unescape_string(fields[3], NULL);
	return count == 3 || ret->manager;
}

bh_findings *bh_findings_read(const char *text, GError **error)
{
	g_auto(GStrv) words = g_strsplit(text, " ", -1);
	guint count = g_strv_length(words);
	g_autoptr(bh_findings) f = g_new0(bh_findings, 1);

	f->at = g_new0(bh_finding, count);
	f->deliveries = g_new0(bh_id, count);
	for (guint i = 0; i < count; i++) {
		if (!read_finding(words[i], &f->at[i], &f->deliveries[i])) {
			g_set_error(error, BH_ERROR, BH_ERROR_IO, "\"%s\" is not a finding", words[i]);
			return NULL;
		}
		f->count++;
	}
	return g_steal_pointer(&f);
}

void bh_findings_free(bh_findings *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++)
		g_free((char *)f->at[i].manager);
	g_free(f->at);
	g_free(f->deliveries);
	g_free(f);
}
