/* The whole directory, at start: each table's rows as objects, and of those a snapshot. */
#include "store/sqlite/sqlite.h"

#include "base/error.h"
#include "store/text_list.h"

#include <string.h>

/* What was read so far: arrays that own their objects. */
typedef struct loading {
	bh_sqlite *s;
	bh_directory_rows rows;
} loading;

typedef bool (*take_row)(loading *l, const bh_rows *rows, GError **error);

static bool load_rows(loading *l, const bh_sql *sql, take_row take, GError **error);
static bool take_manager(loading *l, const bh_rows *rows, GError **error);
static bool take_type(loading *l, const bh_rows *rows, GError **error);
static bool take_property(loading *l, const bh_rows *rows, GError **error);
static bool take_webhook(loading *l, const bh_rows *rows, GError **error);
static bool take_key(loading *l, const bh_rows *rows, GError **error);

static const bh_sql LOAD_MANAGERS = {
	-1,
	"load the managers",
	"SELECT id, name, email, role, created_at, updated_at FROM manager ORDER BY id",
};
static const bh_sql LOAD_TYPES = {
	-1,
	"load the event types",
	"SELECT name, definition FROM event_type ORDER BY name",
};
static const bh_sql LOAD_PROPERTIES = {
	-1,
	"load the properties",
	"SELECT id, name, created_at, updated_at FROM property ORDER BY id",
};
static const bh_sql LOAD_WEBHOOKS = {
	-1,
	"load the webhooks",
	"SELECT id, revision, manager_id, name, method, settings, shape, events, properties, channel_id,"
	" full_payload, total_timeout, headers, secret, old_secret, old_secret_until, disabled,"
	" disabled_reason, disabled_at, created_at, updated_at, order_by, coalesce, coalesce_fields, rate_requests,"
	" rate_per, tls_ca, tls_certificate, tls_key, tls_ca_expires_at, tls_certificate_expires_at, script"
	" FROM webhook ORDER BY id",
};
static const bh_sql LOAD_KEYS = {
	-1,
	"load the keys",
	"SELECT id, role, manager_id, name, hash, created_at FROM api_key ORDER BY id",
};

static void loading_clear(loading *l)
{
	g_clear_pointer(&l->rows.managers, g_ptr_array_unref);
	g_clear_pointer(&l->rows.properties, g_ptr_array_unref);
	g_clear_pointer(&l->rows.webhooks, g_ptr_array_unref);
	g_clear_pointer(&l->rows.keys, g_ptr_array_unref);
	g_clear_pointer(&l->rows.types, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(loading, loading_clear)

bh_snapshot *bh_sqlite_load_directory(bh_store *store, GError **error)
{
	g_auto(loading) l = {.s = (bh_sqlite *)store};

	l.rows.managers = g_ptr_array_new_with_free_func((GDestroyNotify)bh_manager_unref);
	l.rows.properties = g_ptr_array_new_with_free_func((GDestroyNotify)bh_property_unref);
	l.rows.webhooks = g_ptr_array_new_with_free_func((GDestroyNotify)bh_webhook_unref);
	l.rows.keys = g_ptr_array_new_with_free_func((GDestroyNotify)bh_key_unref);
	l.rows.types = g_ptr_array_new_with_free_func((GDestroyNotify)bh_event_type_free);
	if (!load_rows(&l, &LOAD_TYPES, take_type, error) || !load_rows(&l, &LOAD_MANAGERS, take_manager, error) ||
	    !load_rows(&l, &LOAD_PROPERTIES, take_property, error) ||
	    !load_rows(&l, &LOAD_WEBHOOKS, take_webhook, error) || !load_rows(&l, &LOAD_KEYS, take_key, error))
		return NULL;
	return bh_snapshot_of(&l.rows, error);
}

static bool load_rows(loading *l, const bh_sql *sql, take_row take, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&l->s->db, sql, error);

	if (!rows.stmt)
		return false;
	while (bh_rows_next(&rows, error)) {
		if (!take(l, &rows, error)) {
			g_prefix_error(error, "database \"%s\": cannot %s: row \"%s\": ", l->s->db.path, sql->doing,
				       bh_text_at(&rows, 0));
			return false;
		}
	}
	return !rows.failed;
}

static bool damaged(const char *column, const char *value, GError **error)
{
	g_set_error(error, BH_ERROR, BH_ERROR_IO, "\"%s\" is no %s", value ? value : "", column);
	return false;
}

static bool take_manager(loading *l, const bh_rows *rows, GError **error)
{
	bh_manager *m = bh_manager_new();

	g_ptr_array_add(l->rows.managers, m);
	m->id = g_strdup(bh_text_at(rows, 0));
	m->name = g_strdup(bh_text_at(rows, 1));
	m->email = g_strdup(bh_text_at(rows, 2));
	m->created_at = bh_int_at(rows, 4);
	m->updated_at = bh_int_at(rows, 5);
	return bh_manager_role_parse(bh_text_at(rows, 3), &m->role) || damaged("role", bh_text_at(rows, 3), error);
}

static bool take_type(loading *l, const bh_rows *rows, GError **error)
{
	bh_event_type *type = bh_event_type_parse(bh_span_at(rows, 1), error);

	if (type)
		g_ptr_array_add(l->rows.types, type);
	return type != NULL;
}

static const bh_sql LOAD_MANAGERS_OF = {
	-1,
	"load a property's managers",
	"SELECT manager_id FROM property_manager WHERE property_id = ?1 ORDER BY place",
};

static char **managers_of(loading *l, const char *property, GError **error)
{
	g_autoptr(GPtrArray) managers = g_ptr_array_new_with_free_func(g_free);
	g_auto(bh_rows) rows = bh_rows_of(&l->s->db, &LOAD_MANAGERS_OF, error);

	if (!rows.stmt)
		return NULL;
	bh_bind_text(&rows, 1, property);
	while (bh_rows_next(&rows, error))
		g_ptr_array_add(managers, g_strdup(bh_text_at(&rows, 0)));
	if (rows.failed)
		return NULL;
	g_ptr_array_add(managers, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&managers), FALSE);
}

