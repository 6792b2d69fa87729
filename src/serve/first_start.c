#include "serve/first_start.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "base/steady.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TYPES_FILE_BYTES_MAX (4 * 1024 * 1024)

static bool change(bh_journal *journal, const bh_change *change, GError **error)
{
	bh_write write = {.kind = BH_WRITE_CHANGE,
			  .change = change,
			  .audit_who = "bellhop serve",
			  .audit_from = "",
			  .at = bh_clock_wall()};
	bh_write *writes[] = {&write};
	bh_entry entry = {.writes = writes, .count = 1};
	return bh_journal_submit_and_wait(journal, &entry, error);
}

/* --- The first key ------------------------------------------------------------------------------------- */

static bool has_site_key(bh_snapshot *snapshot)
{
	bh_id after = 0;
	for (;;) {
		g_autoptr(GPtrArray) page = bh_snapshot_page_keys(snapshot, after, 100);
		for (guint i = 0; i < page->len; i++) {
			const bh_key *key = page->pdata[i];
			if (key->role == BH_KEY_SITE)
				return true;
			after = key->id;
		}
		if (page->len < 100)
			return false;
	}
}

/* Written and synced before the key counts: a key that nobody can read would lock the owner out. */
static bool write_key_file(const char *path, const char *text, GError **error)
{
	(void)unlink(path); /* a leftover of another database */
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	g_autofree char *line = g_strconcat(text, "\n", NULL);
	bool ok = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line) && fsync(fd) == 0;
	if (!ok)
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot write the first key to \"%s\": %s", path,
			    g_strerror(errno));
	if (fd >= 0)
		close(fd);
	bh_text_wipe(g_steal_pointer(&line));
	return ok;
}

bool bh_first_key(const char *data_dir, bh_directory *directory, bh_journal *journal, GError **error)
{
	g_autoptr(bh_snapshot) snapshot = bh_directory_now(directory);
	if (has_site_key(snapshot))
		return true;

	g_autoptr(bh_key) key = bh_key_new();
	char *text = bh_key_text_new(key->hash);
	key->id = bh_id_new();
	key->role = BH_KEY_SITE;
	key->name = g_strdup("first key");
	key->created_at = bh_clock_wall();

	g_autofree char *path = g_build_filename(data_dir, "site.key", NULL);
	bh_change put = {.kind = BH_CHANGE_KEY_PUT, .key = key};
	bool ok = write_key_file(path, text, error);
	BH_FAULT("serve.key-file-written");
	ok = ok && change(journal, &put, error);
	BH_FAULT("serve.key-kept");
	bh_text_wipe(text);
	if (ok)
		bh_log(BH_INFO, "serve", "made the first key of role site", BH_STR("file", path));
	return ok;
}

/* --- Event types from a file ----------------------------------------------------------------------------- */

static bool is_known(const bh_catalogue *catalogue, const bh_event_type *type)
{
	const bh_event_type *known = bh_catalogue_find(catalogue, type->name);
	if (!known || known->built_in)
		return false;
	g_autofree char *a = bh_event_type_json(known), *b = bh_event_type_json(type);
	return g_str_equal(a, b);
}

static bool put_type(bh_span json, const bh_catalogue *catalogue, bh_journal *journal, GError **error)
{
	bh_change put = {.kind = BH_CHANGE_TYPE_PUT, .type = bh_event_type_parse(json, error)};
	bool ok = put.type && (is_known(catalogue, put.type) || change(journal, &put, error));
	bh_event_type_free(put.type);
	return ok;
}

/* Nothing of a file is put unless all of it can be. */
static bool check_types(const bh_json *json, const bh_catalogue *catalogue, GError **error)
{
	unsigned number = 1;
	for (uint32_t c = bh_json_first(json, 0); c != BH_JSON_NONE; c = bh_json_next(json, 0, c), number++) {
		bh_event_type *type = bh_event_type_parse(bh_json_text(json, c), error);
		const bh_event_type *known = type ? bh_catalogue_find(catalogue, type->name) : NULL;
		bool may_be_put = type && !(known && known->built_in);
		if (type && !may_be_put)
			g_set_error(error, BH_ERROR, BH_ERROR_CONFLICT, "\"%s\" is built in and cannot be replaced",
				    type->name);
		bh_event_type_free(type);
		if (!may_be_put) {
			g_prefix_error(error, "type %u: ", number);
			return false;
		}
	}
	return true;
}

static bool put_types(bh_span text, bh_directory *directory, bh_journal *journal, GError **error)
{
	g_autoptr(bh_json) json = bh_json_new();
	g_autoptr(bh_snapshot) snapshot = bh_directory_now(directory);
	if (!bh_json_parse(json, text, error))
		return false;
	if (bh_json_type_of(json, 0) != BH_JSON_ARRAY) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "it must hold a JSON array of event types");
		return false;
	}
	if (!check_types(json, bh_snapshot_catalogue(snapshot), error))
		return false;
	for (uint32_t c = bh_json_first(json, 0); c != BH_JSON_NONE; c = bh_json_next(json, 0, c))
		if (!put_type(bh_json_text(json, c), bh_snapshot_catalogue(snapshot), journal, error))
			return false;
	return true;
}

bool bh_types_from_file(const char *path, bh_directory *directory, bh_journal *journal, GError **error)
{
	if (!path || !*path)
		return true;
	g_autofree char *text = NULL;
	gsize size;
	bool ok = g_file_get_contents(path, &text, &size, error);
	if (ok && size > TYPES_FILE_BYTES_MAX) {
		g_set_error(error, BH_ERROR, BH_ERROR_LIMIT, "it is larger than 4 MiB");
		ok = false;
	}
	ok = ok && put_types((bh_span){text, size}, directory, journal, error);
	if (!ok)
		g_prefix_error(error, "event types of \"%s\": ", path);
	return ok;
}
