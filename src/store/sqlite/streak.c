/* A webhook's present run of failures: one row, and none while all is well. */
#include "store/sqlite/sqlite.h"

/* One whose webhook was removed meanwhile would stay for ever. */
static const bh_sql PUT_STREAK = {
	BH_SQL_PUT_STREAK,
	"write a run of failures",
	"INSERT OR REPLACE INTO streak (webhook_id, failing_since, first_exhausted, last_exhausted, warned,"
	" warned_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM webhook WHERE id = ?1)",
};
static const bh_sql END_STREAK = {
	BH_SQL_END_STREAK,
	"end a run of failures",
	"DELETE FROM streak WHERE webhook_id = ?1",
};

static bool end_streak(bh_sqlite *s, bh_id webhook, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &END_STREAK, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	return bh_rows_run(&rows, error);
}

static bool is_none(const bh_streak *streak)
{
	return !streak->failing_since && !streak->first_exhausted && !streak->last_exhausted && !streak->warned;
}

bool bh_sqlite_write_streak(bh_sqlite *s, bh_write *w, GError **error)
{
	if (is_none(w->streak))
		return end_streak(s, w->webhook_id, error);

	g_auto(bh_rows) rows = bh_rows_of(&s->db, &PUT_STREAK, error);
	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->webhook_id);
	bh_bind_int(&rows, 2, w->streak->failing_since);
	bh_bind_int(&rows, 3, w->streak->first_exhausted);
	bh_bind_int(&rows, 4, w->streak->last_exhausted);
	bh_bind_int(&rows, 5, w->streak->warned);
	bh_bind_int(&rows, 6, w->streak->warned_at);
	return bh_rows_run(&rows, error);
}

/* --- Reading ------------------------------------------------------------------------------------------------- */

static const bh_sql STREAK = {
	BH_SQL_STREAK,
	"read a run of failures",
	"SELECT failing_since, first_exhausted, last_exhausted, warned, warned_at FROM streak WHERE webhook_id = ?1",
};

bool bh_sqlite_streak(bh_reader *r, bh_id webhook, bh_streak *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &STREAK, error);
	bh_streak streak = {0};

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	if (bh_rows_next(&rows, error))
		streak = (bh_streak){
			.failing_since = bh_int_at(&rows, 0),
			.first_exhausted = bh_int_at(&rows, 1),
			.last_exhausted = bh_int_at(&rows, 2),
			.warned = (unsigned)bh_int_at(&rows, 3),
			.warned_at = bh_int_at(&rows, 4),
		};
	if (rows.failed)
		return false;
	*ret = streak;
	return true;
}

static const bh_sql STREAKS = {
	BH_SQL_STREAKS,
	"read which webhooks fail",
	"SELECT webhook_id FROM streak ORDER BY webhook_id",
};

bool bh_sqlite_streaks(bh_reader *r, GArray *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(bh_sqlite_db_of(r), &STREAKS, error);

	if (!rows.stmt)
		return false;
	while (bh_rows_next(&rows, error)) {
		bh_id webhook = bh_int_at(&rows, 0);
		g_array_append_val(ret, webhook);
	}
	return !rows.failed;
}
