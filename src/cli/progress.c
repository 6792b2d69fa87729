#include "cli/progress.h"

#include "cli/text.h"

#define YEAR (365 * BH_DAY / BH_SECOND) /* nobody asks what is beyond */
#define BAR_MAX 40
#define BAR_MIN 10 /* below that a bar shows nothing */

char *bh_progress_left(const bh_progress *progress)
{
	if (progress->per_second <= 0)
		return NULL;
	int64_t left = MAX(0, progress->total - progress->done);
	int64_t seconds = MIN(left / progress->per_second, YEAR) + 1;
	g_autofree char *text =
		seconds < 60 ? g_strdup_printf("%d s", (int)seconds) : bh_text_span(seconds * BH_SECOND);
	return g_strdup_printf("about %s", text);
}

void bh_progress_line(const bh_progress *progress, int width, GString *out)
{
	int64_t total = MAX(1, progress->total), done = CLAMP(progress->done, 0, total);
	g_autofree char *left = bh_progress_left(progress);
	g_autoptr(GString) words = g_string_new(NULL);
	g_string_printf(words, "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT, progress->done, progress->total);
	if (left && progress->done < progress->total)
		g_string_append_printf(words, "  %s left", left);

	int room = MIN(BAR_MAX, width - (int)words->len - 4);
	if (room >= BAR_MIN) {
		int filled = (int)((double)done / (double)total * room);
		g_string_append_c(out, '[');
		for (int i = 0; i < room; i++)
			g_string_append_c(out, i < filled ? '#' : '-');
		g_string_append(out, "]  ");
	}
	g_autofree char *cut = bh_text_cut(words->str, width);
	g_string_append(out, cut);
}
