#include "store/sqlite/schema.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"

#define APPLICATION_ID 0x42454c4c /* "BELL" */

static const bh_sql READ_APPLICATION = {
	-1,
	"read whose file it is",
	"PRAGMA application_id",
};
static const bh_sql READ_VERSION = {
	-1,
	"read its schema number",
	"PRAGMA user_version",
};
static const bh_sql COUNT_TABLES = {
	-1,
	"look for tables",
	"SELECT count(*) FROM sqlite_schema",
};
static const char MARK_OURS[] = "PRAGMA application_id = 0x42454c4c";

static bool read_number(bh_db *db, const bh_sql *sql, int64_t *ret, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(db, sql, error);

	if (!rows.stmt)
		return false;
	if (bh_rows_next(&rows, error))
		*ret = bh_int_at(&rows, 0);
	return !rows.failed;
}

bool bh_schema_check(bh_db *db, GError **error)
{
	int64_t application = 0, version = 0, tables = 0;

	if (!read_number(db, &READ_APPLICATION, &application, error) ||
	    !read_number(db, &READ_VERSION, &version, error) || !read_number(db, &COUNT_TABLES, &tables, error))
		return false;

	bool empty = application == 0 && version == 0 && tables == 0;
	if (application != APPLICATION_ID && !empty) {
		g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT,
			    "database \"%s\" belongs to another program: name another file, or another data folder",
			    db->path);
		return false;
	}
	if (version > bh_migration_count) {
		g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT,
			    "database \"%s\" has schema %" G_GINT64_FORMAT
			    " and this Bellhop knows schemas up to %u: install the newer Bellhop again, or restore the "
			    "backup made before it",
			    db->path, (gint64)version, bh_migration_count);
		return false;
	}
	return true;
}

/* A pragma takes no parameter, and its number is ours. */
static bool set_version(bh_db *db, unsigned version, GError **error)
{
	char text[64];

	g_snprintf(text, sizeof text, "PRAGMA user_version = %u", version);
	return bh_db_exec(db, "write its schema number", text, error);
}

bool bh_schema_rewrite(bh_db *db, GError **error)
{
	return set_version(db, bh_migration_count, error);
}

bool bh_schema_migrate(bh_db *db, GError **error)
{
	g_auto(bh_tx) tx = bh_tx_write(db, error);
	int64_t version = 0;

	if (!tx.db || !read_number(db, &READ_VERSION, &version, error))
		return false;
	if (version == bh_migration_count)
		return true;
	for (unsigned i = (unsigned)version; i < bh_migration_count; i++) {
		if (!bh_db_exec(db, "bring it to the present schema", bh_migrations[i], error))
			return false;
		BH_FAULT("store.migrated");
	}
	if (!bh_db_exec(db, "mark it as ours", MARK_OURS, error) || !set_version(db, bh_migration_count, error) ||
	    !bh_tx_commit(&tx, error))
		return false;
	BH_FAULT("store.schema-committed");
	bh_log(BH_INFO, "store", "schema brought up to date", BH_STR("database", db->path), BH_INT("from", version),
	       BH_INT("to", bh_migration_count));
	return true;
}
