#include "base/time.h"

#include <glib.h>
#include <string.h>
#include <time.h>

#define YEAR_MAX 9999
#define SPAN_MAX (3653 * BH_DAY) /* ten years, three of them leap years */

static const bh_now *simulated; /* NULL: the machine's clocks count */

void bh_clock_use(const bh_now *now)
{
	simulated = now;
}

static bh_usec read_clock(clockid_t which)
{
	struct timespec t;

	int failed = clock_gettime(which, &t);
	g_assert(!failed);
	return (bh_usec)t.tv_sec * BH_SECOND + t.tv_nsec / 1000;
}

bh_usec bh_clock_wall(void)
{
	return simulated ? simulated->wall : read_clock(CLOCK_REALTIME);
}

bh_mono bh_clock_mono(void)
{
	return simulated ? simulated->mono : (bh_mono){read_clock(CLOCK_MONOTONIC)};
}

bh_usec bh_clock_work(void)
{
	return simulated ? simulated->mono.us : read_clock(CLOCK_THREAD_CPUTIME_ID);
}

bh_now bh_clock_now(void)
{
	return (bh_now){.wall = bh_clock_wall(), .mono = bh_clock_mono()};
}

/*
 * The calendar by arithmetic, so that neither the time zone nor the locale of the
 * process can reach it. Years begin in March here, which puts the leap day last; an era
 * is 400 years of 146,097 days; day 719,468 of that count is 1970-01-01.
 */
#define DAYS_OF_ERA 146097
#define DAYS_BEFORE_1970 719468

static int64_t days_of_date(int64_t year, int month, int day)
{
	if (month <= 2)
		year--;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * DAYS_OF_ERA + day_of_era - DAYS_BEFORE_1970;
}

static void date_of_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
	days += DAYS_BEFORE_1970;
	int64_t era = (days >= 0 ? days : days - (DAYS_OF_ERA - 1)) / DAYS_OF_ERA;
	int64_t day_of_era = days - era * DAYS_OF_ERA;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;

	*ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	*ret_month = (int)(month < 10 ? month + 3 : month - 9);
	*ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

static int days_in_month(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static char *put_digits(char *at, int64_t number, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		at[i] = (char)('0' + number % 10);
		number /= 10;
	}
	return at + digits;
}

const char *bh_time_text(bh_usec at, char buffer[BH_TIME_TEXT_SIZE])
{
	int64_t days = at / BH_DAY - (at % BH_DAY < 0);
	bh_usec of_day = at - days * BH_DAY;
	int64_t year;
	int month, day;

	date_of_days(days, &year, &month, &day);
	char *p = put_digits(buffer, CLAMP(year, 0, YEAR_MAX), 4);
	*p++ = '-';
	p = put_digits(p, month, 2);
	*p++ = '-';
	p = put_digits(p, day, 2);
	*p++ = 'T';
	p = put_digits(p, of_day / BH_HOUR, 2);
	*p++ = ':';
	p = put_digits(p, of_day / BH_MINUTE % 60, 2);
	*p++ = ':';
	p = put_digits(p, of_day / BH_SECOND % 60, 2);
	*p++ = '.';
	p = put_digits(p, of_day % BH_SECOND, 6);
	*p++ = 'Z';
	*p = '\0';
	return buffer;
}

/* A place in a text that is being read; `ok` turns false at the first thing that is wrong and stays so. */
typedef struct cursor {
	const char *at, *end;
	bool ok;
} cursor;

static bool at_digit(const cursor *c)
{
	return c->at < c->end && g_ascii_isdigit(*c->at);
}

/* Exactly so many digits. */
static int take_number(cursor *c, int digits)
{
	int number = 0;

	for (int i = 0; i < digits && c->ok; i++) {
		c->ok = at_digit(c);
		if (c->ok)
			number = number * 10 + (*c->at++ - '0');
	}
	return number;
}

/* One of the characters of `allowed`; returns it. */
static char take_one(cursor *c, const char *allowed)
{
	for (const char *a = allowed; c->ok && c->at < c->end && *a; a++)
		if (*c->at == *a)
			return *c->at++;
	c->ok = false;
	return '\0';
}

static void take_text(cursor *c, const char *text)
{
	size_t size = strlen(text);

	if (!c->ok || (size_t)(c->end - c->at) < size || memcmp(c->at, text, size) != 0)
		c->ok = false;
	else
		c->at += size;
}

/* Digits after a full stop, as microseconds; finer ones are cut. */
static bh_usec take_fraction(cursor *c)
{
	bh_usec fraction = 0, unit = BH_SECOND / 10;

	take_text(c, ".");
	if (c->ok && !at_digit(c))
		c->ok = false;
	while (c->ok && at_digit(c)) {
		fraction += unit * (*c->at++ - '0');
		unit /= 10;
	}
	return fraction;
}

/* "Z", or how far the local clock was ahead of UTC: "+05:30". */
static bh_usec take_offset(cursor *c)
{
	char sign = take_one(c, "Zz+-");

	if (!c->ok || sign == 'Z' || sign == 'z')
		return 0;
	int hours = take_number(c, 2);
	take_text(c, ":");
	int minutes = take_number(c, 2);
	if (hours > 23 || minutes > 59)
		c->ok = false;
	bh_usec ahead = hours * BH_HOUR + minutes * BH_MINUTE;
	return sign == '-' ? -ahead : ahead;
}

typedef struct civil {
	int year, month, day, hour, minute, second;
} civil;

