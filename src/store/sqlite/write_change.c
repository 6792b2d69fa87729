/* One change of the directory, and the lines of the audit log. Both are rare: statements are not kept. */
#include "store/sqlite/sqlite.h"

#include "store/text_list.h"

static bool put_manager(bh_sqlite *s, const bh_manager *m, GError **error);
static bool put_property(bh_sqlite *s, const bh_property *p, GError **error);
static bool put_webhook(bh_sqlite *s, const bh_webhook *w, GError **error);
static bool put_key(bh_sqlite *s, const bh_key *k, GError **error);
static bool put_type(bh_sqlite *s, const bh_event_type *t, GError **error);
static bool remove_manager(bh_sqlite *s, const char *id, bh_usec at, GError **error);
static bool remove_webhook(bh_sqlite *s, bh_id id, bh_usec at, GError **error);
static bool remove_property(bh_sqlite *s, const char *id, GError **error);
static bool remove_named(bh_sqlite *s, const bh_sql *sql, const char *name, GError **error);
static bool remove_numbered(bh_sqlite *s, const bh_sql *sql, bh_id id, GError **error);

/* With what belongs to it alone. Its deliveries stay; the loops cancel those that wait. */
static const bh_sql REMOVE_WEBHOOK[] = {
	{-1, "remove a webhook", "DELETE FROM webhook WHERE id = ?1"},
	{-1, "remove a webhook's last number", "DELETE FROM webhook_sequence WHERE webhook_id = ?1"},
	{-1, "remove a webhook's run of failures", "DELETE FROM streak WHERE webhook_id = ?1"},
};
static const bh_sql END_RECOVERIES = {
	-1,
	"end the recoveries of a webhook",
	"UPDATE recovery SET state = 3, ended_at = ?2 WHERE webhook_id = ?1 AND state = 1",
};
G_STATIC_ASSERT(BH_RECOVERY_RUNNING == 1);
G_STATIC_ASSERT(BH_RECOVERY_CANCELLED == 3);

static const bh_sql REMOVE_KEY = {
	-1,
	"remove a key",
	"DELETE FROM api_key WHERE id = ?1",
};
static const bh_sql REMOVE_TYPE = {
	-1,
	"remove an event type",
	"DELETE FROM event_type WHERE name = ?1",
};

static bool write_change(bh_sqlite *s, const bh_change *c, bh_usec at, GError **error)
{
	switch (c->kind) {
	case BH_CHANGE_MANAGER_PUT:
		return put_manager(s, c->manager, error);
	case BH_CHANGE_MANAGER_REMOVE:
		return remove_manager(s, c->name, at, error);
	case BH_CHANGE_PROPERTY_PUT:
		return put_property(s, c->property, error);
	case BH_CHANGE_PROPERTY_REMOVE:
		return remove_property(s, c->name, error);
	case BH_CHANGE_WEBHOOK_PUT:
		return put_webhook(s, c->webhook, error);
	case BH_CHANGE_WEBHOOK_REMOVE:
		return remove_webhook(s, c->id, at, error);
	case BH_CHANGE_KEY_PUT:
		return put_key(s, c->key, error);
	case BH_CHANGE_KEY_REMOVE:
		return remove_numbered(s, &REMOVE_KEY, c->id, error);
	case BH_CHANGE_TYPE_PUT:
		return put_type(s, c->type, error);
	case BH_CHANGE_TYPE_REMOVE:
		return remove_named(s, &REMOVE_TYPE, c->name, error);
	}
	g_assert_not_reached();
}

bool bh_sqlite_write_change(bh_sqlite *s, bh_write *w, GError **error)
{
	return write_change(s, w->change, w->at, error) && bh_sqlite_write_audit(s, w, error);
}

static const bh_sql PUT_MANAGER = {
	-1,
	"write a manager",
	"INSERT OR REPLACE INTO manager (id, name, email, role, created_at, updated_at)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
};

static bool put_manager(bh_sqlite *s, const bh_manager *m, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &PUT_MANAGER, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, m->id);
	bh_bind_text(&rows, 2, m->name ? m->name : "");
	bh_bind_text(&rows, 3, m->email);
	bh_bind_text(&rows, 4, bh_manager_role_name(m->role));
	bh_bind_int(&rows, 5, m->created_at);
	bh_bind_int(&rows, 6, m->updated_at);
	return bh_rows_run(&rows, error);
}