static bool take_property(loading *l, const bh_rows *rows, GError **error)
{
	bh_property *p = bh_property_new();

	g_ptr_array_add(l->rows.properties, p);
	p->id = g_strdup(bh_text_at(rows, 0));
	p->name = g_strdup(bh_text_at(rows, 1));
	p->created_at = bh_int_at(rows, 2);
	p->updated_at = bh_int_at(rows, 3);
	p->managers = managers_of(l, p->id, error);
	return p->managers != NULL;
}

/* `sealed` NULL: there is none, and *ret stays NULL. */
static bool unseal(loading *l, bh_id webhook, const char *sealed, const char *what, bh_secret **ret, GError **error)
{
	g_autofree char *purpose = g_strdup_printf("webhook %" G_GINT64_FORMAT " %s", (gint64)webhook, what);

	if (!sealed)
		return true;
	*ret = bh_unseal(l->s->sealer, sealed, purpose, error);
	if (!*ret)
		g_prefix_error(error,
			       "its %s does not open with this sealing key (seal.key in the data folder, or "
			       "BELLHOP_SEAL_KEY): "
			       "put back the key that belongs to this database: ",
			       what);
	return *ret != NULL;
}

static bool take_secrets(loading *l, const bh_rows *rows, bh_webhook *w, GError **error)
{
	return unseal(l, w->id, bh_text_at(rows, 13), "secret", &w->secret, error) &&
	       unseal(l, w->id, bh_text_at(rows, 14), "old secret", &w->old_secret, error) &&
	       unseal(l, w->id, bh_text_at(rows, 28), "tls key", &w->tls_key, error);
}

static bool take_header(loading *l, bh_id webhook, const char *name, const char *sealed, bh_header *ret, GError **error)
{
	g_autofree char *what = g_strdup_printf("header %s", name);
	g_autoptr(bh_secret) value = NULL;

	if (!unseal(l, webhook, sealed, what, &value, error))
		return false;
	bh_span text = bh_secret_bytes(value);
	ret->name = g_strdup(name);
	ret->value = g_strndup(text.at, text.size);
	return true;
}

static bool take_headers(loading *l, const char *json, bh_webhook *w, GError **error)
{
	if (!json)
		return true;
	g_auto(GStrv) list = bh_text_list_read(json, error);
	if (!list)
		return false;
	guint count = g_strv_length(list);
	if (count % 2 != 0)
		return damaged("list of headers", json, error);
	w->headers = g_new0(bh_header, count / 2 + 1);
	for (guint i = 0; i < count / 2; i++) {
		if (!take_header(l, w->id, list[2 * i], list[2 * i + 1], &w->headers[i], error))
			return false;
	}
	return true;
}

