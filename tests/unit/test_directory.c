#include "base/chance.h"
#include "base/error.h"
#include "directory/directory.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>

#define NOON (INT64_C(1764082262) * BH_SECOND)

/* --- Making things ------------------------------------------------------------------------ */

static bh_change *change_of(bh_change_kind kind)
{
	bh_change *c = g_new0(bh_change, 1);

	c->kind = kind;
	return c;
}

static bh_change *manager_put(const char *id, bh_manager_role role)
{
	bh_change *c = change_of(BH_CHANGE_MANAGER_PUT);

	c->manager = bh_manager_new();
	c->manager->id = g_strdup(id);
	c->manager->name = g_strdup("Name");
	c->manager->role = role;
	return c;
}

static bh_change *property_put(const char *id, const char *managers)
{
	bh_change *c = change_of(BH_CHANGE_PROPERTY_PUT);

	c->property = bh_property_new();
	c->property->id = g_strdup(id);
	c->property->name = g_strdup("");
	c->property->managers = g_strsplit(managers, " ", -1);
	return c;
}

static bh_webhook *make_webhook(bh_id id, const char *manager_id, int64_t revision)
{
	bh_webhook *w = bh_webhook_new();

	w->id = id;
	w->revision = revision;
	w->manager_id = g_strdup(manager_id);
	w->name = g_strdup("");
	w->method = g_strdup("none");
	w->settings = g_strdup("{}");
	w->events = g_strsplit("*", ",", -1);
	w->secret = bh_secret_random(32);
	return w;
}

static bh_change *webhook_put(bh_id id, const char *manager_id, int64_t revision)
{
	bh_change *c = change_of(BH_CHANGE_WEBHOOK_PUT);

	c->webhook = make_webhook(id, manager_id, revision);
	return c;
}

static bh_change *key_put(bh_id id, const char *text, const char *manager_id)
{
	bh_change *c = change_of(BH_CHANGE_KEY_PUT);

	c->key = bh_key_new();
	c->key->id = id;
	c->key->role = manager_id ? BH_KEY_MANAGER : BH_KEY_SITE;
	c->key->manager_id = g_strdup(manager_id);
	bh_key_text_hash(text, c->key->hash);
	return c;
}

static bh_change *type_put(const char *name)
{
	bh_change *c = change_of(BH_CHANGE_TYPE_PUT);

	c->type = g_new0(bh_event_type, 1);
	c->type->name = g_strdup(name);
	c->type->description = g_strdup("Something happened.");
	c->type->fields = g_new0(char *, 1);
	c->type->sensitive = g_new0(char *, 1);
	return c;
}

static bh_change *removal(bh_change_kind kind, const char *name)
{
	bh_change *c = change_of(kind);

	c->name = g_strdup(name);
	return c;
}

static bh_change *removal_by_id(bh_change_kind kind, bh_id id)
{
	bh_change *c = change_of(kind);

	c->id = id;
	return c;
}

/* Makes the change (taken) and lets the snapshot before it go. */
static void apply(bh_snapshot **s, bh_change *change)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_change) taken = change;
	bh_snapshot *next = bh_snapshot_with(*s, taken, &error);

	g_assert_no_error(error);
	g_assert_nonnull(next);
	bh_snapshot_unref(*s);
	*s = next;
}

static void assert_refused(bh_snapshot *s, bh_change *change, bh_error_code code, const char *beginning)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(bh_change) taken = change;

	g_assert_null(bh_snapshot_with(s, taken, &error));
	g_assert_error(error, BH_ERROR, (int)code);
	if (!g_str_has_prefix(error->message, beginning))
		g_assert_cmpstr(error->message, ==, beginning);
}

/* --- Saying what is there, as text ---------------------------------------------------------- */

static char *joined(GPtrArray *items, const char *(*id)(const void *item))
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < items->len; i++)
		g_string_append_printf(text, "%s%s", i ? " " : "", id(items->pdata[i]));
	g_ptr_array_unref(items);
	return g_string_free(text, FALSE);
}

static const char *manager_id(const void *item)
{
	return ((const bh_manager *)item)->id;
}

static const char *property_id(const void *item)
{
	return ((const bh_property *)item)->id;
}

static const char *short_id(bh_id id)
{
	static char text[32];

	g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, id);
	return text;
}

static const char *webhook_id(const void *item)
{
	return short_id(((const bh_webhook *)item)->id);
}

static const char *key_id(const void *item)
{
	return short_id(((const bh_key *)item)->id);
}

static void assert_text(char *text, const char *expected)
{
	g_assert_cmpstr(text, ==, expected);
	g_free(text);
}

static void assert_webhooks_of(const bh_snapshot *s, const char *manager, const char *expected)
{
	size_t count = 99;
	bh_webhook *const *row = bh_snapshot_webhooks_of(s, manager, &count);
	GPtrArray *items = g_ptr_array_new();

	for (size_t i = 0; i < count; i++)
		g_ptr_array_add(items, row[i]);
	assert_text(joined(items, webhook_id), expected);
}

static void assert_properties_of(const bh_snapshot *s, const char *manager, const char *expected)
{
	size_t count = 99;
	bh_property *const *row = bh_snapshot_properties_of(s, manager, &count);
	GPtrArray *items = g_ptr_array_new();

	for (size_t i = 0; i < count; i++)
		g_ptr_array_add(items, row[i]);
	assert_text(joined(items, property_id), expected);
}

