#include "house.h"

#include "base/error.h"

#include <string.h>

static note *put_manager(const char *id)
{
	note *n = note_change(BH_CHANGE_MANAGER_PUT);
	bh_manager *m = n->change.manager = bh_manager_new();

	m->id = g_strdup(id);
	m->name = g_strdup("Renate Müller");
	m->email = g_strdup("renate@example.org");
	m->created_at = NOON;
	m->updated_at = NOON + 1;
	return n;
}

static note *put_property(const char *id, const char *managers)
{
	note *n = note_change(BH_CHANGE_PROPERTY_PUT);
	bh_property *p = n->change.property = bh_property_new();

	p->id = g_strdup(id);
	p->name = g_strdup("Hotel \"Zur Post\"");
	p->managers = g_strsplit(managers, ",", -1);
	p->created_at = NOON;
	p->updated_at = NOON + 1;
	return n;
}

static bh_header *two_headers(void)
{
	bh_header *h = g_new0(bh_header, 3);

	h[0] = (bh_header){g_strdup("X-Figma-Token"), g_strdup("s3cr3t-header")};
	h[1] = (bh_header){g_strdup("X-Empty"), g_strdup("")};
	return h;
}

static note *put_webhook(bh_id id, const char *manager)
{
	note *n = note_change(BH_CHANGE_WEBHOOK_PUT);
	bh_webhook *w = n->change.webhook = bh_webhook_new();

	w->id = id;
	w->revision = 1;
	w->manager_id = g_strdup(manager);
	w->name = g_strdup("Door locks");
	w->method = g_strdup("basic");
	w->settings = g_strdup("{\"url\":\"https://example.org/\",\"basic_password\":{\"sealed\":\"AAAA\"}}");
	w->shape = BH_SHAPE_JOMRES;
	w->events = g_strsplit("booking_*,room_added", ",", -1);
	w->secret = bh_secret_new("s3cr3t-signing-key", 18);
	w->created_at = NOON;
	w->updated_at = NOON + 1;
	return n;
}

static bh_snapshot *load(house *h)
{
	g_autoptr(GError) error = NULL;

	house_reopen(h);
	bh_snapshot *s = bh_store_load_directory(h->store, &error);
	g_assert_no_error(error);
	return s;
}

static void an_empty_directory_loads(void)
{
	house *h = house_open();
	g_autoptr(bh_snapshot) s = load(h);

	g_assert_cmpuint(bh_snapshot_webhook_count(s), ==, 0);
	house_close(h);
}

static void managers_and_properties_come_back(void)
{
	house *h = house_open();
	note *m = put_manager("17");
	m->change.manager->role = BH_ROLE_SUPER;
	apply_and_free(h, m);
	apply_and_free(h, put_property("12", "19,17,18"));

	g_autoptr(bh_snapshot) s = load(h);

	const bh_manager *manager = bh_snapshot_manager(s, "17");
	g_assert_cmpstr(manager->name, ==, "Renate Müller");
	g_assert_cmpstr(manager->email, ==, "renate@example.org");
	g_assert_cmpint(manager->role, ==, BH_ROLE_SUPER);
	g_assert_cmpint(manager->created_at, ==, NOON);
	g_assert_cmpint(manager->updated_at, ==, NOON + 1);
	const bh_property *property = bh_snapshot_property(s, "12");
	g_autofree char *managers = g_strjoinv(",", property->managers);
	g_assert_cmpstr(property->name, ==, "Hotel \"Zur Post\"");
	g_assert_cmpstr(managers, ==, "19,17,18"); /* the site's order */
	house_close(h);
}

static void a_property_put_again_has_its_new_managers_only(void)
{
	house *h = house_open();
	apply_and_free(h, put_property("12", "1,2,3"));
	apply_and_free(h, put_property("12", "4"));

	g_autoptr(bh_snapshot) s = load(h);

	g_autofree char *managers = g_strjoinv(",", bh_snapshot_property(s, "12")->managers);
	g_assert_cmpstr(managers, ==, "4");
	house_close(h);
}

static void a_removed_property_leaves_its_managers(void)
{
	house *h = house_open();
	note *gone = note_change(BH_CHANGE_PROPERTY_REMOVE);
	gone->change.name = g_strdup("12");
	apply_and_free(h, put_property("12", "1,2"));
	apply_and_free(h, put_property("13", "1,2"));
	apply_and_free(h, gone);

	g_autoptr(bh_snapshot) s = load(h);

	g_assert_null(bh_snapshot_property(s, "12"));
	g_assert_cmpuint(g_strv_length(bh_snapshot_property(s, "13")->managers), ==, 2);
	house_close(h);
}

