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

static void a_secret_is_found_as_forms_and_json_spell_it(void)
{
	bh_hidden *hidden = NULL;
	bh_hide(&hidden, bh_span_of("p/s \"w\\o\u00fc\U0001F511"));
	assert_masked(hidden, "secret=p%2Fs+%22w%5Co%C3%BC%F0%9F%94%91&x=1", "secret=***&x=1");
	assert_masked(hidden, "{\"k\":\"p/s \\\"w\\\\o\u00fc\U0001F511\"}", "{\"k\":\"***\"}");
	assert_masked(hidden, "{\"k\":\"p\\/s \\\"w\\\\o\\u00fc\\ud83d\\udd11\"}", "{\"k\":\"***\"}");
	bh_hidden_free(hidden);
}

static void a_form_shows_what_tells_nothing_and_no_other_value(void)
{
	static const struct {
		const char *form, *shown;
	} ROWS[] = {
		{"grant_type=client_credentials&client_id=a&client_secret=b%20c&scope=x+y",
		 "grant_type=client_credentials&client_id=a&client_secret=***&scope=x+y"},
		{"resource=https%3A%2F%2Fapi&audience=z&assertion=ey&key=1",
		 "resource=https%3A%2F%2Fapi&audience=z&assertion=***&key=***"},
		{"client%5Fsecret=b", "client%5Fsecret=***"},
		{"{\"client_secret\":\"b\"}", "***"},
		{"scope", "***"},
		{"=b&&scope=", "=***&&scope="},
		{"", ""},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
		g_autoptr(GString) shown = bh_hidden_form(bh_span_of(ROWS[i].form));
		g_test_message("%s", ROWS[i].form);
		g_assert_cmpstr(shown->str, ==, ROWS[i].shown);
	}
}

static void what_is_called_a_token_is_known_in_every_spelling(void)
{
	static const char *const HOLD[] = {
		"{\"access_token\":\"a\"}",
		"{\"Access_Token\":\"a\"}",
		"{\"a\\u0063cess\\u005ftoken\":\"a\"}",
		"{\"error\":\"x\",\"data\":{\"refresh_token\":\"a\"}}",
		"access_token=a&token_type=bearer",
		"<p>your ID_TOKEN is a</p>",
		"{\"client_secret\":\"a\"",
	};
	static const char *const HOLD_NOT[] = {"{\"error\":\"invalid_client\",\"error_description\":\"no\"}",
					       "",
					       "<h1>503</h1>",
					       "\\u00",
					       "\\u",
					       "\\uzzzz"};
	for (size_t i = 0; i < G_N_ELEMENTS(HOLD); i++)
		g_assert_true(bh_holds_tokens(bh_span_of(HOLD[i])));
	for (size_t i = 0; i < G_N_ELEMENTS(HOLD_NOT); i++)
		g_assert_false(bh_holds_tokens(bh_span_of(HOLD_NOT[i])));
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
	TEST(a_secret_is_found_as_forms_and_json_spell_it);
	TEST(a_form_shows_what_tells_nothing_and_no_other_value);
	TEST(what_is_called_a_token_is_known_in_every_spelling);
	TEST(nothing_hidden_changes_nothing);
	return g_test_run();
}