static const bh_sql PUT_PROPERTY = {
	-1,
	"write a property",
	"INSERT OR REPLACE INTO property (id, name, created_at, updated_at) VALUES (?1, ?2, ?3, ?4)",
};
static const bh_sql LEAVE_PROPERTY = {
	-1,
	"write a property's managers",
	"DELETE FROM property_manager WHERE property_id = ?1",
};
static const bh_sql JOIN_PROPERTY = {
	-1,
	"write a property's managers",
	"INSERT INTO property_manager (property_id, place, manager_id) VALUES (?1, ?2, ?3)",
};

static bool join_property(bh_sqlite *s, const bh_property *p, int place, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &JOIN_PROPERTY, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, p->id);
	bh_bind_int(&rows, 2, place);
	bh_bind_text(&rows, 3, p->managers[place]);
	return bh_rows_run(&rows, error);
}

static bool put_property(bh_sqlite *s, const bh_property *p, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &PUT_PROPERTY, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, p->id);
	bh_bind_text(&rows, 2, p->name ? p->name : "");
	bh_bind_int(&rows, 3, p->created_at);
	bh_bind_int(&rows, 4, p->updated_at);
	if (!bh_rows_run(&rows, error) || !remove_named(s, &LEAVE_PROPERTY, p->id, error))
		return false;
	for (int place = 0; p->managers && p->managers[place]; place++) {
		if (!join_property(s, p, place, error))
			return false;
	}
	return true;
}

static const bh_sql PUT_WEBHOOK = {
	-1,
	"write a webhook",
	"INSERT OR REPLACE INTO webhook (id, revision, manager_id, name, method, settings, shape, events,"
	" properties, channel_id, full_payload, total_timeout, headers, secret, old_secret,"
	" old_secret_until, disabled, disabled_reason, disabled_at, created_at, updated_at, order_by, coalesce,"
	" coalesce_fields, rate_requests, rate_per, tls_ca, tls_certificate, tls_key, tls_ca_expires_at,"
	" tls_certificate_expires_at, script)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,"
	" ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)",
};

static char *seal_secret(bh_sqlite *s, const bh_webhook *w, const bh_secret *secret, const char *what)
{
	g_autofree char *purpose = g_strdup_printf("webhook %" G_GINT64_FORMAT " %s", (gint64)w->id, what);

	return secret ? bh_seal(s->sealer, bh_secret_bytes(secret), purpose) : NULL;
}

static char *seal_headers(bh_sqlite *s, const bh_webhook *w)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);

	if (!w->headers)
		return NULL;
	for (const bh_header *h = w->headers; h->name; h++) {
		g_autofree char *purpose =
			g_strdup_printf("webhook %" G_GINT64_FORMAT " header %s", (gint64)w->id, h->name);
		g_ptr_array_add(list, g_strdup(h->name));
		g_ptr_array_add(list, bh_seal(s->sealer, bh_span_of(h->value), purpose));
	}
	g_ptr_array_add(list, NULL);
	return bh_text_list_write((char **)list->pdata);
}

static bool put_webhook(bh_sqlite *s, const bh_webhook *w, GError **error)
{
	g_autofree char *events = bh_text_list_write(w->events);
	g_autofree char *properties = bh_text_list_write(w->properties);
	g_autofree char *headers = seal_headers(s, w);
	g_autofree char *secret = seal_secret(s, w, w->secret, "secret");
	g_autofree char *old_secret = seal_secret(s, w, w->old_secret, "old secret");
	g_autofree char *coalesce_fields = bh_text_list_write(w->coalesce_fields);
	g_autofree char *tls_key = seal_secret(s, w, w->tls_key, "tls key");
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &PUT_WEBHOOK, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->id);
	bh_bind_int(&rows, 2, w->revision);
	bh_bind_text(&rows, 3, w->manager_id);
	bh_bind_text(&rows, 4, w->name ? w->name : "");
	bh_bind_text(&rows, 5, w->method);
	bh_bind_text(&rows, 6, w->settings);
	bh_bind_text(&rows, 7, bh_shape_name(w->shape));
	bh_bind_text(&rows, 8, events);
	bh_bind_text(&rows, 9, properties);
	bh_bind_text(&rows, 10, w->channel_id);
	bh_bind_int(&rows, 11, w->full_payload);
	bh_bind_int(&rows, 12, w->total_timeout);
	bh_bind_text(&rows, 13, headers);
	bh_bind_text(&rows, 14, secret);
	bh_bind_text(&rows, 15, old_secret);
	bh_bind_int(&rows, 16, w->old_secret_until);
	bh_bind_text(&rows, 17, bh_disabled_cause_name(w->disabled));
	bh_bind_text(&rows, 18, w->disabled_reason);
	bh_bind_int(&rows, 19, w->disabled_at);
	bh_bind_int(&rows, 20, w->created_at);
	bh_bind_int(&rows, 21, w->updated_at);
	bh_bind_text(&rows, 22, w->order_by);
	bh_bind_int(&rows, 23, w->coalesce);
	bh_bind_text(&rows, 24, coalesce_fields);
	bh_bind_int(&rows, 25, w->rate_requests);
	bh_bind_int(&rows, 26, w->rate_per);
	bh_bind_text(&rows, 27, w->tls_ca);
	bh_bind_text(&rows, 28, w->tls_certificate);
	bh_bind_text(&rows, 29, tls_key);
	bh_bind_int(&rows, 30, w->tls_ca_expires_at);
	bh_bind_int(&rows, 31, w->tls_certificate_expires_at);
	bh_bind_text(&rows, 32, w->script);
	return bh_rows_run(&rows, error);
}