static void a_webhook_comes_back_with_all_it_has(void)
{
	house *h = house_open();
	g_autoptr(note) n = put_webhook(71, "17");
	bh_webhook *given = n->change.webhook;
	given->revision = 5;
	given->properties = g_strsplit("12,a \"quoted\" one", ",", -1);
	given->channel_id = g_strdup("3");
	given->full_payload = true;
	given->total_timeout = 7 * BH_SECOND;
	given->headers = two_headers();
	given->old_secret = bh_secret_new("s3cr3t-old", 10);
	given->old_secret_until = NOON + BH_DAY;
	given->disabled = BH_DISABLED_BY_FAILURE;
	given->disabled_reason = g_strdup("Only failures for 5 days.");
	given->disabled_at = NOON - 1;
	apply_and_free(h, put_manager("17"));
	apply(h, n);

	g_autoptr(bh_snapshot) s = load(h);

	const bh_webhook *w = bh_snapshot_webhook(s, 71);
	g_autofree char *events = g_strjoinv("|", w->events);
	g_autofree char *properties = g_strjoinv("|", w->properties);
	g_assert_cmpint(w->revision, ==, 5);
	g_assert_cmpstr(w->manager_id, ==, "17");
	g_assert_cmpstr(w->name, ==, "Door locks");
	g_assert_cmpstr(w->method, ==, "basic");
	g_assert_cmpstr(w->settings, ==, given->settings);
	g_assert_cmpint(w->shape, ==, BH_SHAPE_JOMRES);
	g_assert_cmpstr(events, ==, "booking_*|room_added");
	g_assert_cmpstr(properties, ==, "12|a \"quoted\" one");
	g_assert_cmpstr(w->channel_id, ==, "3");
	g_assert_true(w->full_payload);
	g_assert_cmpint(w->total_timeout, ==, 7 * BH_SECOND);
	g_assert_cmpstr(w->headers[0].name, ==, "X-Figma-Token");
	g_assert_cmpstr(w->headers[0].value, ==, "s3cr3t-header");
	g_assert_cmpstr(w->headers[1].value, ==, "");
	g_assert_null(w->headers[2].name);
	g_assert_true(bh_secret_equal(w->secret, given->secret));
	g_assert_true(bh_secret_equal(w->old_secret, given->old_secret));
	g_assert_cmpint(w->old_secret_until, ==, NOON + BH_DAY);
	g_assert_cmpint(w->disabled, ==, BH_DISABLED_BY_FAILURE);
	g_assert_cmpstr(w->disabled_reason, ==, "Only failures for 5 days.");
	g_assert_cmpint(w->disabled_at, ==, NOON - 1);
	g_assert_cmpint(w->created_at, ==, NOON);
	g_assert_cmpint(w->updated_at, ==, NOON + 1);
	house_close(h);
}

static void order_coalescing_rate_and_tls_of_a_webhook_come_back(void)
{
	house *h = house_open();
	g_autoptr(note) n = put_webhook(71, NULL);
	bh_webhook *given = n->change.webhook;
	given->order_by = g_strdup("contract_uid");
	given->coalesce = 1500 * BH_MILLISECOND;
	given->coalesce_fields = g_strsplit("property,room \"uid\"", ",", -1);
	given->rate_requests = 100;
	given->rate_per = BH_MINUTE;
	given->tls_ca = g_strdup("-----BEGIN CERTIFICATE-----\nCA\n");
	given->tls_certificate = g_strdup("-----BEGIN CERTIFICATE-----\nOURS\n");
	given->tls_key = bh_secret_new("s3cr3t-tls-key", 14);
	given->tls_ca_expires_at = NOON + BH_DAY;
	given->tls_certificate_expires_at = NOON + 2 * BH_DAY;
	apply(h, n);

	g_autoptr(bh_snapshot) s = load(h);

	const bh_webhook *w = bh_snapshot_webhook(s, 71);
	g_autofree char *fields = g_strjoinv("|", w->coalesce_fields);
	g_assert_cmpstr(w->order_by, ==, "contract_uid");
	g_assert_cmpint(w->coalesce, ==, 1500 * BH_MILLISECOND);
	g_assert_cmpstr(fields, ==, "property|room \"uid\"");
	g_assert_cmpint(w->rate_requests, ==, 100);
	g_assert_cmpint(w->rate_per, ==, BH_MINUTE);
	g_assert_cmpstr(w->tls_ca, ==, given->tls_ca);
	g_assert_cmpstr(w->tls_certificate, ==, given->tls_certificate);
	g_assert_true(bh_secret_equal(w->tls_key, given->tls_key));
	g_assert_cmpint(w->tls_ca_expires_at, ==, NOON + BH_DAY);
	g_assert_cmpint(w->tls_certificate_expires_at, ==, NOON + 2 * BH_DAY);
	house_close(h);
}

