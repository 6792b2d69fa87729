/*
 * Reads a JSON document from a call's body, strictly: a member that the route does not know, a wrong type or a
 * text that is too long answers 422 with a pointer. Every function returns false when the call is answered.
 * A node that is BH_JSON_NONE leaves *ret as it is.
 */
#pragma once

#include "api/call.h"

/* The whole: an object with no members but `known` (NULL-terminated). Node 0 is it. An empty body is an empty object. */
bool bh_body_parse(bh_call *call, const char *const *known);
uint32_t bh_body_member(bh_call *call, const char *name);
/* The same check of an object within it. */
bool bh_body_object(bh_call *call, uint32_t node, const char *pointer, const char *const *known);

/* What a text may be. */
typedef struct bh_text_rule {
	size_t max; /* bytes */
	bool may_be_empty;
	bool may_be_null; /* gives NULL */
	bool may_be_integer; /* ids of the site: 7 means "7" */
} bh_text_rule;

extern const bh_text_rule BH_RULE_NAME; /* for people; may be empty */
extern const bh_text_rule BH_RULE_SITE_ID;
extern const bh_text_rule BH_RULE_SITE_ID_OR_NULL;

/* No control characters, in any case. *ret is replaced. */
bool bh_body_text(bh_call *call, uint32_t node, const char *pointer, const bh_text_rule *rule, char **ret);
/* A list without repetitions (what is named twice counts once), NULL-terminated. */
bool bh_body_texts(bh_call *call, uint32_t node, const char *pointer, const bh_text_rule *rule, size_t most,
		   char ***ret);
/* The path's id in *ret; a body that names another one, or a path's id that no id may be, is refused. */
bool bh_body_own_id(bh_call *call, char **ret);
bool bh_body_bool(bh_call *call, uint32_t node, const char *pointer, bool *ret);

typedef struct bh_number_rule {
	double least, most;
	bool is_whole;
} bh_number_rule;
bool bh_body_number(bh_call *call, uint32_t node, const char *pointer, const bh_number_rule *rule, double *ret);

/* Is this node there and `null`? */
bool bh_body_is_null(bh_call *call, uint32_t node);

/* `parent` and one more step, escaped (RFC 6901). New text. */
char *bh_pointer_to(const char *parent, const char *step);

/* Is it a text of 1 to `max` bytes without control characters? For ids in a path. */
bool bh_text_is_plain(const char *text, size_t max);
