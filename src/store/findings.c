#include "store/findings.h"

#include "base/error.h"
#include "store/words.h"

#include <string.h>

/* What parts the rounds: a blank parts the words, and neither is ever part of a word. */
#define ROUND_END "\n"

static void add_findings(GString *text, const bh_finding *findings, size_t count, bh_delivery *const *deliveries,
			 size_t delivery_count)
{
	size_t made = 0;

	for (size_t i = 0; i < count; i++) {
		const bh_finding *f = &findings[i];
		bh_id delivery = bh_verdict_delivers(f->verdict) && made < delivery_count ? deliveries[made++]->id : 0;

		if (i > 0)
			g_string_append_c(text, ' ');
		bh_words_add_number(text, f->webhook);
		g_string_append_c(text, ':');
		g_string_append(text, bh_verdict_name(f->verdict));
		g_string_append_c(text, ':');
		bh_words_add_number(text, delivery);
		if (f->manager) {
			g_string_append_c(text, ':');
			bh_words_add_text(text, f->manager, ':');
		}
	}
	g_assert(made == delivery_count);
}

void bh_findings_write(GString *text, const bh_finding *findings, size_t count, bh_delivery *const *deliveries,
		       size_t delivery_count)
{
	g_string_truncate(text, 0);
	add_findings(text, findings, count, deliveries, delivery_count);
}

void bh_findings_write_round(GString *text, const bh_finding *findings, size_t count, bh_delivery *const *deliveries,
			     size_t delivery_count)
{
	g_string_assign(text, ROUND_END);
	add_findings(text, findings, count, deliveries, delivery_count);
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
		ret->manager = bh_word_text(fields[3]);
	return count == 3 || ret->manager;
}

/* Adds the findings of one round. The arrays have room for all words of the text. */
static bool read_round(const char *text, int round, bh_findings *f, GError **error)
{
	g_auto(GStrv) words = g_strsplit(text, " ", -1);

	for (char **word = words; *word; word++) {
		if (!read_finding(*word, &f->at[f->count], &f->deliveries[f->count])) {
			g_set_error(error, BH_ERROR, BH_ERROR_IO, "\"%s\" is not a finding", *word);
			return false;
		}
		f->rounds[f->count++] = round;
	}
	return true;
}

static size_t count_words(const char *text)
{
	size_t count = 1;

	for (; *text; text++)
		count += *text == ' ' || *text == ROUND_END[0];
	return count;
}

bh_findings *bh_findings_read(const char *text, GError **error)
{
	g_auto(GStrv) rounds = g_strsplit(text, ROUND_END, -1);
	size_t most = count_words(text);
	g_autoptr(bh_findings) f = g_new0(bh_findings, 1);

	f->at = g_new0(bh_finding, most);
	f->deliveries = g_new0(bh_id, most);
	f->rounds = g_new0(int, most);
	for (int round = 0; rounds[round]; round++) {
		if (!read_round(rounds[round], round, f, error))
			return NULL;
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
	g_free(f->rounds);
	g_free(f);
}