/* Byte for byte, and gone when it is put again without. */
static void the_script_of_a_webhook_comes_back(void)
{
	static const char script[] =
		"-- Grüße, \"O'Hara\" %s \\n\r\nreturn {\n\taccepts = function() return true end,\n}\n";
	house *h = house_open();
	g_autoptr(note) n = put_webhook(71, NULL);
	n->change.webhook->script = g_strdup(script);
	apply(h, n);

	g_autoptr(bh_snapshot) s = load(h);
	g_assert_cmpstr(bh_snapshot_webhook(s, 71)->script, ==, script);

	apply_and_free(h, put_webhook(71, NULL));
	g_autoptr(bh_snapshot) later = load(h);
	g_assert_null(bh_snapshot_webhook(later, 71)->script);
	house_close(h);
}

static void what_a_webhook_does_not_have_stays_away(void)
{
	house *h = house_open();
	apply_and_free(h, put_webhook(71, NULL));

	g_autoptr(bh_snapshot) s = load(h);

	const bh_webhook *w = bh_snapshot_webhook(s, 71);
	g_assert_null(w->manager_id);
	g_assert_null(w->properties);
	g_assert_null(w->channel_id);
	g_assert_null(w->script);
	g_assert_null(w->headers);
	g_assert_null(w->old_secret);
	g_assert_cmpint(w->disabled, ==, BH_ENABLED);
	g_assert_null(w->disabled_reason);
	g_assert_null(w->order_by);
	g_assert_cmpint(w->coalesce, ==, 0);
	g_assert_null(w->coalesce_fields);
	g_assert_cmpint(w->rate_requests, ==, 0);
	g_assert_cmpint(w->rate_per, ==, 0);
	g_assert_null(w->tls_ca);
	g_assert_null(w->tls_certificate);
	g_assert_null(w->tls_key);
	g_assert_cmpint(w->tls_ca_expires_at, ==, 0);
	g_assert_cmpint(w->tls_certificate_expires_at, ==, 0);
	house_close(h);
}

static void a_webhook_put_again_is_replaced_and_a_removed_one_is_gone(void)
{
	house *h = house_open();
	note *first = put_webhook(71, NULL), *second = put_webhook(71, NULL);
	note *gone = note_change(BH_CHANGE_WEBHOOK_REMOVE);
	first->change.webhook->headers = two_headers();
	second->change.webhook->revision = 2;
	gone->change.id = 72;
	apply_and_free(h, first);
	apply_and_free(h, second);
	apply_and_free(h, put_webhook(72, NULL));
	apply_and_free(h, gone);

	g_autoptr(bh_snapshot) s = load(h);

	g_assert_cmpint(bh_snapshot_webhook(s, 71)->revision, ==, 2);
	g_assert_null(bh_snapshot_webhook(s, 71)->headers);
	g_assert_null(bh_snapshot_webhook(s, 72));
	house_close(h);
}

static note *put_key(bh_id id, bh_key_role role, const char *manager)
{
	note *n = note_change(BH_CHANGE_KEY_PUT);
	bh_key *k = n->change.key = bh_key_new();

	k->id = id;
	k->role = role;
	k->manager_id = g_strdup(manager);
	k->name = g_strdup("the shop");
	k->created_at = NOON;
	memset(k->hash, (int)id, sizeof k->hash);
	return n;
}

static void keys_come_back_and_go(void)
{
	house *h = house_open();
	unsigned char hash[BH_KEY_HASH_SIZE];
	note *gone = note_change(BH_CHANGE_KEY_REMOVE);
	gone->change.id = 3;
	apply_and_free(h, put_manager("17"));
	apply_and_free(h, put_key(1, BH_KEY_MANAGER, "17"));
	apply_and_free(h, put_key(2, BH_KEY_SITE, NULL));
	apply_and_free(h, put_key(3, BH_KEY_EMIT, NULL));
	apply_and_free(h, gone);

	g_autoptr(bh_snapshot) s = load(h);

	memset(hash, 1, sizeof hash);
	const bh_key *k = bh_snapshot_key_by_hash(s, hash);
	g_assert_cmpint(k->id, ==, 1);
	g_assert_cmpint(k->role, ==, BH_KEY_MANAGER);
	g_assert_cmpstr(k->manager_id, ==, "17");
	g_assert_cmpstr(k->name, ==, "the shop");
	g_assert_cmpint(k->created_at, ==, NOON);
	g_assert_cmpint(bh_snapshot_key(s, 2)->role, ==, BH_KEY_SITE);
	g_assert_null(bh_snapshot_key(s, 3));
	house_close(h);
}

