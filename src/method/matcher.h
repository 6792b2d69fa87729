/* The search behind patterns.h: one subject, one pattern, captures. Raises Lua errors for a malformed pattern. */
#pragma once

#include "base/span.h"

#include <lua.h>

#define BH_CAPTURES_MAX 32

typedef struct bh_capture {
	const char *start;
	enum { BH_CAPTURE_OPEN, BH_CAPTURE_CLOSED, BH_CAPTURE_POSITION } kind;
	size_t size; /* CLOSED */
} bh_capture;

typedef struct bh_matcher {
	lua_State *lua;
	const char *subject, *subject_end;
	const char *pattern_end;
	int depth;
	int count; /* captures opened so far */
	bh_capture captures[BH_CAPTURES_MAX];
} bh_matcher;

void bh_matcher_init(bh_matcher *m, lua_State *lua, bh_span subject, bh_span pattern);

/* Raises an error if `pattern` (without its anchor) is malformed, though a search might never come to that place. */
void bh_matcher_check(bh_matcher *m, const char *pattern);

/* Matches `pattern` (without its anchor) exactly at `at`. NULL: no; else the end of the match. */
const char *bh_matcher_run(bh_matcher *m, const char *at, const char *pattern);

/* Pushes capture `i`; number 0 of a pattern without captures is the whole match. */
void bh_matcher_push(bh_matcher *m, int i, const char *start, const char *end);

/* Pushes all captures, or the whole match if there are none and `start` is given. Returns how many. */
int bh_matcher_push_all(bh_matcher *m, const char *start, const char *end);
