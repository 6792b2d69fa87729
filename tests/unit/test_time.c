#include "base/time.h"

#include <glib.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOON (INT64_C(1764082262) * BH_SECOND) /* 2025-11-25T14:51:02Z */

typedef struct reading {
	const char *text;
	bh_usec at; /* -1: refused */
} reading;

static void check_rfc3339(const reading *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bh_usec at = -1;
		bool read = bh_time_parse(rows[i].text, strlen(rows[i].text), &at);
		g_test_message("%s", rows[i].text);
		g_assert_cmpint(read, ==, rows[i].at >= 0);
		g_assert_cmpint(at, ==, rows[i].at);
	}
}

static void a_moment_is_read_with_any_offset_and_fraction(void)
{
	static const reading rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2025-11-25T14:51:02Z", NOON},
		{"2025-11-25t14:51:02z", NOON},
		{"2025-11-25T14:51:02-00:00", NOON},
		{"2025-11-25T15:51:02+01:00", NOON},
		{"2025-11-26T04:36:02+13:45", NOON},
		{"2025-11-25T02:51:02-12:00", NOON},
		{"2025-11-25T14:51:02.5Z", NOON + 500 * BH_MILLISECOND},
		{"2025-11-25T14:51:02.000001Z", NOON + 1},
		{"2025-11-25T14:51:02.1234567899999999999999999Z", NOON + 123456},
		{"2024-02-29T00:00:00Z", INT64_C(1709164800) * BH_SECOND},
		{"2000-02-29T00:00:00Z", INT64_C(951782400) * BH_SECOND},
		{"9999-12-31T23:59:59.999999Z", INT64_C(253402300800) * BH_SECOND - 1},
		{"1969-12-31T23:00:00-01:00", 0},
		{"2016-12-31T23:59:60Z", INT64_C(1483228800) * BH_SECOND},
		{"2017-01-01T00:59:60+01:00", INT64_C(1483228800) * BH_SECOND},
	};

	check_rfc3339(rows, G_N_ELEMENTS(rows));
}

static void what_is_no_moment_is_refused(void)
{
	static const reading rows[] = {
		{"", -1},
		{"2025-11-25", -1},
		{"2025-11-25T14:51:02", -1},
		{"2025-11-25 14:51:02Z", -1},
		{" 2025-11-25T14:51:02Z", -1},
		{"2025-11-25T14:51:02Z ", -1},
		{"2025-11-25T14:51:02ZZ", -1},
		{"2025-11-25T14:51Z", -1},
		{"2025-11-25T14:51:02.Z", -1},
		{"2025-11-25T14:51:02,5Z", -1},
		{"2025-11-25T14:51:02+0100", -1},
		{"2025-11-25T14:51:02+24:00", -1},
		{"2025-11-25T14:51:02+01:60", -1},
		{"2025-11-25T24:00:00Z", -1},
		{"2025-11-25T14:60:00Z", -1},
		{"2025-11-25T14:51:61Z", -1},
		{"2025-11-25T14:51:60Z", -1},
		{"2025-00-25T14:51:02Z", -1},
		{"2025-13-25T14:51:02Z", -1},
		{"2025-11-00T14:51:02Z", -1},
		{"2025-11-31T14:51:02Z", -1},
		{"2025-02-29T14:51:02Z", -1},
		{"2100-02-29T14:51:02Z", -1},
		{"0000-01-01T00:00:00Z", -1},
		{"1969-12-31T23:59:59Z", -1},
		{"1970-01-01T00:00:00+00:01", -1},
		{"9999-12-31T23:59:59-00:01", -1},
		{"12025-11-25T14:51:02Z", -1},
		{"+2025-11-25T14:51:02Z", -1},
		{"2025-1-25T14:51:02Z", -1},
		{"2025-11-25T14:51:-2Z", -1},
	};

	check_rfc3339(rows, G_N_ELEMENTS(rows));
}

static void reading_stops_at_the_size_given(void)
{
	bh_usec at = -1;

	g_assert_true(bh_time_parse("2025-11-25T14:51:02Zjunk", 20, &at));
	g_assert_cmpint(at, ==, NOON);
	g_assert_false(bh_time_parse("2025-11-25T14:51:02Z", 19, &at));
	g_assert_false(bh_time_parse("2025-11-25T14:51:02Z\0", 21, &at));
}

static void a_moment_is_written_in_utc_with_microseconds(void)
{
	char text[BH_TIME_TEXT_SIZE];

	g_assert_cmpstr(bh_time_text(0, text), ==, "1970-01-01T00:00:00.000000Z");
	g_assert_cmpstr(bh_time_text(NOON + 123456, text), ==, "2025-11-25T14:51:02.123456Z");
	g_assert_cmpstr(bh_time_text(-1, text), ==, "1969-12-31T23:59:59.999999Z");
	g_assert_cmpstr(bh_time_text(INT64_C(253402300800) * BH_SECOND - 1, text), ==, "9999-12-31T23:59:59.999999Z");
	/* Nonsense stays within the buffer. */
	g_assert_cmpuint(strlen(bh_time_text(INT64_MAX, text)), <, BH_TIME_TEXT_SIZE);
	g_assert_cmpuint(strlen(bh_time_text(INT64_MIN, text)), <, BH_TIME_TEXT_SIZE);
}

static void every_day_until_the_year_9999_reads_back(void)
{
	char text[BH_TIME_TEXT_SIZE];
	time_t seconds;
	struct tm civil;

	for (bh_usec at = 0; at < INT64_C(253402300800) * BH_SECOND; at += BH_DAY + 7) {
		bh_usec again = -1;
		bh_time_text(at, text);
		g_assert_true(bh_time_parse(text, strlen(text), &again));
		g_assert_cmpint(again, ==, at);

		seconds = (time_t)(at / BH_SECOND);
		char expected[BH_TIME_TEXT_SIZE];
		gmtime_r(&seconds, &civil);
		strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &civil);
		g_assert_true(g_str_has_prefix(text, expected));
	}
}

