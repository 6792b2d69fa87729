#include "method/matcher.h"

#include "method/sandbox.h"

#include <glib.h>
#include <lauxlib.h>
#include <string.h>

#define DEPTH_MAX 200
#define ESCAPE '%'

/*
 * A pattern is a row of items. try_item looks at the first one and either fails, or says where subject and pattern go on
 * (`more`), or, where there is a choice, tries the rest of the pattern itself for each possibility.
 */
typedef struct place {
	const char *s, *p;
	bool more; /* go on from here; else `s` is the result */
} place;

static place goes_on(const char *s, const char *p)
{
	return (place){s, p, true};
}

static place ends(const char *s)
{
	return (place){s, NULL, false};
}

void bh_matcher_init(bh_matcher *m, lua_State *lua, bh_span subject, bh_span pattern)
{
	m->lua = lua;
	m->subject = subject.at;
	m->subject_end = subject.at + subject.size;
	m->pattern_end = pattern.at + pattern.size;
	m->depth = 0;
	m->count = 0;
}

/* --- One character ---------------------------------------------------------------------------- */

/* Where the single-character item that begins at `p` ends: a character, %x, or [set]. */
static const char *item_end(bh_matcher *m, const char *p)
{
	char first = *p++;

	if (first == ESCAPE) {
		if (p == m->pattern_end)
			luaL_error(m->lua, "malformed pattern (ends with '%%')");
		return p + 1;
	}
	if (first != '[')
		return p;

	if (p < m->pattern_end && *p == '^')
		p++;
	do { /* a ']' in the first place is a member */
		if (p >= m->pattern_end)
			luaL_error(m->lua, "malformed pattern (missing ']')");
		if (*p++ == ESCAPE)
			p++; /* past the end when the pattern ends here: the next round says so */
	} while (p >= m->pattern_end || *p != ']');
	return p + 1;
}

static bool in_class(unsigned char c, unsigned char class)
{
	bool is;

	switch (g_ascii_tolower((char)class)) {
	case 'a':
		is = g_ascii_isalpha(c);
		break;
	case 'c':
		is = g_ascii_iscntrl(c);
		break;
	case 'd':
		is = g_ascii_isdigit(c);
		break;
	case 'g':
		is = g_ascii_isgraph(c);
		break;
	case 'l':
		is = g_ascii_islower(c);
		break;
	case 'p':
		is = g_ascii_ispunct(c);
		break;
	case 's':
		is = g_ascii_isspace(c) || c == '\v'; /* GLib leaves the vertical tab out */
		break;
	case 'u':
		is = g_ascii_isupper(c);
		break;
	case 'w':
		is = g_ascii_isalnum(c);
		break;
	case 'x':
		is = g_ascii_isxdigit(c);
		break;
	case 'z': /* from before patterns could hold a zero byte */
		is = c == '\0';
		break;
	default:
		return class == c; /* an escaped character stands for itself */
	}
	return g_ascii_isupper((char)class) ? !is : is;
}

/* `set` is at '[', `last` at its closing ']'. */
static bool in_set(unsigned char c, const char *set, const char *last)
{
	bool wanted = true;
	const char *p = set + 1;

	if (*p == '^') {
		wanted = false;
		p++;
	}
	for (; p < last; p++) {
		if (*p == ESCAPE) {
			p++;
			if (in_class(c, (unsigned char)*p))
				return wanted;
		} else if (p + 2 < last && p[1] == '-') {
			if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
				return wanted;
			p += 2;
		} else if ((unsigned char)*p == c) {
			return wanted;
		}
	}
	return !wanted;
}

/* Does the item p..end take the character at `s`? */
static bool takes(bh_matcher *m, const char *s, const char *p, const char *end)
{
	bh_sandbox_spend(m->lua, 1 + (size_t)(end - p) / 8);
	if (s >= m->subject_end)
		return false;

	switch (*p) {
	case '.':
		return true;
	case ESCAPE:
		return in_class((unsigned char)*s, (unsigned char)p[1]);
	case '[':
		return in_set((unsigned char)*s, p, end - 1);
	default:
		return *p == *s;
	}
}

/* --- Repetitions ------------------------------------------------------------------------------ */

static const char *as_many_as_possible(bh_matcher *m, const char *s, const char *p, const char *end)
{
	ptrdiff_t count = 0;
	while (takes(m, s + count, p, end))
		count++;

	for (; count >= 0; count--) {
		const char *result = bh_matcher_run(m, s + count, end + 1);
		if (result)
			return result;
	}
	return NULL;
}

