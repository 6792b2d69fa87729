/*
 * Aligned tables that fit the screen.
 *
 * Each column is as wide as its widest cell. When the row is too wide, columns that may shrink are cut with
 * an ellipsis, the widest first; a last column that wraps takes what is left and goes on below itself. Ids are in
 * columns that do neither, so that they can always be copied. A column with nothing in it is left out.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum bh_paint { BH_PLAIN, BH_BOLD, BH_FAINT, BH_GOOD, BH_WARN, BH_BAD } bh_paint;

/* Where text goes, and what it can show. */
typedef struct bh_screen {
	int width; /* columns */
	bool colours;
	bool whole; /* no terminal: tables cut and wrap nothing, a line a row, for grep and awk */
} bh_screen;

/* What a file can show: as wide as the terminal, else 120 and whole; colours on a terminal unless NO_COLOR is set. */
bh_screen bh_screen_of(int fd);

/* Appends `text` in a colour, or plainly if the screen shows none. */
void bh_paint_append(GString *out, bh_screen screen, bh_paint paint, const char *text);

typedef struct bh_column {
	const char *title; /* NULL in every column: no line of titles */
	bool right; /* numbers */
	bool shrinks;
	bool optional; /* left out where the screen is too narrow for all, the last such column first */
	bool wraps; /* of the last column only */
} bh_column;

typedef struct bh_table bh_table;

/* Copies the columns; their titles must outlive the table. */
bh_table *bh_table_new(const bh_column *columns, guint count);
void bh_table_free(bh_table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(bh_table, bh_table_free)

/* Cells in the order of the columns, row by row. `text` may be NULL (nothing) and must be safe to show. */
void bh_table_add(bh_table *table, bh_paint paint, const char *text);

/* Each line begins with `indent` blanks and ends without any. */
void bh_table_print(const bh_table *table, bh_screen screen, int indent, GString *out);
