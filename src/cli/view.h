/*
 * How the API's objects are shown to people: rows say which members, in which order and in what form; a table has a
 * column for each, `show` a line. Pure: the time and the screen are given.
 */
#pragma once

#include "base/json.h"
#include "base/span.h"
#include "base/time.h"
#include "cli/table.h"

#include <stdbool.h>

typedef enum bh_view_form {
	BH_VIEW_TEXT, /* strings decoded, numbers and others as their very text; escaped */
	BH_VIEW_NUMBER, /* the same, to the right */
	BH_VIEW_LIST, /* an array as "a, b" */
	BH_VIEW_YES_NO,
	BH_VIEW_ENABLED, /* the same, where no is worth a look */
	BH_VIEW_TIME, /* in a list "3 min ago", in `show` the moment */
	BH_VIEW_SECONDS,
	BH_VIEW_SPAN, /* microseconds */
	BH_VIEW_STATE, /* of a delivery or a recovery, coloured */
	BH_VIEW_PAIRS, /* an object as "name = value", a line each */
	BH_VIEW_WORDS, /* what `words` says */
} bh_view_form;

typedef struct bh_view {
	bh_usec now;
	bh_screen screen;
} bh_view;

typedef struct bh_view_row {
	const char *title; /* "MANAGER" in a list, "manager" in `show` */
	const char *member;
	bh_view_form form;
	const char *absent; /* shown when it is missing or null; NULL: nothing, and `show` leaves the line out */
	bool shrinks, optional; /* in a list; see bh_column */
	bool wraps; /* in a list, of the last one */
	bh_paint paint; /* of forms that have no colour of their own */
	/* What takes more than one member to say: new text, safe to show; NULL: absent. `member` means nothing then. */
	char *(*words)(const bh_view *view, const bh_json *json, uint32_t object);
} bh_view_row;

/* A table with a column for each row (they end without a title), to which objects are added as lines. */
bh_table *bh_view_table(const bh_view_row *rows);
void bh_view_add(const bh_view *view, bh_table *table, const bh_json *json, uint32_t object, const bh_view_row *rows);

/* Lines "title  value" for one object, indented by two. */
void bh_view_one(const bh_view *view, const bh_json *json, uint32_t object, const bh_view_row *rows, GString *out);

bh_paint bh_state_paint(const char *state);

/*
 * A JSON value for reading: names, numbers and strings as the very bytes they came in, only the blanks between them are
 * ours. Short values stay on one line. Characters that could act on a terminal are written \u001b.
 */
void bh_view_json(const bh_json *json, uint32_t node, int indent, int width, GString *out);

/*
 * A body for reading, each line indented: JSON as above, else its lines, safe to show. It ends with a line feed; nothing for an
 * empty one.
 */
void bh_view_payload(const bh_view *view, bh_span body, int indent, GString *out);

/* The member's name on a line, and indented below it its value as above. Nothing when it is missing or null. */
void bh_view_block(const bh_view *view, const bh_json *json, uint32_t object, const char *member, GString *out);
