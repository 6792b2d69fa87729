/*
 * Patterns of fields: the matcher that scripts have (matcher.h), on a text from outside. It raises Lua errors and is paid by the
 * step, so each use has a small sandbox of its own. That costs some microseconds, when somebody saves.
 */
#include "base/error.h"
#include "method/field.h"
#include "method/matcher.h"
#include "method/sandbox.h"

#define STEPS_MAX 1000000
#define MEMORY_MAX (256 * 1024)

typedef struct question {
	bh_span text, pattern; /* the pattern without its anchors */
	bool only_check;
	bool answer;
} question;

static int ask(lua_State *lua)
{
	question *q = lua_touserdata(lua, 1);
	bh_matcher matcher;

	bh_matcher_init(&matcher, lua, q->text, q->pattern);
	if (q->only_check)
		bh_matcher_check(&matcher, q->pattern.at);
	else
		q->answer = bh_matcher_run(&matcher, q->text.at, q->pattern.at) == matcher.subject_end;
	return 0;
}

/* False: the pattern is malformed, or the steps were too many. */
static bool ask_safely(question *q, GError **error)
{
	bh_meter meter = {.steps = STEPS_MAX, .memory = MEMORY_MAX, .time = BH_SECOND};
	bh_sandbox box;
	int anchor, results = 0;

	bh_sandbox_init(&box, MEMORY_MAX);
	lua_State *thread = bh_sandbox_thread(&box, &anchor);
	lua_pushcfunction(thread, ask);
	lua_pushlightuserdata(thread, q);
	bool ok = bh_sandbox_resume(&box, thread, &meter, 1, &results) == LUA_OK;
	if (!ok) {
		const char *why = lua_tostring(thread, -1);
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "%s", why ? why : "it takes too many steps");
	}
	bh_sandbox_clear(&box);
	return ok;
}

/* Is the last character an anchor, and not an escaped or a listed '$'? */
static bool ends_in_anchor(const char *pattern)
{
	size_t size = strlen(pattern), escapes = 0;

	if (size == 0 || pattern[size - 1] != '$')
		return false;
	while (escapes < size - 1 && pattern[size - 2 - escapes] == '%')
		escapes++;
	return escapes % 2 == 0;
}

/* `^` is no item of a pattern; the search begins at the start in any case. */
static const char *without_start(const char *pattern)
{
	return pattern[0] == '^' ? pattern + 1 : pattern;
}

/* A search may stop before the end of the text although another way would reach it; only the anchor makes it go on. */
static char *anchored(const char *pattern)
{
	const char *start = without_start(pattern);
	return g_strconcat(start, ends_in_anchor(start) ? "" : "$", NULL);
}

bool bh_pattern_check(const char *pattern, GError **error)
{
	const char *start = without_start(pattern);
	question q = {.text = bh_span_of(""), .pattern = bh_span_of(start), .only_check = true};

	return ask_safely(&q, error);
}

bool bh_pattern_matches(const char *pattern, const char *text)
{
	g_autofree char *whole = anchored(pattern);
	question q = {.text = bh_span_of(text), .pattern = bh_span_of(whole)};

	return ask_safely(&q, NULL) && q.answer;
}