static const bh_sql PUT_KEY = {
	-1,
	"write a key",
	"INSERT OR REPLACE INTO api_key (id, role, manager_id, name, hash, created_at)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
};

static bool put_key(bh_sqlite *s, const bh_key *k, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &PUT_KEY, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, k->id);
	bh_bind_text(&rows, 2, bh_key_role_name(k->role));
	bh_bind_text(&rows, 3, k->manager_id);
	bh_bind_text(&rows, 4, k->name ? k->name : "");
	sqlite3_bind_blob(rows.stmt, 5, k->hash, sizeof k->hash, SQLITE_STATIC);
	bh_bind_int(&rows, 6, k->created_at);
	return bh_rows_run(&rows, error);
}

static const bh_sql PUT_TYPE = {
	-1,
	"write an event type",
	"INSERT OR REPLACE INTO event_type (name, definition) VALUES (?1, ?2)",
};

static bool put_type(bh_sqlite *s, const bh_event_type *t, GError **error)
{
	g_autofree char *definition = bh_event_type_json(t);
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &PUT_TYPE, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, t->name);
	bh_bind_text(&rows, 2, definition);
	return bh_rows_run(&rows, error);
}

static const bh_sql REMOVE_MANAGER[] = {
	{-1, "remove a manager", "DELETE FROM manager WHERE id = ?1"},
	{-1, "remove a manager's keys", "DELETE FROM api_key WHERE manager_id = ?1"},
	{-1, "remove a manager from properties", "DELETE FROM property_manager WHERE manager_id = ?1"},
};

static const bh_sql WEBHOOKS_OF = {
	-1,
	"find a manager's webhooks",
	"SELECT id FROM webhook WHERE manager_id = ?1",
};

static bool remove_webhooks_of(bh_sqlite *s, const char *manager, bh_usec at, GError **error)
{
	g_autoptr(GArray) webhooks = g_array_new(FALSE, FALSE, sizeof(bh_id));
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &WEBHOOKS_OF, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, manager);
	while (bh_rows_next(&rows, error)) {
		bh_id webhook = bh_int_at(&rows, 0);
		g_array_append_val(webhooks, webhook);
	}
	for (guint i = 0; !rows.failed && i < webhooks->len; i++) {
		if (!remove_webhook(s, g_array_index(webhooks, bh_id, i), at, error))
			return false;
	}
	return !rows.failed;
}

static bool remove_manager(bh_sqlite *s, const char *id, bh_usec at, GError **error)
{
	if (!remove_webhooks_of(s, id, at, error))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(REMOVE_MANAGER); i++) {
		if (!remove_named(s, &REMOVE_MANAGER[i], id, error))
			return false;
	}
	return true;
}

static const bh_sql REMOVE_PROPERTY = {
	-1,
	"remove a property",
	"DELETE FROM property WHERE id = ?1",
};

static bool remove_property(bh_sqlite *s, const char *id, GError **error)
{
	return remove_named(s, &REMOVE_PROPERTY, id, error) && remove_named(s, &LEAVE_PROPERTY, id, error);
}

static bool end_recoveries(bh_sqlite *s, bh_id webhook, bh_usec at, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &END_RECOVERIES, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, webhook);
	bh_bind_int(&rows, 2, at);
	return bh_rows_run(&rows, error);
}