static void a_removed_manager_takes_along_what_was_his(void)
{
	house *h = house_open();
	note *gone = note_change(BH_CHANGE_MANAGER_REMOVE);
	gone->change.name = g_strdup("17");
	apply_and_free(h, put_manager("17"));
	apply_and_free(h, put_manager("18"));
	apply_and_free(h, put_property("12", "17,18,19"));
	apply_and_free(h, put_webhook(71, "17"));
	apply_and_free(h, put_webhook(72, "18"));
	apply_and_free(h, put_webhook(73, NULL));
	apply_and_free(h, put_key(1, BH_KEY_MANAGER, "17"));
	apply_and_free(h, put_key(2, BH_KEY_MANAGER, "18"));
	apply_and_free(h, gone);

	g_autoptr(bh_snapshot) s = load(h);

	g_autofree char *managers = g_strjoinv(",", bh_snapshot_property(s, "12")->managers);
	g_assert_null(bh_snapshot_manager(s, "17"));
	g_assert_nonnull(bh_snapshot_manager(s, "18"));
	g_assert_cmpstr(managers, ==, "18,19");
	g_assert_null(bh_snapshot_webhook(s, 71));
	g_assert_nonnull(bh_snapshot_webhook(s, 72));
	g_assert_nonnull(bh_snapshot_webhook(s, 73));
	g_assert_null(bh_snapshot_key(s, 1));
	g_assert_nonnull(bh_snapshot_key(s, 2));
	house_close(h);
}

static void own_event_types_come_back_and_go(void)
{
	house *h = house_open();
	g_autoptr(GError) error = NULL;
	static const char *const given[] = {"{\"name\":\"boiler_on\",\"description\":\"On.\",\"fields\":[\"boiler\"]}",
					    "{\"name\":\"boiler_off\"}"};
	for (size_t i = 0; i < 2; i++) {
		note *n = note_change(BH_CHANGE_TYPE_PUT);
		n->change.type = bh_event_type_parse(bh_span_of(given[i]), &error);
		g_assert_no_error(error);
		apply_and_free(h, n);
	}
	note *gone = note_change(BH_CHANGE_TYPE_REMOVE);
	gone->change.name = g_strdup("boiler_off");
	apply_and_free(h, gone);

	g_autoptr(bh_snapshot) s = load(h);

	const bh_event_type *type = bh_catalogue_find(bh_snapshot_catalogue(s), "boiler_on");
	g_assert_cmpstr(type->description, ==, "On.");
	g_assert_cmpstr(type->fields[0], ==, "boiler");
	g_assert_null(bh_catalogue_find(bh_snapshot_catalogue(s), "boiler_off"));
	house_close(h);
}

/* --- Secrets ------------------------------------------------------------------------------------------------- */

static bool is_in_a_file_of(house *h, const char *text)
{
	GDir *dir = g_dir_open(h->folder, 0, NULL);
	bool found = false;

	for (const char *name; !found && (name = g_dir_read_name(dir));) {
		g_autofree char *path = house_path(h, name);
		g_autofree char *bytes = NULL;
		gsize size = 0;
		g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
		found = memmem(bytes, size, text, strlen(text)) != NULL;
	}
	g_dir_close(dir);
	return found;
}

static void secrets_are_not_in_any_file(void)
{
	house *h = house_open();
	note *n = put_webhook(71, NULL);
	n->change.webhook->headers = two_headers();
	n->change.webhook->old_secret = bh_secret_new("s3cr3t-old", 10);
	n->change.webhook->tls_key = bh_secret_new("s3cr3t-tls-key", 14);
	apply_and_free(h, n);

	g_assert_true(is_in_a_file_of(h, "Door locks")); /* so the search would find them */
	g_assert_false(is_in_a_file_of(h, "s3cr3t"));
	house_reopen(h);
	g_assert_true(is_in_a_file_of(h, "Door locks"));
	g_assert_false(is_in_a_file_of(h, "s3cr3t"));
	g_assert_false(is_in_a_file_of(h, "czNjcjN0")); /* the same in base64 */
	house_close(h);
}