static const char *as_few_as_possible(bh_matcher *m, const char *s, const char *p, const char *end)
{
	for (;; s++) {
		const char *result = bh_matcher_run(m, s, end + 1);
		if (result)
			return result;
		if (!takes(m, s, p, end))
			return NULL;
	}
}

static place try_character(bh_matcher *m, const char *s, const char *p)
{
	const char *end = item_end(m, p);
	char suffix = end < m->pattern_end ? *end : '\0';

	switch (suffix) {
	case '*':
		return ends(as_many_as_possible(m, s, p, end));
	case '+':
		return ends(takes(m, s, p, end) ? as_many_as_possible(m, s + 1, p, end) : NULL);
	case '-':
		return ends(as_few_as_possible(m, s, p, end));
	case '?': {
		const char *with = takes(m, s, p, end) ? bh_matcher_run(m, s + 1, end + 1) : NULL;
		return with ? ends(with) : goes_on(s, end + 1);
	}
	default:
		return takes(m, s, p, end) ? goes_on(s + 1, end) : ends(NULL);
	}
}

/* --- Captures --------------------------------------------------------------------------------- */

static const char *open_capture(bh_matcher *m, const char *s, const char *p, bool position)
{
	if (m->count == BH_CAPTURES_MAX)
		luaL_error(m->lua, "too many captures");

	bh_capture *c = &m->captures[m->count++];
	*c = (bh_capture){.start = s, .kind = position ? BH_CAPTURE_POSITION : BH_CAPTURE_OPEN};
	const char *result = bh_matcher_run(m, s, p);
	if (!result)
		m->count--;
	return result;
}

static const char *close_capture(bh_matcher *m, const char *s, const char *p)
{
	int i = m->count - 1;
	while (i >= 0 && m->captures[i].kind != BH_CAPTURE_OPEN)
		i--;
	if (i < 0)
		luaL_error(m->lua, "invalid pattern capture");

	bh_capture *c = &m->captures[i];
	c->kind = BH_CAPTURE_CLOSED;
	c->size = (size_t)(s - c->start);
	const char *result = bh_matcher_run(m, s, p);
	if (!result)
		c->kind = BH_CAPTURE_OPEN;
	return result;
}

/* %1 to %9: the same text as that capture once more. */
static place try_same_again(bh_matcher *m, const char *s, const char *p)
{
	int i = p[1] - '1';
	if (i < 0 || i >= m->count || m->captures[i].kind == BH_CAPTURE_OPEN)
		luaL_error(m->lua, "invalid capture index %%%d", i + 1);

	const bh_capture *c = &m->captures[i];
	bh_sandbox_spend(m->lua, c->size);
	if (c->kind == BH_CAPTURE_POSITION)
		return ends(NULL); /* it is a number: no text is the same */
	if ((size_t)(m->subject_end - s) < c->size || memcmp(s, c->start, c->size) != 0)
		return ends(NULL);
	return goes_on(s + c->size, p + 2);
}

/* --- %b and %f -------------------------------------------------------------------------------- */

/* %bxy: from an x to the y that balances it. */
static place try_balance(bh_matcher *m, const char *s, const char *p)
{
	if (m->pattern_end - p < 4)
		luaL_error(m->lua, "malformed pattern (missing arguments to '%%b')");
	if (s >= m->subject_end || *s != p[2])
		return ends(NULL);

	size_t open = 1;
	for (const char *c = s + 1; c < m->subject_end; c++) {
		bh_sandbox_spend(m->lua, 1);
		if (*c == p[3]) {
			if (--open == 0)
				return goes_on(c + 1, p + 4);
		} else if (*c == p[2]) {
			open++;
		}
	}
	return ends(NULL);
}

/* %f[set]: between a character outside the set and one inside; before and after the subject lies '\0'. */
static place try_frontier(bh_matcher *m, const char *s, const char *p)
{
	const char *set = p + 2;
	if (set >= m->pattern_end || *set != '[')
		luaL_error(m->lua, "missing '[' after '%%f' in pattern");

	const char *end = item_end(m, set);
	char before = s == m->subject ? '\0' : s[-1];
	char after = s == m->subject_end ? '\0' : *s;
	bh_sandbox_spend(m->lua, (size_t)(end - set) / 4);
	if (in_set((unsigned char)before, set, end - 1) || !in_set((unsigned char)after, set, end - 1))
		return ends(NULL);
	return goes_on(s, end);
}

/* --- The row of items ------------------------------------------------------------------------- */

static place try_escape(bh_matcher *m, const char *s, const char *p)
{
	char kind = p + 1 < m->pattern_end ? p[1] : '\0';

	if (kind == 'b')
		return try_balance(m, s, p);
	if (kind == 'f')
		return try_frontier(m, s, p);
	if (g_ascii_isdigit(kind))
		return try_same_again(m, s, p);
	return try_character(m, s, p);
}