static void assert_managers_of(const bh_snapshot *s, const char *property, const char *expected)
{
	const bh_property *p = bh_snapshot_property(s, property);

	g_assert_nonnull(p);
	assert_text(g_strjoinv(" ", p->managers), expected);
}

/*
 * Managers 7 and 8, receptionist 9, super manager 1. Property 12 has 7 and 9, property 13 has 8 and 7, property 14 only 8.
 */
static bh_snapshot *a_small_hotel(void)
{
	bh_snapshot *s = bh_snapshot_empty();

	apply(&s, manager_put("7", BH_ROLE_MANAGER));
	apply(&s, manager_put("8", BH_ROLE_MANAGER));
	apply(&s, manager_put("9", BH_ROLE_RECEPTIONIST));
	apply(&s, manager_put("1", BH_ROLE_SUPER));
	apply(&s, property_put("12", "7 9"));
	apply(&s, property_put("13", "8 7"));
	apply(&s, property_put("14", "8"));
	apply(&s, webhook_put(101, "7", 1));
	apply(&s, webhook_put(102, "8", 1));
	apply(&s, webhook_put(103, "7", 1));
	apply(&s, webhook_put(100, NULL, 1));
	apply(&s, key_put(201, "bhk_site", NULL));
	apply(&s, key_put(202, "bhk_seven", "7"));
	return s;
}

/* --- Rules ---------------------------------------------------------------------------------- */

static void an_empty_snapshot_knows_the_built_in_types_only(void)
{
	g_autoptr(bh_snapshot) s = bh_snapshot_empty();

	g_assert_null(bh_snapshot_manager(s, "7"));
	g_assert_null(bh_snapshot_property(s, "12"));
	g_assert_null(bh_snapshot_webhook(s, 1));
	g_assert_null(bh_snapshot_key(s, 1));
	g_assert_cmpuint(bh_snapshot_webhook_count(s), ==, 0);
	assert_webhooks_of(s, NULL, "");
	assert_webhooks_of(s, "7", "");
	assert_properties_of(s, "7", "");
	assert_text(joined(bh_snapshot_page_managers(s, NULL, 10), manager_id), "");
	assert_text(joined(bh_snapshot_page_webhooks(s, "7", 0, 10), webhook_id), "");
	g_assert_nonnull(bh_catalogue_find(bh_snapshot_catalogue(s), "booking_added"));
}

static void everything_is_found_by_its_key(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();
	unsigned char hash[BH_KEY_HASH_SIZE];

	g_assert_cmpint(bh_snapshot_manager(s, "9")->role, ==, BH_ROLE_RECEPTIONIST);
	g_assert_null(bh_snapshot_manager(s, "90"));
	assert_managers_of(s, "13", "8 7");
	g_assert_cmpstr(bh_snapshot_webhook(s, 102)->manager_id, ==, "8");
	g_assert_null(bh_snapshot_webhook(s, 104));
	g_assert_cmpint(bh_snapshot_key(s, 202)->role, ==, BH_KEY_MANAGER);
	bh_key_text_hash("bhk_seven", hash);
	g_assert_cmpint(bh_snapshot_key_by_hash(s, hash)->id, ==, 202);
	hash[31] ^= 1;
	g_assert_null(bh_snapshot_key_by_hash(s, hash));
	assert_webhooks_of(s, "7", "101 103");
	assert_webhooks_of(s, NULL, "100");
	assert_properties_of(s, "7", "12 13");
	assert_properties_of(s, "9", "12");
	g_assert_cmpuint(bh_snapshot_webhook_count(s), ==, 4);
}

static void a_snapshot_does_not_change_when_its_successor_does(void)
{
	g_autoptr(bh_snapshot) before = a_small_hotel();
	bh_snapshot *after = bh_snapshot_ref(before);

	apply(&after, removal(BH_CHANGE_MANAGER_REMOVE, "7"));
	apply(&after, webhook_put(102, "8", 2));
	apply(&after, type_put("villa_sold"));

	g_assert_nonnull(bh_snapshot_manager(before, "7"));
	assert_webhooks_of(before, "7", "101 103");
	assert_managers_of(before, "13", "8 7");
	g_assert_cmpint(bh_snapshot_webhook(before, 102)->revision, ==, 1);
	g_assert_nonnull(bh_snapshot_key(before, 202));
	g_assert_null(bh_catalogue_find(bh_snapshot_catalogue(before), "villa_sold"));
	bh_snapshot_unref(after);
}

static void receptionists_and_super_managers_own_no_webhooks(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	assert_refused(s, webhook_put(110, "9", 1), BH_ERROR_CONFLICT, "super_manager_cannot_own_webhooks");
	assert_refused(s, webhook_put(110, "1", 1), BH_ERROR_CONFLICT, "super_manager_cannot_own_webhooks");
	/* Nor may an owner become one of them. */
	assert_refused(s, manager_put("7", BH_ROLE_SUPER), BH_ERROR_CONFLICT, "super_manager_cannot_own_webhooks");
	assert_refused(s, manager_put("7", BH_ROLE_RECEPTIONIST), BH_ERROR_CONFLICT,
		       "super_manager_cannot_own_webhooks");
}