static bool remove_webhook(bh_sqlite *s, bh_id id, bh_usec at, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(REMOVE_WEBHOOK); i++) {
		if (!remove_numbered(s, &REMOVE_WEBHOOK[i], id, error))
			return false;
	}
	return end_recoveries(s, id, at, error);
}

static bool remove_named(bh_sqlite *s, const bh_sql *sql, const char *name, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, sql, error);

	if (!rows.stmt)
		return false;
	bh_bind_text(&rows, 1, name);
	return bh_rows_run(&rows, error);
}

static bool remove_numbered(bh_sqlite *s, const bh_sql *sql, bh_id id, GError **error)
{
	g_auto(bh_rows) rows = bh_rows_of(&s->db, sql, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, id);
	return bh_rows_run(&rows, error);
}

static char *describe_change(const bh_change *c)
{
	char id[BH_ID_TEXT_SIZE];

	switch (c->kind) {
	case BH_CHANGE_MANAGER_PUT:
		return g_strdup_printf("manager.put %s", c->manager->id);
	case BH_CHANGE_MANAGER_REMOVE:
		return g_strdup_printf("manager.remove %s", c->name);
	case BH_CHANGE_PROPERTY_PUT:
		return g_strdup_printf("property.put %s", c->property->id);
	case BH_CHANGE_PROPERTY_REMOVE:
		return g_strdup_printf("property.remove %s", c->name);
	case BH_CHANGE_WEBHOOK_PUT:
		return g_strdup_printf("webhook.put %s", bh_id_text(BH_ID_WEBHOOK, c->webhook->id, id));
	case BH_CHANGE_WEBHOOK_REMOVE:
		return g_strdup_printf("webhook.remove %s", bh_id_text(BH_ID_WEBHOOK, c->id, id));
	case BH_CHANGE_KEY_PUT:
		return g_strdup_printf("key.put %s", bh_id_text(BH_ID_KEY, c->key->id, id));
	case BH_CHANGE_KEY_REMOVE:
		return g_strdup_printf("key.remove %s", bh_id_text(BH_ID_KEY, c->id, id));
	case BH_CHANGE_TYPE_PUT:
		return g_strdup_printf("type.put %s", c->type->name);
	case BH_CHANGE_TYPE_REMOVE:
		return g_strdup_printf("type.remove %s", c->name);
	}
	g_assert_not_reached();
}

/* What people do beside it: the engine's own writes name nobody, and leave no line. */
static char *describe(const bh_write *w)
{
	char id[BH_ID_TEXT_SIZE], of[BH_ID_TEXT_SIZE];

	switch (w->kind) {
	case BH_WRITE_CHANGE:
		return describe_change(w->change);
	case BH_WRITE_EVENT:
		return g_strdup_printf("webhook.test-enable %s",
				       bh_id_text(BH_ID_WEBHOOK, w->deliveries[0]->webhook_id, id));
	case BH_WRITE_REPLAY:
		return g_strdup_printf("event.replay %s", bh_id_text(BH_ID_EVENT, w->event->id, id));
	case BH_WRITE_RECOVERY:
		return g_strdup_printf("webhook.recover %s %s", bh_id_text(BH_ID_WEBHOOK, w->recovery->webhook_id, of),
				       bh_id_text(BH_ID_RECOVERY, w->recovery->id, id));
	case BH_WRITE_AUDIT:
		return g_strdup(w->audit_what);
	case BH_WRITE_RECOVERY_END:
		return g_strdup_printf("recovery.cancel %s", bh_id_text(BH_ID_RECOVERY, w->recovery_id, id));
	default:
		g_assert_not_reached();
	}
}

static const bh_sql WRITE_AUDIT = {
	-1,
	"write the audit log",
	"INSERT INTO audit (at, who, came_from, what) VALUES (?1, ?2, ?3, ?4)",
};

bool bh_sqlite_write_audit(bh_sqlite *s, const bh_write *w, GError **error)
{
	g_autofree char *what = describe(w);
	g_auto(bh_rows) rows = bh_rows_of(&s->db, &WRITE_AUDIT, error);

	if (!rows.stmt)
		return false;
	bh_bind_int(&rows, 1, w->at);
	bh_bind_text(&rows, 2, w->audit_who ? w->audit_who : "");
	bh_bind_text(&rows, 3, w->audit_from ? w->audit_from : "");
	bh_bind_text(&rows, 4, what);
	return bh_rows_run(&rows, error);
}
