/* Reading the table that a chunk returned. It is a stranger's: every access is raw, every text has a limit. */
#pragma once

#include "method/method.h"

#include <lua.h>

#define BH_READING_TITLE_MAX 200
#define BH_READING_HELP_MAX 4096

typedef struct bh_reading {
	lua_State *lua; /* the table in question is on the top of its stack */
	bh_method *method; /* NULL: a webhook's own script */
	const char *file; /* "basic.lua" */
	bh_span source;
	GError **error;
} bh_reading;

/* False, with BH_ERROR_INVALID: "basic.lua:12: ...", the line on which `word` stands first (NULL, or nowhere: no line). */
bool bh_reading_refuse(bh_reading *r, const char *word, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* "; did you mean fields?" or "; there are title, notes ..." for the end of such a sentence. The caller's. */
char *bh_reading_meant(const char *name, const char *const *known);

/* Pushes member `name` of the table and returns its type. */
int bh_reading_member(bh_reading *r, const char *name);

/* Refuses members that are not in the list `known`; `what` names the table. */
bool bh_reading_check_members(bh_reading *r, const char *const *known, const char *what);

/* A text of at most `most` bytes; *ret_text stays NULL when there is none. `where` is the field's key, or NULL. */
bool bh_reading_text(bh_reading *r, const char *where, const char *name, size_t most, char **ret_text);
bool bh_reading_need_text(bh_reading *r, const char *where, const char *name, size_t most, char **ret_text);

/* Is the value on the top a list: nothing but 1, 2, 3 ...? */
bool bh_reading_check_list(bh_reading *r, const char *where, const char *name, lua_Unsigned most);

/* field_file.c: the table on the top becomes field number `number` of the method. */
bool bh_reading_field(bh_reading *r, int number);
void bh_field_free(bh_field *field);