static void a_manager_without_webhooks_may_become_a_super_manager(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	apply(&s, removal_by_id(BH_CHANGE_WEBHOOK_REMOVE, 102));
	apply(&s, manager_put("8", BH_ROLE_SUPER));

	g_assert_cmpint(bh_snapshot_manager(s, "8")->role, ==, BH_ROLE_SUPER);
	assert_properties_of(s, "8", "13 14");
}

static void webhooks_and_manager_keys_need_a_known_manager(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	assert_refused(s, webhook_put(110, "70", 1), BH_ERROR_INVALID,
		       "a webhook needs a known manager, and \"70\" is none");
	assert_refused(s, key_put(210, "bhk_x", "70"), BH_ERROR_INVALID, "a key of role manager");
	bh_change *nobodys = key_put(210, "bhk_x", NULL);
	nobodys->key->role = BH_KEY_MANAGER;
	assert_refused(s, nobodys, BH_ERROR_INVALID, "a key of role manager");
	bh_change *somebodys = key_put(210, "bhk_x", "7");
	somebodys->key->role = BH_KEY_EMIT;
	assert_refused(s, somebodys, BH_ERROR_INVALID, "a key of role manager");
}

static void a_webhook_changes_only_from_the_revision_that_was_seen(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	apply(&s, webhook_put(101, "7", 2));

	g_assert_cmpint(bh_snapshot_webhook(s, 101)->revision, ==, 2);
	assert_webhooks_of(s, "7", "101 103");
	assert_refused(s, webhook_put(101, "7", 2), BH_ERROR_CONFLICT,
		       "webhook \"whk_0000000000035\" is at revision 2");
	assert_refused(s, webhook_put(101, "7", 1), BH_ERROR_CONFLICT,
		       "webhook \"whk_0000000000035\" is at revision 2");
	assert_refused(s, webhook_put(101, "7", 4), BH_ERROR_CONFLICT,
		       "webhook \"whk_0000000000035\" is at revision 2");
	assert_refused(s, webhook_put(110, "7", 2), BH_ERROR_NOT_FOUND, "there is no webhook \"whk_000000000003e\"");
}

static void a_webhook_hangs_at_its_present_owner(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	apply(&s, webhook_put(101, "8", 2));
	apply(&s, webhook_put(103, NULL, 2));

	assert_webhooks_of(s, "7", "");
	assert_webhooks_of(s, "8", "101 102");
	assert_webhooks_of(s, NULL, "100 103");
}

static void a_manager_has_at_most_a_hundred_webhooks(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	for (bh_id id = 1000; id < 1000 + BH_WEBHOOKS_PER_MANAGER_MAX - 1; id++)
		apply(&s, webhook_put(id, "8", 1));

	assert_refused(s, webhook_put(2000, "8", 1), BH_ERROR_LIMIT, "manager \"8\" has 100 webhooks");
	apply(&s, webhook_put(1000, "8", 2)); /* those he has may change */
	apply(&s, webhook_put(2000, "7", 1));
	for (bh_id id = 3000; id < 3000 + BH_WEBHOOKS_PER_MANAGER_MAX; id++)
		apply(&s, webhook_put(id, NULL, 1)); /* the site knows what it does */
}

static void with_a_manager_go_his_webhooks_keys_and_places(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();
	unsigned char hash[BH_KEY_HASH_SIZE];

	apply(&s, removal(BH_CHANGE_MANAGER_REMOVE, "7"));

	g_assert_null(bh_snapshot_manager(s, "7"));
	assert_text(joined(bh_snapshot_page_webhooks(s, NULL, 0, 10), webhook_id), "100 102");
	assert_webhooks_of(s, "7", "");
	assert_managers_of(s, "12", "9");
	assert_managers_of(s, "13", "8");
	assert_properties_of(s, "7", "");
	assert_properties_of(s, "9", "12");
	assert_properties_of(s, "8", "13 14");
	size_t count;
	g_assert_true(bh_snapshot_properties_of(s, "8", &count)[0] == bh_snapshot_property(s, "13"));
	assert_text(joined(bh_snapshot_page_keys(s, 0, 10), key_id), "201");
	bh_key_text_hash("bhk_seven", hash);
	g_assert_null(bh_snapshot_key_by_hash(s, hash));
}

static void what_is_not_there_cannot_be_removed(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	assert_refused(s, removal(BH_CHANGE_MANAGER_REMOVE, "70"), BH_ERROR_NOT_FOUND, "there is no manager \"70\"");
	assert_refused(s, removal(BH_CHANGE_PROPERTY_REMOVE, "7"), BH_ERROR_NOT_FOUND, "there is no property \"7\"");
	assert_refused(s, removal_by_id(BH_CHANGE_WEBHOOK_REMOVE, 1), BH_ERROR_NOT_FOUND, "there is no webhook");
	assert_refused(s, removal_by_id(BH_CHANGE_KEY_REMOVE, 101), BH_ERROR_NOT_FOUND, "there is no key");
	assert_refused(s, removal(BH_CHANGE_TYPE_REMOVE, "none_such"), BH_ERROR_NOT_FOUND, "");
}

static void a_property_hangs_at_its_present_managers(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	apply(&s, property_put("13", "9 70 9"));

	assert_properties_of(s, "7", "12");
	assert_properties_of(s, "8", "14");
	assert_properties_of(s, "9", "12 13");
	assert_properties_of(s, "70", "13"); /* not known yet, but named */

	apply(&s, removal(BH_CHANGE_PROPERTY_REMOVE, "13"));
	assert_properties_of(s, "9", "12");
	assert_properties_of(s, "70", "");
	g_assert_null(bh_snapshot_property(s, "13"));
}

