/*
 * The types that a setting can have: how text becomes a value in its field of bh_settings, and a
 * value text. Private to the settings (settings.c has the rows).
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bh_setting_type bh_setting_type;

typedef struct bh_setting_row {
	const char *name;
	const bh_setting_type *type;
	size_t offset; /* of the field in bh_settings */
	const char *default_text;
	const char *help;
	int64_t low, high; /* numbers, sizes (bytes) and spans (bh_usec): both included */
	const char *choices; /* choice: "all, first" */
	bool (*check)(const char *text, GError **error); /* text: more than any text will do; NULL: it will */
	bool from_start; /* what a reload finds changed counts from the next start */
} bh_setting_row;

struct bh_setting_type {
	const char *name;
	/* Writes the field only on success. BH_ERROR_INVALID: what is wrong and what would be right. */
	bool (*read)(const bh_setting_row *row, const char *text, void *field, GError **error);
	char *(*text)(const void *field); /* as `read` takes it, in the shortest form */
	char *(*range)(const bh_setting_row *row); /* for people */
	void (*clear)(void *field); /* NULL: nothing to free */
};

extern const bh_setting_type BH_SETTING_TEXT; /* char * */
extern const bh_setting_type BH_SETTING_CHOICE; /* char *, one of the row's choices */
extern const bh_setting_type BH_SETTING_SWITCH; /* bool */
extern const bh_setting_type BH_SETTING_NUMBER; /* int64_t */
extern const bh_setting_type BH_SETTING_SIZE; /* int64_t, bytes */
extern const bh_setting_type BH_SETTING_SPAN; /* bh_usec */
extern const bh_setting_type BH_SETTING_SPANS; /* GArray * of bh_usec */
extern const bh_setting_type BH_SETTING_LIST; /* char ** */
