/* Which schema a database has, and the way to ours. */
#pragma once

#include "store/sqlite/db.h"

/* migrations/NNNN-*.sql in order, made into C by embed.py; schema number n is what the first n of them lead to. */
extern const char *const bh_migrations[];
extern const unsigned bh_migration_count;

/*
 * Looks whether the file is ours (or empty) before anything in it is touched. CONFLICT: another program's, or
 * a newer Bellhop's.
 */
bool bh_schema_check(bh_db *db, GError **error);

/* Brings it to our schema in one transaction. */
bool bh_schema_migrate(bh_db *db, GError **error);

/* Writes the number of the present schema once more, in the caller's transaction: a write that changes nothing. */
bool bh_schema_rewrite(bh_db *db, GError **error);
