#include "base/near.h"

#include <glib.h>

static const char *const known[] = {"list", "show", "add", "set", "remove", "rotate", "webhook", "kitten", NULL};

static void the_nearest_is_named_and_noise_is_not(void)
{
	const struct {
		const char *text, *meant;
	} rows[] = {
		{"list", "list"},  {"LIST", "list"},      {"lst", "list"},
		{"liist", "list"}, {"lisd", "list"},      {"lsit", "list"},
		{"shwo", "show"},  {"ShWo", "show"},      {"ad", "add"},
		{"da", NULL},      {"remvoe", "remove"},  {"sitting", NULL},
		{"mitting", NULL}, {"kittne", "kitten"},  {"webhooks", "webhook"},
		{"wbhok", NULL},   {"wbhook", "webhook"}, {"wbhooks", "webhook"},
		{"xyz", NULL},     {"frob", NULL},        {"", NULL},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("\"%s\"", rows[i].text);
		g_assert_cmpstr(bh_nearest(rows[i].text, known), ==, rows[i].meant);
	}
}

static void a_beginning_counts_if_only_one_name_has_it(void)
{
	g_assert_cmpstr(bh_nearest("rem", known), ==, "remove");
	g_assert_cmpstr(bh_nearest("webh", known), ==, "webhook");
	g_assert_null(bh_nearest("ro", known));
	g_assert_null(bh_nearest("book", (const char *const[]){"booking_added", "booking_updated", NULL}));
	g_assert_null(
		bh_nearest("book", (const char *const[]){"booking_added", "booking_updated", "booking_noted", NULL}));
}

static void of_two_that_are_as_near_the_first_is_named(void)
{
	g_assert_cmpstr(bh_nearest("cat", (const char *const[]){"bat", "rat", NULL}), ==, "bat");
	g_assert_cmpstr(bh_nearest("cat", (const char *const[]){"coat", "cat", NULL}), ==, "cat");
}

static void what_was_written_needs_no_end(void)
{
	bh_near near = {.text = {"lst of things", 3}};

	for (const char *const *name = known; *name; name++)
		bh_near_offer(&near, *name);
	g_assert_cmpstr(bh_near_best(&near), ==, "list");
}

static void a_very_long_word_is_near_nothing(void)
{
	g_autofree char *longest = g_strnfill(128, 'l'), *longer = g_strnfill(129, 'l'),
			*huge = g_strnfill(100000, 'l');
	const char *const names[] = {"list", longest, huge, NULL};

	g_assert_cmpstr(bh_nearest(longest, names), ==, longest);
	g_assert_null(bh_nearest(longer, names));
	g_assert_null(bh_nearest(huge, names));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(f) g_test_add_func("/near/" #f, f)
	TEST(the_nearest_is_named_and_noise_is_not);
	TEST(a_beginning_counts_if_only_one_name_has_it);
	TEST(of_two_that_are_as_near_the_first_is_named);
	TEST(what_was_written_needs_no_end);
	TEST(a_very_long_word_is_near_nothing);
	return g_test_run();
}
