/* What a start puts into the directory by itself. */
#pragma once

#include "directory/directory.h"
#include "journal/journal.h"

/* Makes the first key of role site, if there is none, and leaves its text in <data_dir>/site.key (mode 0600). */
bool bh_first_key(const char *data_dir, bh_directory *directory, bh_journal *journal, GError **error);

/* Puts the event types of a JSON file (an array of types) into the catalogue; "" or NULL: nothing to do. */
bool bh_types_from_file(const char *path, bh_directory *directory, bh_journal *journal, GError **error);
