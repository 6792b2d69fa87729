#include "delivery/hidden.h"

#include <string.h>

static void assert_masked(const bh_hidden *hidden, const char *text, const char *expected)
{
	g_autoptr(GString) masked = g_string_new(text);
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	bh_hidden_mask(hidden, masked);
	g_assert_cmpstr(masked->str, ==, expected);
	g_byte_array_append(bytes, (const guint8 *)text, (guint)strlen(text));
	bh_hidden_mask_bytes(hidden, bytes);
	g_assert_cmpmem(bytes->data, bytes->len, expected, strlen(expected));
}

static void what_is_hidden_is_masked_wherever_it_stands(void)
{
	bh_hidden *hidden = NULL;
	bh_hide(&hidden, bh_span_of("p/ss wort"));
	assert_masked(hidden, "p/ss wort", "***");
	assert_masked(hidden, "a=p/ss wort&b=p/ss wort", "a=***&b=***");
	assert_masked(hidden, "?key=p%2Fss%20wort", "?key=***");
	assert_masked(hidden, "p/ss wor", "p/ss wor");
	assert_masked(hidden, "", "");
	bh_hidden_free(hidden);
}

static void the_beginning_of_another_one_leaves_no_rest_of_it(void)
{
	bh_hidden *hidden = NULL;
	bh_hide(&hidden, bh_span_of("open"));
	bh_hide(&hidden, bh_span_of("opensesame"));
	bh_hide(&hidden, bh_span_of("opens"));
	assert_masked(hidden, "opensesame opens open", "*** *** ***");
	bh_hidden_free(hidden);
}

static void what_follows_the_scheme_of_a_header_is_hidden(void)
{
	bh_hidden *hidden = NULL;
	bh_hide_header_value(&hidden, "Bearer 0123456789");
	bh_hide_header_value(&hidden, "plain-key-1");
	bh_hide_header_value(&hidden, "short"); /* stands in any text by chance */
	assert_masked(hidden, "you sent Bearer 0123456789, plain-key-1, short", "you sent Bearer ***, ***, short");
	bh_hidden_free(hidden);
}

static void a_header_is_shown_or_masked_and_hidden_elsewhere(void)
{
	bh_hidden *hidden = NULL;
	g_autoptr(GString) lines = g_string_new(NULL);
	bh_hidden_append_header(&hidden, "Content-Type: application/json", lines);
	bh_hidden_append_header(&hidden, "X-Key: 0123456789", lines);
	g_assert_cmpstr(lines->str, ==, "Content-Type: application/jsonX-Key: ***");
	assert_masked(hidden, "application/json 0123456789", "application/json ***");
	bh_hidden_free(hidden);
}

static void nothing_hidden_changes_nothing(void)
{
	bh_hidden *hidden = NULL;
	bh_hide(&hidden, bh_span_of("abc"));
	g_assert_null(hidden);
	assert_masked(hidden, "abc", "abc");
	bh_hidden_free(hidden);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(f) g_test_add_func("/hidden/" #f, f)
	TEST(what_is_hidden_is_masked_wherever_it_stands);
	TEST(the_beginning_of_another_one_leaves_no_rest_of_it);
	TEST(what_follows_the_scheme_of_a_header_is_hidden);
	TEST(a_header_is_shown_or_masked_and_hidden_elsewhere);
	TEST(nothing_hidden_changes_nothing);
	return g_test_run();
}