static void a_removed_key_opens_nothing(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();
	unsigned char hash[BH_KEY_HASH_SIZE];

	apply(&s, removal_by_id(BH_CHANGE_KEY_REMOVE, 202));

	bh_key_text_hash("bhk_seven", hash);
	g_assert_null(bh_snapshot_key_by_hash(s, hash));
	g_assert_null(bh_snapshot_key(s, 202));
}

static void a_key_that_gets_another_text_loses_the_old_one(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();
	unsigned char hash[BH_KEY_HASH_SIZE];

	apply(&s, key_put(202, "bhk_new", "8"));

	bh_key_text_hash("bhk_seven", hash);
	g_assert_null(bh_snapshot_key_by_hash(s, hash));
	bh_key_text_hash("bhk_new", hash);
	g_assert_cmpint(bh_snapshot_key_by_hash(s, hash)->id, ==, 202);
	assert_refused(s, key_put(203, "bhk_new", NULL), BH_ERROR_CONFLICT, "this very key exists already");
}

static void the_site_adds_and_removes_types_of_its_own(void)
{
	g_autoptr(bh_snapshot) s = bh_snapshot_empty();

	apply(&s, type_put("villa_sold"));
	g_assert_nonnull(bh_catalogue_find(bh_snapshot_catalogue(s), "villa_sold"));
	assert_refused(s, type_put("booking_added"), BH_ERROR_CONFLICT, "");
	assert_refused(s, removal(BH_CHANGE_TYPE_REMOVE, "booking_added"), BH_ERROR_CONFLICT, "");

	apply(&s, removal(BH_CHANGE_TYPE_REMOVE, "villa_sold"));
	g_assert_null(bh_catalogue_find(bh_snapshot_catalogue(s), "villa_sold"));
}

static void a_page_goes_on_after_the_last_key(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	assert_text(joined(bh_snapshot_page_managers(s, NULL, 2), manager_id), "1 7");
	assert_text(joined(bh_snapshot_page_managers(s, "7", 2), manager_id), "8 9");
	assert_text(joined(bh_snapshot_page_managers(s, "70", 2), manager_id), "8 9"); /* a key that is gone by now */
	assert_text(joined(bh_snapshot_page_managers(s, "9", 2), manager_id), "");
	assert_text(joined(bh_snapshot_page_properties(s, NULL, "12", 10), property_id), "13 14");
	assert_text(joined(bh_snapshot_page_properties(s, "7", "12", 10), property_id), "13");
	assert_text(joined(bh_snapshot_page_properties(s, "nobody", NULL, 10), property_id), "");
	assert_text(joined(bh_snapshot_page_webhooks(s, NULL, 0, 3), webhook_id), "100 101 102");
	assert_text(joined(bh_snapshot_page_webhooks(s, "7", 101, 3), webhook_id), "103");
	assert_text(joined(bh_snapshot_page_keys(s, 201, 3), key_id), "202");
	assert_text(joined(bh_snapshot_page_keys(s, 0, 0), key_id), "");
}

static void ids_that_begin_alike_are_told_apart(void)
{
	g_autoptr(bh_snapshot) s = bh_snapshot_empty();
	static const char *const ids[] = {"hotel-munich-2", "hotel-mu", "hotel-munich", "hotel-m", "hotel-munich-10",
					  "hötel",          "z"};

	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		apply(&s, property_put(ids[i], "7"));

	assert_text(joined(bh_snapshot_page_properties(s, NULL, NULL, 10), property_id),
		    "hotel-m hotel-mu hotel-munich hotel-munich-10 hotel-munich-2 hötel z");
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		g_assert_cmpstr(bh_snapshot_property(s, ids[i])->id, ==, ids[i]);
	g_assert_null(bh_snapshot_property(s, "hotel-munich-"));
	g_assert_null(bh_snapshot_property(s, ""));
}

/* --- News ----------------------------------------------------------------------------------- */

static void tell(bh_snapshot **s, bh_directory_news news)
{
	g_autoptr(GPtrArray) changes = bh_snapshot_changes_of(*s, &news, NOON);

	for (guint i = 0; i < changes->len; i++) {
		g_autoptr(GError) error = NULL;
		bh_snapshot *next = bh_snapshot_with(*s, changes->pdata[i], &error);
		g_assert_no_error(error);
		bh_snapshot_unref(*s);
		*s = next;
	}
}

static void assert_no_news(bh_snapshot *s, bh_directory_news news)
{
	g_autoptr(GPtrArray) changes = bh_snapshot_changes_of(s, &news, NOON);

	g_assert_cmpuint(changes->len, ==, 0);
}

#define IDS(...) ((char *[]){__VA_ARGS__, NULL})
#define NOBODY ((char *[]){NULL})
#define ID(text_) ((char *)text_)

static void news_of_a_manager_set_his_properties(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();
	bh_directory_news news = {
		.kind = BH_NEWS_MANAGER_PUT, .manager_id = ID("7"), .property_ids = IDS(ID("14"), ID("13"), ID("15"))};

	tell(&s, news);

	assert_properties_of(s, "7", "13 14 15");
	assert_managers_of(s, "12", "9");
	assert_managers_of(s, "13", "8 7");
	assert_managers_of(s, "14", "8 7");
	assert_managers_of(s, "15", "7");
	g_assert_cmpint(bh_snapshot_property(s, "15")->created_at, ==, NOON);
	g_assert_cmpint(bh_snapshot_property(s, "13")->updated_at, ==, 0);
	g_assert_cmpint(bh_snapshot_property(s, "14")->updated_at, ==, NOON);
	assert_no_news(s, news);
}

