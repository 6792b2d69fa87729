#include "cli/table.h"

#include "cli/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP 2 /* blanks between columns */
#define SHRUNK_MIN 10 /* a cut cell keeps at least that, or it says nothing */
#define WRAPPED_MIN 24

typedef struct cell {
	char *text;
	bh_paint paint;
} cell;

struct bh_table {
	bh_column *columns;
	guint count;
	GArray *cells;
};

static void clear_cell(void *data)
{
	g_free(((cell *)data)->text);
}

bh_screen bh_screen_of(int fd)
{
	const char *no_colour = g_getenv("NO_COLOR");
	const char *terminal = g_getenv("TERM");
	bool on_terminal = isatty(fd);
	struct winsize size;

	bh_screen screen = {.width = 120, .whole = !on_terminal};
	screen.colours = on_terminal && !(no_colour && *no_colour) && g_strcmp0(terminal, "dumb") != 0;
	if (on_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		screen.width = MAX(60, size.ws_col);
	return screen;
}

void bh_paint_append(GString *out, bh_screen screen, bh_paint paint, const char *text)
{
	static const char *const codes[] = {[BH_PLAIN] = "",  [BH_BOLD] = "1",  [BH_FAINT] = "2",
					    [BH_GOOD] = "32", [BH_WARN] = "33", [BH_BAD] = "31"};
	if (screen.colours && paint != BH_PLAIN && *text)
		g_string_append_printf(out, "\033[%sm%s\033[0m", codes[paint], text);
	else
		g_string_append(out, text);
}

bh_table *bh_table_new(const bh_column *columns, guint count)
{
	bh_table *table = g_new0(bh_table, 1);
	table->columns = g_memdup2(columns, count * sizeof *columns);
	table->count = count;
	table->cells = g_array_new(FALSE, FALSE, sizeof(cell));
	g_array_set_clear_func(table->cells, clear_cell);
	return table;
}

void bh_table_free(bh_table *table)
{
	if (!table)
		return;
	g_array_unref(table->cells);
	g_free(table->columns);
	g_free(table);
}

void bh_table_add(bh_table *table, bh_paint paint, const char *text)
{
	cell c = {g_strdup(text ? text : ""), paint};
	g_array_append_val(table->cells, c);
}

/* Columns of width 0 have nothing in them and are left out. */
static void measure(const bh_table *table, int *widths)
{
	for (guint i = 0; i < table->cells->len; i++) {
		int width = bh_text_width(g_array_index(table->cells, cell, i).text);
		widths[i % table->count] = MAX(widths[i % table->count], width);
	}
	for (guint i = 0; i < table->count; i++)
		if (widths[i] && table->columns[i].title)
			widths[i] = MAX(widths[i], bh_text_width(table->columns[i].title));
}

static int total(const bh_table *table, const int *widths)
{
	int sum = 0;
	for (guint i = 0; i < table->count; i++)
		if (widths[i])
			sum += widths[i] + (sum ? GAP : 0);
	return sum;
}

/* The widest column that may still give one; -1: none. */
static int next_to_shrink(const bh_table *table, const int *widths)
{
	int widest = -1;
	for (guint i = 0; i < table->count; i++) {
		bool can = table->columns[i].shrinks && widths[i] > SHRUNK_MIN;
		if (can && (widest < 0 || widths[i] > widths[widest]))
			widest = (int)i;
	}
	return widest;
}

/* Takes columns away that are nice to have, until `over` columns of the screen are won. */
static void leave_out(const bh_table *table, int *widths, int over)
{
	for (guint i = table->count; over > 0 && i-- > 0;) {
		if (!table->columns[i].optional || !widths[i])
			continue;
		over -= widths[i] + GAP;
		widths[i] = 0;
	}
}

static int narrowest(const bh_table *table, const int *widths)
{
	int sum = 0;
	for (guint i = 0; i < table->count; i++) {
		int least = table->columns[i].shrinks ? SHRUNK_MIN : table->columns[i].wraps ? WRAPPED_MIN : widths[i];
		if (widths[i])
			sum += MIN(widths[i], least) + (sum ? GAP : 0);
	}
	return sum;
}

static void fit(const bh_table *table, int *widths, int room)
{
	leave_out(table, widths, narrowest(table, widths) - room);
	int *last = &widths[table->count - 1];
	int over = total(table, widths) - room;
	if (over > 0 && table->columns[table->count - 1].wraps) {
		int given = MIN(over, MAX(0, *last - WRAPPED_MIN));
		*last -= given;
		over -= given;
	}
	for (int i; over > 0 && (i = next_to_shrink(table, widths)) >= 0; over--)
		widths[i]--;
}

static void pad(GString *out, int blanks)
{
	for (; blanks > 0; blanks--)
		g_string_append_c(out, ' ');
}

static void trim_end(GString *out)
{
	while (out->len && out->str[out->len - 1] == ' ')
		g_string_truncate(out, out->len - 1);
}

static void print_cell(const bh_column *column, int width, const char *text, bh_paint paint, bh_screen screen,
		       GString *out)
{
	g_autofree char *shown = column->shrinks ? bh_text_cut(text, width) : g_strdup(text);
	int blanks = width - bh_text_width(shown);
	if (column->right)
		pad(out, blanks);
	bh_paint_append(out, screen, paint, shown);
	if (!column->right)
		pad(out, blanks);
}

/* One row, and below it what its last cell wraps to. */
static void print_row(const bh_table *table, const int *widths, const cell *row, bh_screen screen, int indent,
		      GString *out)
{
	guint last = table->count - 1;
	int before_last = indent + total(table, widths) - widths[last];
	bool wraps = table->columns[last].wraps;
	const char *last_text = widths[last] ? row[last].text : "";
	g_autoptr(GPtrArray) lines = bh_text_wrap(last_text, wraps ? MAX(1, widths[last]) : G_MAXINT);

	pad(out, indent);
	for (guint i = 0; i < last; i++) {
		if (widths[i] == 0)
			continue;
		print_cell(&table->columns[i], widths[i], row[i].text, row[i].paint, screen, out);
		pad(out, GAP);
	}
	for (guint i = 0; i < lines->len; i++) {
		if (i)
			pad(out, before_last);
		print_cell(&table->columns[last], widths[last], lines->pdata[i], row[last].paint, screen, out);
		trim_end(out);
		g_string_append_c(out, '\n');
	}
}

void bh_table_print(const bh_table *table, bh_screen screen, int indent, GString *out)
{
	g_assert(table->cells->len % table->count == 0);
	g_autofree int *widths = g_new0(int, table->count);
	measure(table, widths);
	if (!screen.whole)
		fit(table, widths, screen.width - indent);

	if (table->columns[0].title) {
		g_autofree cell *titles = g_new0(cell, table->count);
		for (guint i = 0; i < table->count; i++)
			titles[i] = (cell){(char *)(widths[i] ? table->columns[i].title : ""), BH_FAINT};
		print_row(table, widths, titles, screen, indent, out);
	}
	for (guint i = 0; i < table->cells->len; i += table->count)
		print_row(table, widths, &g_array_index(table->cells, cell, i), screen, indent, out);
}
