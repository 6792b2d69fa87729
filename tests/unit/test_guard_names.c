/* The guard's look at a name when a webhook is saved: every address that it has now, and patience with an end. */
#include "base/error.h"
#include "transport/guard.h"
#include "transport/names.h"

#include "resolver.h"

static bh_guard *guard_with(const char *allow)
{
	char *const list[] = {(char *)allow, NULL};
	char *const own[] = {(char *)"127.0.0.1:8380", NULL};
	g_autoptr(GError) error = NULL;
	bh_guard *g = bh_guard_new(list, own, false, &error);

	g_assert_no_error(error);
	return g;
}

/* "": all is well; "doubt: ..."; or the error. */
static char *check(const char *allow, const char *url, bh_usec timeout)
{
	g_autoptr(bh_guard) g = guard_with(allow);
	g_autoptr(GError) error = NULL;
	g_autofree char *doubt = NULL;
	bh_target target;

	bool read = bh_guard_check_url(g, url, &target, &error);
	g_assert_no_error(error);
	g_assert_true(read);
	bool passed = bh_guard_check_name(g, &target, timeout, &doubt, &error);
	bh_target_clear(&target);
	g_assert_true(passed == !error);
	if (error) {
		g_assert_error(error, BH_ERROR, BH_ERROR_DENIED);
		g_assert_null(doubt);
		return g_strdup(error->message);
	}
	return doubt ? g_strconcat("doubt: ", doubt, NULL) : g_strdup("");
}

static const struct row {
	const char *allow, *url, *begins, *holds;
} ROWS[] = {
	{"127.0.0.0/8", "http://one.test/", "", ""},
	{"10.0.0.0/8", "http://one.test/", "loopback: \"one.test\"", "leads to 127.0.0.1"},
	{"10.0.0.0/8", "http://inward.test/", "private: ", "leads to 192.168.7.7"},
	{"10.0.0.0/8", "http://metadata.test/", "metadata: ", "169.254.169.254"},
	{"127.0.0.0/8", "http://mapped.test/", "private: ", "leads to ::ffff:10.0.0.5"},
	/* At connect the good one would do; at save all must be good, or what works would be a matter of chance. */
	{"127.0.0.0/8", "http://mixed.test/", "private: ", "leads to 10.0.0.1"},
	{"127.0.0.0/8", "https://dead-and-inward.test/", "private: ", "leads to 10.0.0.1"},
	/* The exact host is allowed wherever it leads, but to ourselves. */
	{"inward.test", "http://inward.test:9000/", "", ""},
	{"one.test", "http://one.test:8380/", "own-listener: ", "leads to 127.0.0.1"},
	{"127.0.0.0/8", "http://none.test/", "doubt: The host \"none.test\" is not known", ""},
	{"127.0.0.0/8", "http://broken.test/", "doubt: The address of \"broken.test\" could not be looked up",
	 "all the same"},
};

static void every_address_that_a_name_has_is_judged(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
		g_autofree char *said = check(ROWS[i].allow, ROWS[i].url, 30 * BH_SECOND);

		if (!g_str_has_prefix(said, ROWS[i].begins) || !strstr(said, ROWS[i].holds) ||
		    (!*ROWS[i].begins && *said))
			g_error("%s, %s allowed: %s", ROWS[i].url, ROWS[i].allow, said);
	}
}

static void an_address_is_not_looked_up(void)
{
	unsigned before = asked();
	g_autofree char *said = check("127.0.0.0/8", "http://127.1:9000/", BH_SECOND);

	g_assert_cmpstr(said, ==, "");
	g_assert_cmpuint(asked(), ==, before);
}

static void a_name_server_that_hangs_is_a_doubt_when_the_time_is_over(void)
{
	hold(true);
	bh_mono begin = bh_clock_mono();
	g_autofree char *said = check("127.0.0.0/8", "http://hang.test/", 200 * BH_MILLISECOND);
	bh_usec took = bh_mono_since(bh_clock_mono(), begin);
	hold(false);

	g_assert_true(g_str_has_prefix(said, "doubt: No name server told the address of \"hang.test\" in time."));
	g_assert_cmpint(took, >=, 200 * BH_MILLISECOND);
	g_assert_cmpint(took, <, 10 * BH_SECOND);
}

static void hanging_look_ups_do_not_pile_up(void)
{
	unsigned before = asked();

	hold(true);
	for (int i = 0; i < 3 * BH_LOOKUPS_MAX; i++) {
		g_autofree char *url = g_strdup_printf("http://n%d.hang.test/", i);
		g_autofree char *said = check("127.0.0.0/8", url, BH_MILLISECOND);
		g_assert_true(g_str_has_prefix(said, "doubt: "));
	}
	g_assert_cmpuint(asked() - before, <=, BH_LOOKUPS_MAX); /* the others were dropped while they waited */
	g_autofree char *crowded = check("127.0.0.0/8", "http://one.test/", 10 * BH_MILLISECOND);
	hold(false);
	g_autofree char *freed = check("127.0.0.0/8", "http://one.test/", 30 * BH_SECOND);

	g_assert_true(*crowded == '\0' || g_str_has_prefix(crowded, "doubt: "));
	g_assert_cmpstr(freed, ==, "");
	g_assert_cmpuint(dns.most, <=, BH_LOOKUPS_MAX);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/guard_names/" #name, name)
	TEST(every_address_that_a_name_has_is_judged);
	TEST(an_address_is_not_looked_up);
	TEST(a_name_server_that_hangs_is_a_doubt_when_the_time_is_over);
	TEST(hanging_look_ups_do_not_pile_up);
	return g_test_run();
}