static void neither_time_zone_nor_locale_matter(void)
{
	char text[BH_TIME_TEXT_SIZE];
	bh_usec at = -1;

	g_setenv("TZ", "America/St_Johns", TRUE);
	tzset();
	setlocale(LC_ALL, "");

	g_assert_true(bh_time_parse("2025-11-25T14:51:02Z", 20, &at));
	g_assert_cmpint(at, ==, NOON);
	g_assert_true(bh_time_parse_http("Tue, 25 Nov 2025 14:51:02 GMT", &at));
	g_assert_cmpint(at, ==, NOON);
	g_assert_cmpstr(bh_time_text(NOON, text), ==, "2025-11-25T14:51:02.000000Z");
}

static void an_http_date_is_read_in_its_three_forms(void)
{
	static const reading rows[] = {
		{"Sun, 06 Nov 1994 08:49:37 GMT", INT64_C(784111777) * BH_SECOND},
		{"Sunday, 06-Nov-94 08:49:37 GMT", INT64_C(784111777) * BH_SECOND},
		{"Sun Nov  6 08:49:37 1994", INT64_C(784111777) * BH_SECOND},
		{"Wed Nov 16 08:49:37 1994", INT64_C(784975777) * BH_SECOND},
		{"Wednesday, 25-Nov-26 00:00:00 GMT", INT64_C(1795564800) * BH_SECOND},
		{"Sat, 31 Dec 2016 23:59:60 GMT", INT64_C(1483228800) * BH_SECOND},
		{"", -1},
		{"120", -1},
		{"Sun, 06 Nov 1994 08:49:37", -1},
		{"Sun, 06 Nov 1994 08:49:37 UTC", -1},
		{"Sun, 06 Nov 1994 08:49:37 +0000", -1},
		{"Sun, 6 Nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nov 94 08:49:37 GMT", -1},
		{"Sun, 31 Nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nox 1994 08:49:37 GMT", -1},
		{"Xyz, 06 Nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nov 1994 25:49:37 GMT", -1},
		{"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
		{"Sun, 06 Nov 1969 08:49:37 GMT", -1},
		{"Sun Nov 06 08:49:37 1994 GMT", -1},
		{"Sun", -1},
		{"Sunday", -1},
		{"Su", -1},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_usec at = -1;
		g_test_message("%s", rows[i].text);
		g_assert_cmpint(bh_time_parse_http(rows[i].text, &at), ==, rows[i].at >= 0);
		g_assert_cmpint(at, ==, rows[i].at);
	}
}

static void a_span_is_a_number_and_a_unit(void)
{
	static const reading rows[] = {
		{"250ms", 250 * BH_MILLISECOND},
		{"5s", 5 * BH_SECOND},
		{"0s", 0},
		{"30m", 30 * BH_MINUTE},
		{"2h", 2 * BH_HOUR},
		{"7d", 7 * BH_DAY},
		{"007d", 7 * BH_DAY},
		{"3653d", 3653 * BH_DAY},
		{"3654d", -1},
		{"99999999999999999999s", -1},
		{"9223372036854775807ms", -1},
		{"", -1},
		{"5", -1},
		{"0", -1},
		{"s", -1},
		{"5 s", -1},
		{" 5s", -1},
		{"5s ", -1},
		{"-5s", -1},
		{"+5s", -1},
		{"1.5h", -1},
		{"5S", -1},
		{"5y", -1},
		{"1h30m", -1},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		bh_usec span = -1;
		g_test_message("%s", rows[i].text);
		g_assert_cmpint(bh_span_parse(rows[i].text, &span), ==, rows[i].at >= 0);
		g_assert_cmpint(span, ==, rows[i].at);
	}
}

static void the_monotonic_clock_never_goes_back(void)
{
	bh_mono before = bh_clock_mono();

	for (int i = 0; i < 1000; i++) {
		bh_mono now = bh_clock_mono();
		g_assert_true(bh_mono_reached(now, before));
		before = now;
	}
}

static void a_wall_moment_is_placed_on_the_monotonic_clock(void)
{
	bh_now now = {.wall = NOON, .mono = {5 * BH_SECOND}};

	bh_mono due = bh_mono_of(NOON + BH_MINUTE, now);

	g_assert_cmpint(bh_mono_since(due, now.mono), ==, BH_MINUTE);
	g_assert_cmpint(bh_mono_of(NOON - BH_HOUR, now).us, <, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/time/a moment is read with any offset and fraction",
			a_moment_is_read_with_any_offset_and_fraction);
	g_test_add_func("/time/what is no moment is refused", what_is_no_moment_is_refused);
	g_test_add_func("/time/reading stops at the size given", reading_stops_at_the_size_given);
	g_test_add_func("/time/a moment is written in UTC with microseconds",
			a_moment_is_written_in_utc_with_microseconds);
	g_test_add_func("/time/every day until the year 9999 reads back", every_day_until_the_year_9999_reads_back);
	g_test_add_func("/time/neither time zone nor locale matter", neither_time_zone_nor_locale_matter);
	g_test_add_func("/time/an HTTP date is read in its three forms", an_http_date_is_read_in_its_three_forms);
	g_test_add_func("/time/a span is a number and a unit", a_span_is_a_number_and_a_unit);
	g_test_add_func("/time/the monotonic clock never goes back", the_monotonic_clock_never_goes_back);
	g_test_add_func("/time/a wall moment is placed on the monotonic clock",
			a_wall_moment_is_placed_on_the_monotonic_clock);
	return g_test_run();
}