static void news_leave_a_known_manager_his_role_and_name(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	tell(&s, (bh_directory_news){
			 .kind = BH_NEWS_MANAGER_PUT, .manager_id = ID("9"), .property_ids = IDS(ID("12"), ID("14"))});

	g_assert_cmpint(bh_snapshot_manager(s, "9")->role, ==, BH_ROLE_RECEPTIONIST);
	g_assert_cmpstr(bh_snapshot_manager(s, "9")->name, ==, "Name");
	assert_managers_of(s, "14", "8 9");
}

static void news_make_an_unknown_one_a_manager(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	tell(&s, (bh_directory_news){.kind = BH_NEWS_MANAGER_PUT, .manager_id = ID("70"), .property_ids = NOBODY});

	g_assert_cmpint(bh_snapshot_manager(s, "70")->role, ==, BH_ROLE_MANAGER);
	g_assert_cmpint(bh_snapshot_manager(s, "70")->created_at, ==, NOON);
	assert_properties_of(s, "70", "");
}

static void news_that_tell_no_properties_leave_them(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	assert_no_news(s, (bh_directory_news){.kind = BH_NEWS_MANAGER_PUT, .manager_id = ID("7")});
	tell(&s, (bh_directory_news){.kind = BH_NEWS_MANAGER_PUT, .manager_id = ID("7"), .property_ids = NOBODY});
	assert_properties_of(s, "7", "");
}

static void news_of_a_removal_remove(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	tell(&s, (bh_directory_news){.kind = BH_NEWS_MANAGER_REMOVED, .manager_id = ID("7")});
	g_assert_null(bh_snapshot_manager(s, "7"));
	assert_webhooks_of(s, "7", "");
	assert_no_news(s, (bh_directory_news){.kind = BH_NEWS_MANAGER_REMOVED, .manager_id = ID("7")});

	tell(&s, (bh_directory_news){.kind = BH_NEWS_PROPERTY_REMOVED, .property_ids = IDS(ID("14"))});
	g_assert_null(bh_snapshot_property(s, "14"));
	assert_no_news(s, (bh_directory_news){.kind = BH_NEWS_PROPERTY_REMOVED, .property_ids = IDS(ID("14"))});
	assert_no_news(s, (bh_directory_news){.kind = BH_NEWS_NONE});

	/* One whom only a property names leaves it all the same. */
	apply(&s, property_put("16", "70 8"));
	tell(&s, (bh_directory_news){.kind = BH_NEWS_MANAGER_REMOVED, .manager_id = ID("70")});
	assert_managers_of(s, "16", "8");
}

static void news_of_a_property_add_it_and_its_manager(void)
{
	g_autoptr(bh_snapshot) s = a_small_hotel();

	tell(&s, (bh_directory_news){
			 .kind = BH_NEWS_PROPERTY_CREATED, .manager_id = ID("7"), .property_ids = IDS(ID("15"))});
	tell(&s, (bh_directory_news){.kind = BH_NEWS_PROPERTY_CREATED, .property_ids = IDS(ID("16"))});
	tell(&s, (bh_directory_news){
			 .kind = BH_NEWS_PROPERTY_CREATED, .manager_id = ID("7"), .property_ids = IDS(ID("14"))});

	assert_managers_of(s, "15", "7");
	assert_managers_of(s, "16", "");
	assert_managers_of(s, "14", "8 7");
	assert_no_news(s, (bh_directory_news){.kind = BH_NEWS_PROPERTY_CREATED, .property_ids = IDS(ID("14"))});
	assert_no_news(s, (bh_directory_news){.kind = BH_NEWS_PROPERTY_CREATED,
					      .manager_id = ID("8"),
					      .property_ids = IDS(ID("14"))});
}

/* --- Things themselves ------------------------------------------------------------------------ */

static void a_copy_of_a_webhook_is_a_webhook_of_its_own(void)
{
	bh_webhook *w = make_webhook(1, "7", 3);
	w->properties = g_strsplit("12,13", ",", -1);
	w->channel_id = g_strdup("3");
	w->headers = g_new0(bh_header, 2);
	w->headers[0] = (bh_header){.name = g_strdup("X-A"), .value = g_strdup("secret")};
	w->old_secret = bh_secret_random(32);
	w->disabled = BH_DISABLED_BY_410;
	w->disabled_reason = g_strdup("Gone.");

	w->order_by = g_strdup("property");
	w->coalesce = 30 * BH_SECOND;
	w->coalesce_fields = g_strsplit("property,room_uid", ",", -1);
	w->rate_requests = 5;
	w->tls_ca = g_strdup("ca");
	w->tls_certificate = g_strdup("certificate");
	w->tls_key = bh_secret_random(32);
	w->tls_ca_expires_at = 17;
	g_autoptr(bh_secret) tls_key = bh_secret_ref(w->tls_key);
	g_autoptr(bh_webhook) copy = bh_webhook_copy(w);
	g_autoptr(bh_secret) secret = bh_secret_ref(w->secret);
	bh_webhook_unref(w);

	g_assert_cmpint(copy->refs, ==, 1);
	g_assert_cmpint(copy->revision, ==, 3);
	g_assert_cmpstr(copy->manager_id, ==, "7");
	g_assert_cmpstr(copy->properties[1], ==, "13");
	g_assert_cmpstr(copy->headers[0].value, ==, "secret");
	g_assert_null(copy->headers[1].name);
	g_assert_true(bh_secret_equal(copy->secret, secret));
	g_assert_cmpstr(copy->disabled_reason, ==, "Gone.");
	g_assert_cmpstr(copy->order_by, ==, "property");
	g_assert_cmpint(copy->coalesce, ==, 30 * BH_SECOND);
	g_assert_cmpstr(copy->coalesce_fields[1], ==, "room_uid");
	g_assert_cmpint(copy->rate_requests, ==, 5);
	g_assert_cmpstr(copy->tls_ca, ==, "ca");
	g_assert_cmpstr(copy->tls_certificate, ==, "certificate");
	g_assert_true(bh_secret_equal(copy->tls_key, tls_key));
	g_assert_cmpint(copy->tls_ca_expires_at, ==, 17);
}