/*
 * The moment of a date and time of day that is `ahead` of UTC. A leap second (only where UTC can have
 * one) is the first moment of the next minute, as in POSIX.
 */
static bool moment_of(const civil *t, bh_usec fraction, bh_usec ahead, bh_usec *ret_at)
{
	if (t->year < 1 || t->month < 1 || t->month > 12 || t->day < 1 || t->day > days_in_month(t->year, t->month))
		return false;
	if (t->hour > 23 || t->minute > 59 || t->second > 60)
		return false;

	bh_usec at = days_of_date(t->year, t->month, t->day) * BH_DAY + t->hour * BH_HOUR + t->minute * BH_MINUTE +
		     t->second * BH_SECOND - ahead;
	if (t->second == 60 && at % BH_DAY != 0)
		return false;
	if (at < 0 || at + fraction >= days_of_date(YEAR_MAX + 1, 1, 1) * BH_DAY)
		return false;
	*ret_at = at + fraction;
	return true;
}

static void take_time_of_day(cursor *c, civil *t)
{
	t->hour = take_number(c, 2);
	take_text(c, ":");
	t->minute = take_number(c, 2);
	take_text(c, ":");
	t->second = take_number(c, 2);
}

bool bh_time_parse(const char *text, size_t size, bh_usec *ret_at)
{
	cursor c = {text, text + size, true};
	civil t = {0};
	bh_usec fraction = 0;

	t.year = take_number(&c, 4);
	take_text(&c, "-");
	t.month = take_number(&c, 2);
	take_text(&c, "-");
	t.day = take_number(&c, 2);
	take_one(&c, "Tt");
	take_time_of_day(&c, &t);
	if (c.ok && c.at < c.end && *c.at == '.')
		fraction = take_fraction(&c);
	bh_usec ahead = take_offset(&c);

	return c.ok && c.at == c.end && moment_of(&t, fraction, ahead, ret_at);
}

static const char *const DAYS[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
static const char *const MONTHS[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
				     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* The day of the week must be a name; that it fits the date is not checked, as the date is what counts. */
static bool take_day_name(cursor *c, bool whole)
{
	for (size_t i = 0; i < G_N_ELEMENTS(DAYS); i++) {
		size_t size = whole ? strlen(DAYS[i]) : 3;
		if ((size_t)(c->end - c->at) >= size && memcmp(c->at, DAYS[i], size) == 0) {
			c->at += size;
			return true;
		}
	}
	return false;
}

static int take_month_name(cursor *c)
{
	for (size_t i = 0; i < G_N_ELEMENTS(MONTHS) && c->ok; i++) {
		if (c->end - c->at >= 3 && memcmp(c->at, MONTHS[i], 3) == 0) {
			c->at += 3;
			return (int)i + 1;
		}
	}
	c->ok = false;
	return 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static void take_fixdate(cursor *c, civil *t)
{
	take_text(c, ", ");
	t->day = take_number(c, 2);
	take_text(c, " ");
	t->month = take_month_name(c);
	take_text(c, " ");
	t->year = take_number(c, 4);
	take_text(c, " ");
	take_time_of_day(c, t);
	take_text(c, " GMT");
}

/*
 * "Sunday, 06-Nov-94 08:49:37 GMT". The RFC reads the two digits within fifty years of
 * now; a fixed turn at 70 needs no clock and agrees for every date that a server sends today.
 */
static void take_rfc850(cursor *c, civil *t)
{
	take_text(c, ", ");
	t->day = take_number(c, 2);
	take_text(c, "-");
	t->month = take_month_name(c);
	take_text(c, "-");
	int year = take_number(c, 2);
	t->year = year + (year < 70 ? 2000 : 1900);
	take_text(c, " ");
	take_time_of_day(c, t);
	take_text(c, " GMT");
}

/* "Sun Nov  6 08:49:37 1994" */
static void take_asctime(cursor *c, civil *t)
{
	take_text(c, " ");
	t->month = take_month_name(c);
	take_text(c, " ");
	if (c->ok && c->at < c->end && *c->at == ' ') {
		c->at++;
		t->day = take_number(c, 1);
	} else {
		t->day = take_number(c, 2);
	}
	take_text(c, " ");
	take_time_of_day(c, t);
	take_text(c, " ");
	t->year = take_number(c, 4);
}

bool bh_time_parse_http(const char *text, bh_usec *ret_at)
{
	cursor c = {text, text + strlen(text), true};
	civil t = {0};

	if (take_day_name(&c, true))
		take_rfc850(&c, &t);
	else if (!take_day_name(&c, false))
		return false;
	else if (c.at < c.end && *c.at == ',')
		take_fixdate(&c, &t);
	else
		take_asctime(&c, &t);

	return c.ok && c.at == c.end && moment_of(&t, 0, 0, ret_at);
}

bool bh_span_parse(const char *text, bh_usec *ret_span)
{
	static const struct {
		const char *name;
		bh_usec size;
	} units[] = {{"ms", BH_MILLISECOND}, {"s", BH_SECOND}, {"m", BH_MINUTE}, {"h", BH_HOUR}, {"d", BH_DAY}};
	const char *p = text;
	int64_t number = 0;

	for (; g_ascii_isdigit(*p); p++) {
		number = number * 10 + (*p - '0');
		if (number > SPAN_MAX)
			return false;
	}
	if (p == text)
		return false;

	for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
		if (strcmp(p, units[i].name) != 0)
			continue;
		if (number > SPAN_MAX / units[i].size)
			return false;
		*ret_span = number * units[i].size;
		return true;
	}
	return false;
}