/* `json` NULL: there is none, and *ret stays NULL. */
static bool take_list(const char *json, char ***ret, GError **error)
{
	if (json)
		*ret = bh_text_list_read(json, error);
	return *ret || !json;
}

static bool take_lists(const bh_rows *rows, bh_webhook *w, GError **error)
{
	return take_list(bh_text_at(rows, 7), &w->events, error) &&
	       take_list(bh_text_at(rows, 8), &w->properties, error) &&
	       take_list(bh_text_at(rows, 23), &w->coalesce_fields, error);
}

static void take_pace(const bh_rows *rows, bh_webhook *w)
{
	w->order_by = g_strdup(bh_text_at(rows, 21));
	w->coalesce = bh_int_at(rows, 22);
	w->rate_requests = bh_int_at(rows, 24);
	w->rate_per = bh_int_at(rows, 25);
}

static void take_certificates(const bh_rows *rows, bh_webhook *w)
{
	w->tls_ca = g_strdup(bh_text_at(rows, 26));
	w->tls_certificate = g_strdup(bh_text_at(rows, 27));
	w->tls_ca_expires_at = bh_int_at(rows, 29);
	w->tls_certificate_expires_at = bh_int_at(rows, 30);
}

static bool parse_disabled(const char *text, bh_disabled_cause *ret)
{
	for (bh_disabled_cause c = BH_ENABLED; c <= BH_DISABLED_BY_FAILURE; c++) {
		if (g_strcmp0(text, bh_disabled_cause_name(c)) == 0) {
			*ret = c;
			return true;
		}
	}
	return false;
}

static bool take_webhook(loading *l, const bh_rows *rows, GError **error)
{
	bh_webhook *w = bh_webhook_new();

	g_ptr_array_add(l->rows.webhooks, w);
	w->id = bh_int_at(rows, 0);
	w->revision = bh_int_at(rows, 1);
	w->manager_id = g_strdup(bh_text_at(rows, 2));
	w->name = g_strdup(bh_text_at(rows, 3));
	w->method = g_strdup(bh_text_at(rows, 4));
	w->settings = g_strdup(bh_text_at(rows, 5));
	w->script = g_strdup(bh_text_at(rows, 31));
	w->channel_id = g_strdup(bh_text_at(rows, 9));
	w->full_payload = bh_int_at(rows, 10) != 0;
	w->total_timeout = bh_int_at(rows, 11);
	w->old_secret_until = bh_int_at(rows, 15);
	w->disabled_reason = g_strdup(bh_text_at(rows, 17));
	w->disabled_at = bh_int_at(rows, 18);
	w->created_at = bh_int_at(rows, 19);
	w->updated_at = bh_int_at(rows, 20);
	take_pace(rows, w);
	take_certificates(rows, w);
	if (!bh_shape_parse(bh_text_at(rows, 6), &w->shape))
		return damaged("shape", bh_text_at(rows, 6), error);
	if (!parse_disabled(bh_text_at(rows, 16), &w->disabled))
		return damaged("cause of being disabled", bh_text_at(rows, 16), error);
	return take_lists(rows, w, error) && take_secrets(l, rows, w, error) &&
	       take_headers(l, bh_text_at(rows, 12), w, error);
}

static bool take_key(loading *l, const bh_rows *rows, GError **error)
{
	bh_key *k = bh_key_new();
	bh_span hash = bh_span_at(rows, 4);

	g_ptr_array_add(l->rows.keys, k);
	k->id = bh_int_at(rows, 0);
	k->manager_id = g_strdup(bh_text_at(rows, 2));
	k->name = g_strdup(bh_text_at(rows, 3));
	k->created_at = bh_int_at(rows, 5);
	if (!bh_key_role_parse(bh_text_at(rows, 1), &k->role))
		return damaged("role", bh_text_at(rows, 1), error);
	if (hash.size != sizeof k->hash)
		return damaged("hash of a key", "", error);
	memcpy(k->hash, hash.at, sizeof k->hash);
	return true;
}