static void a_new_key_is_43_characters_that_need_no_escaping(void)
{
	unsigned char hash[BH_KEY_HASH_SIZE], again[BH_KEY_HASH_SIZE];

	for (int i = 0; i < 100; i++) {
		g_autofree char *text = bh_key_text_new(hash);
		g_assert_true(g_regex_match_simple("^bhk_[A-Za-z0-9_-]{43}$", text, 0, 0));
		bh_key_text_hash(text, again);
		g_assert_cmpmem(hash, sizeof hash, again, sizeof again);
	}
}

static void names_and_roles_are_the_same(void)
{
	bh_manager_role role = BH_ROLE_MANAGER;
	bh_key_role key_role = BH_KEY_SITE;

	for (int i = BH_ROLE_MANAGER; i <= BH_ROLE_RECEPTIONIST; i++) {
		g_assert_true(bh_manager_role_parse(bh_manager_role_name(i), &role));
		g_assert_cmpint(role, ==, i);
	}
	for (int i = BH_KEY_SITE; i <= BH_KEY_MANAGER; i++) {
		g_assert_true(bh_key_role_parse(bh_key_role_name(i), &key_role));
		g_assert_cmpint(key_role, ==, i);
	}
	g_assert_false(bh_manager_role_parse("Manager", &role));
	g_assert_false(bh_key_role_parse("super", &key_role));
	g_assert_false(bh_key_role_parse(NULL, &key_role));
	g_assert_null(bh_disabled_cause_name(BH_ENABLED));
	g_assert_cmpstr(bh_disabled_cause_name(BH_DISABLED_BY_410), ==, "gone");
}

/* --- Loading and size --------------------------------------------------------------------------- */

static void stored_rows_of_any_revision_are_loaded(void)
{
	g_autoptr(GPtrArray) webhooks = g_ptr_array_new_with_free_func((GDestroyNotify)bh_webhook_unref);
	g_autoptr(bh_change) manager = manager_put("7", BH_ROLE_MANAGER);
	g_autoptr(bh_change) own = type_put("villa_sold");
	g_autoptr(bh_change) since_built_in = type_put("booking_added");
	g_autoptr(GPtrArray) managers = g_ptr_array_new();
	g_autoptr(GPtrArray) types = g_ptr_array_new();
	g_autoptr(GError) error = NULL;

	g_ptr_array_add(managers, manager->manager);
	g_ptr_array_add(webhooks, make_webhook(5, "7", 17));
	g_ptr_array_add(webhooks, make_webhook(4, NULL, 2));
	g_ptr_array_add(types, own->type);
	g_ptr_array_add(types, since_built_in->type);

	g_autoptr(bh_snapshot) s = bh_snapshot_of(
		&(bh_directory_rows){.managers = managers, .webhooks = webhooks, .types = types}, &error);

	g_assert_no_error(error);
	g_assert_cmpint(bh_snapshot_webhook(s, 5)->revision, ==, 17);
	assert_webhooks_of(s, "7", "5");
	assert_webhooks_of(s, NULL, "4");
	g_assert_nonnull(bh_catalogue_find(bh_snapshot_catalogue(s), "villa_sold"));
	g_assert_true(bh_catalogue_find(bh_snapshot_catalogue(s), "booking_added")->built_in);
	apply(&s, webhook_put(5, "7", 18));
}

/*
 * A model that is too simple to be wrong: which of the numbers are there. The snapshot is changed at random,
 * and must agree with it, in order, after each round; so must the older one that was kept aside.
 */
#define NUMBERS 2000

static void assert_agrees(const bh_snapshot *s, const bool there[NUMBERS])
{
	g_autoptr(GPtrArray) all = bh_snapshot_page_webhooks(s, NULL, 0, NUMBERS);
	size_t count = 0, site_count = 0;
	bh_webhook *const *row = bh_snapshot_webhooks_of(s, NULL, &site_count);

	for (int i = 0; i < NUMBERS; i++) {
		const bh_webhook *found = bh_snapshot_webhook(s, i + 1);
		g_assert_cmpint(found != NULL, ==, there[i]);
		if (!found)
			continue;
		g_assert_true(count < all->len && all->pdata[count] == found);
		g_assert_true(count < site_count && row[count] == found);
		count++;
	}
	g_assert_cmpuint(count, ==, all->len);
	g_assert_cmpuint(count, ==, site_count);
	g_assert_cmpuint(count, ==, bh_snapshot_webhook_count(s));
}