static place try_item(bh_matcher *m, const char *s, const char *p)
{
	switch (*p) {
	case '(': {
		bool position = p + 1 < m->pattern_end && p[1] == ')';
		return ends(open_capture(m, s, position ? p + 2 : p + 1, position));
	}
	case ')':
		return ends(close_capture(m, s, p + 1));
	case '$':
		if (p + 1 == m->pattern_end)
			return ends(s == m->subject_end ? s : NULL);
		return try_character(m, s, p);
	case ESCAPE:
		return try_escape(m, s, p);
	default:
		return try_character(m, s, p);
	}
}

const char *bh_matcher_run(bh_matcher *m, const char *at, const char *pattern)
{
	if (++m->depth > DEPTH_MAX)
		luaL_error(m->lua, "pattern too complex");

	place here = goes_on(at, pattern);
	while (here.more && here.p < m->pattern_end) {
		bh_sandbox_spend(m->lua, 1);
		here = try_item(m, here.s, here.p);
	}
	m->depth--;
	return here.s;
}

/* --- Is it a pattern at all? ------------------------------------------------------------------ */

/* The captures that a walk through a pattern has met: open or closed, in the order of their opening. */
static void note_opened(bh_matcher *m, bool position)
{
	if (m->count == BH_CAPTURES_MAX)
		luaL_error(m->lua, "too many captures");
	m->captures[m->count++].kind = position ? BH_CAPTURE_POSITION : BH_CAPTURE_OPEN;
}

static void note_closed(bh_matcher *m)
{
	int i = m->count - 1;
	while (i >= 0 && m->captures[i].kind != BH_CAPTURE_OPEN)
		i--;
	if (i < 0)
		luaL_error(m->lua, "invalid pattern capture");
	m->captures[i].kind = BH_CAPTURE_CLOSED;
}

/* Past the item with '%' at `p`. */
static const char *check_escape(bh_matcher *m, const char *p)
{
	char kind = p + 1 < m->pattern_end ? p[1] : '\0';

	if (kind == 'b') {
		if (m->pattern_end - p < 4)
			luaL_error(m->lua, "malformed pattern (missing arguments to '%%b')");
		return p + 4;
	}
	if (kind == 'f') {
		if (p + 2 >= m->pattern_end || p[2] != '[')
			luaL_error(m->lua, "missing '[' after '%%f' in pattern");
		return item_end(m, p + 2);
	}
	if (g_ascii_isdigit(kind)) {
		int i = kind - '1';
		if (i < 0 || i >= m->count || m->captures[i].kind == BH_CAPTURE_OPEN)
			luaL_error(m->lua, "invalid capture index %%%d", i + 1);
		return p + 2;
	}
	return item_end(m, p);
}

void bh_matcher_check(bh_matcher *m, const char *pattern)
{
	for (const char *p = pattern; p < m->pattern_end;) {
		if (*p == '(') {
			bool position = p + 1 < m->pattern_end && p[1] == ')';
			note_opened(m, position);
			p += position ? 2 : 1;
		} else if (*p == ')') {
			note_closed(m);
			p++;
		} else {
			p = *p == ESCAPE ? check_escape(m, p) : item_end(m, p);
		}
	}
	for (int i = 0; i < m->count; i++)
		if (m->captures[i].kind == BH_CAPTURE_OPEN)
			luaL_error(m->lua, "unfinished capture");
}

/* --- What was captured ------------------------------------------------------------------------ */

void bh_matcher_push(bh_matcher *m, int i, const char *start, const char *end)
{
	if (i >= m->count) {
		if (i != 0)
			luaL_error(m->lua, "invalid capture index %%%d", i + 1);
		lua_pushlstring(m->lua, start, (size_t)(end - start));
		return;
	}

	const bh_capture *c = &m->captures[i];
	switch (c->kind) {
	case BH_CAPTURE_OPEN:
		luaL_error(m->lua, "unfinished capture");
		break;
	case BH_CAPTURE_POSITION:
		lua_pushinteger(m->lua, c->start - m->subject + 1);
		break;
	case BH_CAPTURE_CLOSED:
		lua_pushlstring(m->lua, c->start, c->size);
		break;
	}
}

int bh_matcher_push_all(bh_matcher *m, const char *start, const char *end)
{
	int count = m->count == 0 && start ? 1 : m->count;

	luaL_checkstack(m->lua, count, "too many captures");
	for (int i = 0; i < count; i++)
		bh_matcher_push(m, i, start, end);
	return count;
}