static void a_foreign_sealing_key_is_named_as_the_trouble(void)
{
	house *h = house_open();
	g_autofree char *other = house_path(h, "other.key");
	g_autoptr(GError) error = NULL;
	apply_and_free(h, put_webhook(71, NULL));

	bh_sealer *right = h->sealer;
	h->sealer = bh_sealer_open(other, &error);
	g_assert_no_error(error);
	house_reopen(h);

	g_assert_null(bh_store_load_directory(h->store, &error));
	g_assert_nonnull(strstr(error->message, "71"));
	g_assert_nonnull(strstr(error->message, "seal.key"));
	bh_sealer_free(right);
	house_close(h);
}

/* --- Audit --------------------------------------------------------------------------------------------------- */

static void each_change_leaves_a_line_in_the_audit_log(void)
{
	house *h = house_open();
	char id[BH_ID_TEXT_SIZE];
	note *gone = note_change(BH_CHANGE_WEBHOOK_REMOVE);
	gone->change.id = 71;
	gone->write.at = NOON + 3;
	apply_and_free(h, put_manager("17"));
	apply_and_free(h, put_webhook(71, "17"));
	apply_and_free(h, gone);

	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) page = bh_reader_audit(h->reader, 0, 2, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(page->len, ==, 2);
	bh_audit *newest = page->pdata[0], *second = page->pdata[1];
	g_autofree char *removed = g_strdup_printf("webhook.remove %s", bh_id_text(BH_ID_WEBHOOK, 71, id));
	g_autofree char *put = g_strdup_printf("webhook.put %s", bh_id_text(BH_ID_WEBHOOK, 71, id));
	g_assert_cmpstr(newest->what, ==, removed);
	g_assert_cmpint(newest->at, ==, NOON + 3);
	g_assert_cmpstr(newest->who, ==, "key key_test");
	g_assert_cmpstr(newest->from, ==, "127.0.0.1");
	g_assert_cmpstr(second->what, ==, put);

	g_autoptr(GPtrArray) rest = bh_reader_audit(h->reader, second->id, 10, &error);
	g_assert_cmpuint(rest->len, ==, 1);
	g_assert_cmpstr(((bh_audit *)rest->pdata[0])->what, ==, "manager.put 17");
	house_close(h);
}

static void what_is_kept_nowhere_else_may_leave_a_line_as_well(void)
{
	house *h = house_open();
	note *n = note_new(BH_WRITE_AUDIT);
	n->write.audit_who = "key key_test";
	n->write.audit_from = "192.0.2.7";
	n->write.audit_what = "methods.reload 1 changed";
	n->write.at = NOON + 5;
	apply_and_free(h, n);

	g_autoptr(GPtrArray) page = bh_reader_audit(h->reader, 0, 2, NULL);
	g_assert_cmpuint(page->len, ==, 1);
	const bh_audit *line = page->pdata[0];
	g_assert_cmpstr(line->what, ==, "methods.reload 1 changed");
	g_assert_cmpstr(line->who, ==, "key key_test");
	g_assert_cmpstr(line->from, ==, "192.0.2.7");
	g_assert_cmpint(line->at, ==, NOON + 5);
	house_close(h);
}

void add_directory_tests(void)
{
	g_test_add_func("/store/directory/empty", an_empty_directory_loads);
	g_test_add_func("/store/directory/managers_properties", managers_and_properties_come_back);
	g_test_add_func("/store/directory/property_again", a_property_put_again_has_its_new_managers_only);
	g_test_add_func("/store/directory/property_removed", a_removed_property_leaves_its_managers);
	g_test_add_func("/store/directory/webhook", a_webhook_comes_back_with_all_it_has);
	g_test_add_func("/store/directory/webhook_pace_and_tls", order_coalescing_rate_and_tls_of_a_webhook_come_back);
	g_test_add_func("/store/directory/webhook_script", the_script_of_a_webhook_comes_back);
	g_test_add_func("/store/directory/webhook_without", what_a_webhook_does_not_have_stays_away);
	g_test_add_func("/store/directory/webhook_again", a_webhook_put_again_is_replaced_and_a_removed_one_is_gone);
	g_test_add_func("/store/directory/keys", keys_come_back_and_go);
	g_test_add_func("/store/directory/manager_removed", a_removed_manager_takes_along_what_was_his);
	g_test_add_func("/store/directory/types", own_event_types_come_back_and_go);
	g_test_add_func("/store/secret/not_in_files", secrets_are_not_in_any_file);
	g_test_add_func("/store/secret/foreign_key", a_foreign_sealing_key_is_named_as_the_trouble);
	g_test_add_func("/store/audit/lines", each_change_leaves_a_line_in_the_audit_log);
	g_test_add_func("/store/audit/alone", what_is_kept_nowhere_else_may_leave_a_line_as_well);
}