static void random_changes_agree_with_a_plain_model(void)
{
	bh_chance chance = bh_chance_seeded((uint64_t)g_test_rand_int());
	bool there[NUMBERS] = {false}, kept_there[NUMBERS] = {false};
	g_autoptr(bh_snapshot) s = bh_snapshot_empty();
	g_autoptr(bh_snapshot) kept = bh_snapshot_ref(s);

	for (int round = 0; round < 30; round++) {
		int64_t wish = round % 3 == 2 ? 10 : 90; /* mostly growing, then mostly shrinking */
		for (int i = 0; i < 1000; i++) {
			int n = (int)bh_chance_between(&chance, 0, NUMBERS - 1);
			bool add = bh_chance_between(&chance, 0, 99) < wish;
			if (there[n] == add)
				continue;
			apply(&s, add ? webhook_put(n + 1, NULL, 1) : removal_by_id(BH_CHANGE_WEBHOOK_REMOVE, n + 1));
			there[n] = add;
		}
		assert_agrees(s, there);
		assert_agrees(kept, kept_there);
		for (int i = 0; i < 20; i++) {
			bh_id after = bh_chance_between(&chance, 0, NUMBERS + 1), last = after;
			g_autoptr(GPtrArray) page = bh_snapshot_page_webhooks(s, NULL, after, 50);
			for (guint j = 0; j < page->len; j++) {
				bh_id id = ((bh_webhook *)page->pdata[j])->id;
				for (bh_id between = last + 1; between < id; between++)
					g_assert_false(there[between - 1]);
				last = id;
			}
		}
		bh_snapshot_unref(kept);
		kept = bh_snapshot_ref(s);
		memcpy(kept_there, there, sizeof there);
	}
	for (int i = 0; i < NUMBERS; i++)
		if (there[i])
			apply(&s, removal_by_id(BH_CHANGE_WEBHOOK_REMOVE, i + 1));
	memset(there, 0, sizeof there);
	assert_agrees(s, there);
	assert_agrees(kept, kept_there);
}

static char *numbered(const char *prefix, int n)
{
	return g_strdup_printf("%s%d", prefix, n);
}

static void load_manager(bh_snapshot **s, int n)
{
	g_autofree char *manager = numbered("manager-", n);
	g_autofree char *property = numbered("property-", n);

	apply(s, manager_put(manager, BH_ROLE_MANAGER));
	apply(s, property_put(property, manager));
	apply(s, webhook_put(n + 1, manager, 1));
}

/* Most of all a place to measure: -m perf does it with 100,000 of each and says what it took. */
static void a_large_directory_changes_in_no_time(void)
{
	const int count = g_test_perf() ? 100000 : 2000;
	g_autoptr(bh_snapshot) s = bh_snapshot_empty();

	bh_mono start = bh_clock_mono();
	for (int n = 0; n < count; n++)
		load_manager(&s, n);
	double seconds = (double)bh_mono_since(bh_clock_mono(), start) / BH_SECOND;
	g_test_minimized_result(seconds, "%d managers, properties and webhooks one by one: %.2f s", count, seconds);

	start = bh_clock_mono();
	for (int n = 0; n < 1000; n++) {
		g_autofree char *manager = numbered("manager-", n);
		apply(&s, webhook_put(n + 1, manager, 2));
	}
	double each = (double)bh_mono_since(bh_clock_mono(), start) / 1000;
	g_test_minimized_result(each, "one change: %.1f us", each);

	g_assert_cmpuint(bh_snapshot_webhook_count(s), ==, (size_t)count);
	assert_properties_of(s, "manager-1999", "property-1999");
}

static void one_manager_of_very_many_properties_is_no_special_case(void)
{
	const int count = g_test_perf() ? 100000 : 2000;
	g_autoptr(bh_snapshot) s = bh_snapshot_empty();
	size_t found = 0;

	bh_mono start = bh_clock_mono();
	for (int n = 0; n < count; n++) {
		g_autofree char *property = numbered("", n);
		apply(&s, property_put(property, "7 8"));
	}
	double seconds = (double)bh_mono_since(bh_clock_mono(), start) / BH_SECOND;
	g_test_minimized_result(seconds, "%d properties of two managers one by one: %.2f s", count, seconds);

	g_assert_nonnull(bh_snapshot_properties_of(s, "7", &found));
	g_assert_cmpuint(found, ==, (size_t)count);
	start = bh_clock_mono();
	tell(&s, (bh_directory_news){.kind = BH_NEWS_MANAGER_REMOVED, .manager_id = ID("7")});
	seconds = (double)bh_mono_since(bh_clock_mono(), start) / BH_SECOND;
	g_test_minimized_result(seconds, "and he leaves them all: %.2f s", seconds);
	g_assert_null(bh_snapshot_properties_of(s, "7", &found));
	g_assert_nonnull(bh_snapshot_properties_of(s, "8", &found));
	g_assert_cmpuint(found, ==, (size_t)count);
}

/* --- Threads -------------------------------------------------------------------------------------- */

#define ROUNDS 2000

typedef struct stage {
	bh_directory *directory;
	int done; /* atomic */
} stage;

/*
 * Each published state has as many webhooks of manager 7 as its newest one's number says; a reader who sees
 * anything else has seen a half-made state.
 */
static void *read_along(void *argument)
{
	stage *st = argument;
	size_t before = 0;

	while (!g_atomic_int_get(&st->done)) {
		g_autoptr(bh_snapshot) now = bh_directory_now(st->directory);
		size_t count = 0;
		bh_webhook *const *row = bh_snapshot_webhooks_of(now, "7", &count);
		g_autoptr(GPtrArray) page = bh_snapshot_page_webhooks(now, NULL, 0, 1000);
		g_assert_cmpuint(page->len, ==, count);
		for (size_t i = 0; i < count; i++)
			g_assert_true(row[i] == page->pdata[i] && bh_snapshot_webhook(now, row[i]->id) == row[i]);
		g_assert_cmpint(bh_snapshot_property(now, "12")->updated_at, >=, (bh_usec)before);
		before = (size_t)bh_snapshot_property(now, "12")->updated_at;
	}
	return NULL;
}

static void readers_see_whole_states_while_one_publishes(void)
{
	bh_snapshot *s = bh_snapshot_empty();
	apply(&s, manager_put("7", BH_ROLE_MANAGER));
	apply(&s, property_put("12", "7"));
	stage st = {.directory = bh_directory_new(bh_snapshot_ref(s))};
	pthread_t readers[3];

	for (size_t i = 0; i < G_N_ELEMENTS(readers); i++)
		g_assert_cmpint(pthread_create(&readers[i], NULL, read_along, &st), ==, 0);
	for (int round = 1; round <= ROUNDS; round++) {
		bh_change *property = property_put("12", "7");
		property->property->updated_at = round;
		apply(&s, property);
		bh_id id = round % 60 + 1;
		apply(&s, bh_snapshot_webhook(s, id) ? removal_by_id(BH_CHANGE_WEBHOOK_REMOVE, id)
						     : webhook_put(id, "7", 1));
		bh_directory_publish(st.directory, bh_snapshot_ref(s));
	}
	g_atomic_int_set(&st.done, 1);
	for (size_t i = 0; i < G_N_ELEMENTS(readers); i++)
		g_assert_cmpint(pthread_join(readers[i], NULL), ==, 0);

	g_autoptr(bh_snapshot) last = bh_directory_now(st.directory);
	g_assert_true(last == s);
	bh_directory_free(st.directory);
	bh_snapshot_unref(s);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define ADD(name_, function_) g_test_add_func("/directory/" name_, function_)
	ADD("an empty snapshot knows the built in types only", an_empty_snapshot_knows_the_built_in_types_only);
	ADD("everything is found by its key", everything_is_found_by_its_key);
	ADD("a snapshot does not change when its successor does", a_snapshot_does_not_change_when_its_successor_does);
	ADD("receptionists and super managers own no webhooks", receptionists_and_super_managers_own_no_webhooks);
	ADD("a manager without webhooks may become a super manager",
	    a_manager_without_webhooks_may_become_a_super_manager);
	ADD("webhooks and manager keys need a known manager", webhooks_and_manager_keys_need_a_known_manager);
	ADD("a webhook changes only from the revision that was seen",
	    a_webhook_changes_only_from_the_revision_that_was_seen);
	ADD("a webhook hangs at its present owner", a_webhook_hangs_at_its_present_owner);
	ADD("a manager has at most a hundred webhooks", a_manager_has_at_most_a_hundred_webhooks);
	ADD("with a manager go his webhooks keys and places", with_a_manager_go_his_webhooks_keys_and_places);
	ADD("what is not there cannot be removed", what_is_not_there_cannot_be_removed);
	ADD("a property hangs at its present managers", a_property_hangs_at_its_present_managers);
	ADD("a removed key opens nothing", a_removed_key_opens_nothing);
	ADD("a key that gets another text loses the old one", a_key_that_gets_another_text_loses_the_old_one);
	ADD("the site adds and removes types of its own", the_site_adds_and_removes_types_of_its_own);
	ADD("a page goes on after the last key", a_page_goes_on_after_the_last_key);
	ADD("ids that begin alike are told apart", ids_that_begin_alike_are_told_apart);
	ADD("news of a manager set his properties", news_of_a_manager_set_his_properties);
	ADD("news leave a known manager his role and name", news_leave_a_known_manager_his_role_and_name);
	ADD("news make an unknown one a manager", news_make_an_unknown_one_a_manager);
	ADD("news that tell no properties leave them", news_that_tell_no_properties_leave_them);
	ADD("news of a removal remove", news_of_a_removal_remove);
	ADD("news of a property add it and its manager", news_of_a_property_add_it_and_its_manager);
	ADD("a copy of a webhook is a webhook of its own", a_copy_of_a_webhook_is_a_webhook_of_its_own);
	ADD("a new key is 43 characters that need no escaping", a_new_key_is_43_characters_that_need_no_escaping);
	ADD("names and roles are the same", names_and_roles_are_the_same);
	ADD("stored rows of any revision are loaded", stored_rows_of_any_revision_are_loaded);
	ADD("random changes agree with a plain model", random_changes_agree_with_a_plain_model);
	ADD("a large directory changes in no time", a_large_directory_changes_in_no_time);
	ADD("one manager of very many properties is no special case",
	    one_manager_of_very_many_properties_is_no_special_case);
	ADD("readers see whole states while one publishes", readers_see_whole_states_while_one_publishes);
	return g_test_run();
}
