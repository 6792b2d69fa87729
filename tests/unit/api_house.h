/*
 * A whole API to talk to: a real store in a folder of its own, a real journal, the real server on a port that the kernel
 * chose. Nothing is delivered: the journal's listener only notes. For the tests of src/api.
 */
#pragma once

#include "api/api.h"
#include "base/error.h"
#include "base/log.h"

#include <curl/curl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

typedef struct house {
	char *folder;
	bh_settings *settings;
	bh_sealer *sealer;
	bh_store *store;
	bh_directory *directory;
	bh_journal *journal;
	bh_guard *guard;
	bh_methods *methods;
	char *methods_folder; /* the setting methods_dir, or where the shipped ones are */
	bh_api *api;
	_Atomic int fresh; /* deliveries that were told of */
	_Atomic bool blocked;
	pthread_mutex_t gate; /* held by a test that wants commits to wait */
	char *site; /* keys */
	char *emit;
	char *seven, *eight; /* managers 7 (property 12 and 13) and 8 (property 21) */
} house;

static void on_fresh(void *user, bh_event *event, bh_delivery *const *deliveries, size_t count)
{
	house *h = user;

	atomic_fetch_add(&h->fresh, (int)count);
}

static void on_flush(void *user)
{
	house *h = user;

	pthread_mutex_lock(&h->gate);
	pthread_mutex_unlock(&h->gate);
}

static void on_changed(void *user, bh_id webhook) {}

/* What the guard would say of a name, without a network: by its first word. */
static pthread_mutex_t slow_names = PTHREAD_MUTEX_INITIALIZER; /* held by a test that wants "slow..." to wait */
static _Atomic int names_asked;

static bool check_name(const bh_guard *guard, const bh_target *target, bh_usec timeout, char **ret_doubt,
		       GError **error)
{
	atomic_fetch_add(&names_asked, 1);
	*ret_doubt = NULL;
	if (g_str_has_prefix(target->host, "slow")) {
		pthread_mutex_lock(&slow_names);
		pthread_mutex_unlock(&slow_names);
	}
	if (g_str_has_prefix(target->host, "inside")) {
		g_set_error(error, BH_ERROR, BH_ERROR_DENIED, "private: \"%s\" leads to 10.0.0.1", target->host);
		return false;
	}
	if (g_str_has_prefix(target->host, "nowhere"))
		*ret_doubt = g_strdup("The host is not known in the DNS.");
	return true;
}

static bh_usec disables_at(const bh_streak *streak, const bh_settings *settings)
{
	return streak->first_exhausted ? streak->failing_since + settings->disable_after : 0;
}

/* As serve does it. On the thread of rehearsals, which a test may keep busy so. */
static pthread_mutex_t slow_reload = PTHREAD_MUTEX_INITIALIZER;

static bool reload_methods(void *user, bh_methods **ret_before, bh_methods **ret_now, GError **error)
{
	house *h = user;

	pthread_mutex_lock(&slow_reload);
	pthread_mutex_unlock(&slow_reload);
	bh_methods *next = bh_methods_load(h->methods_folder, h->methods, NULL, error);
	if (!next)
		return false;
	*ret_before = h->methods;
	*ret_now = bh_methods_ref(next);
	h->methods = next;
	bh_api_use(h->api, h->settings, h->guard, h->methods);
	return true;
}

/* --- Talking to it ----------------------------------------------------------------------- */

typedef struct reply {
	long status;
	GString *head; /* header lines as they came */
	GString *body;
	json_t *json; /* NULL: the body is none */
} reply;

static void reply_clear(reply *r)
{
	if (r->head)
		g_string_free(r->head, TRUE);
	if (r->body)
		g_string_free(r->body, TRUE);
	json_decref(r->json);
	*r = (reply){0};
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(reply, reply_clear)

static size_t append(char *bytes, size_t size, size_t count, void *user)
{
	g_string_append_len(user, bytes, (gssize)(size * count));
	return size * count;
}

/* What a request may carry beside verb and path. */
typedef struct ask {
	const char *key;
	const char *body; /* NULL: none */
	size_t body_bytes; /* 0: to the NUL */
	const char *type; /* NULL: application/json */
	const char *headers[8];
	bool chunked;
} ask;

static struct curl_slist *headers_of(const ask *a)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	g_autofree char *type = g_strconcat("Content-Type: ", a->type ? a->type : "application/json", NULL);
	g_autofree char *key = a->key ? g_strconcat("Authorization: Bearer ", a->key, NULL) : NULL;

	if (a->body)
		list = curl_slist_append(list, type);
	if (key)
		list = curl_slist_append(list, key);
	if (a->chunked)
		list = curl_slist_append(list, "Transfer-Encoding: chunked");
	for (size_t i = 0; i < G_N_ELEMENTS(a->headers) && a->headers[i]; i++)
		list = curl_slist_append(list, a->headers[i]);
	return list;
}

typedef struct upload {
	const char *at;
	size_t left;
} upload;

static size_t give(char *buffer, size_t size, size_t count, void *user)
{
	upload *u = user;
	size_t bytes = MIN(size * count, u->left);

	memcpy(buffer, u->at, bytes);
	u->at += bytes;
	u->left -= bytes;
	return bytes;
}

static reply send_ask(const house *h, const char *verb, const char *path, const ask *a)
{
	reply r = {.head = g_string_new(NULL), .body = g_string_new(NULL)};
	g_autofree char *url = g_strdup_printf("http://%s%s", bh_api_address(h->api), path);
	struct curl_slist *headers = headers_of(a);
	upload u = {a->body, a->body ? (a->body_bytes ? a->body_bytes : strlen(a->body)) : 0};
	CURL *c = curl_easy_init();

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, verb);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, append);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, r.body);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, append);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, r.head);
	if (strcmp(verb, "HEAD") == 0)
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	if (a->body) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, verb);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, give);
		curl_easy_setopt(c, CURLOPT_READDATA, &u);
		if (!a->chunked)
			curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)u.left);
	}
	CURLcode code = curl_easy_perform(c);
	g_assert_cmpstr(curl_easy_strerror(code), ==, curl_easy_strerror(CURLE_OK));
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r.status);
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
	r.json = json_loadb(r.body->str, r.body->len, JSON_REJECT_DUPLICATES, NULL);
	return r;
}

/* The everyday form: a key, and a body in JSON or none. */
static reply call(const house *h, const char *key, const char *verb, const char *path, const char *body)
{
	return send_ask(h, verb, path, &(ask){.key = key, .body = body});
}

/* A header's value in the answer (the caller's); NULL: it has none. */
G_GNUC_UNUSED static char *header(const reply *r, const char *name)
{
	g_auto(GStrv) lines = g_strsplit(r->head->str, "\r\n", -1);
	g_autofree char *start = g_strconcat(name, ":", NULL);

	for (char **line = lines; *line; line++)
		if (g_ascii_strncasecmp(*line, start, strlen(start)) == 0)
			return g_strdup(g_strchug(*line + strlen(start)));
	return NULL;
}

static const char *text(const reply *r, const char *member)
{
	const char *value = json_string_value(json_object_get(r->json, member));

	return value ? value : "";
}

static void assert_status(const reply *r, long status)
{
	if (r->status != status)
		g_error("expected %ld, got %ld: %s", status, r->status, r->body->str);
}

static void assert_problem(const reply *r, long status, const char *code)
{
	g_autofree char *type = header(r, "Content-Type");
	g_autofree char *urn = g_strconcat("urn:bellhop:problem:", code, NULL);

	assert_status(r, status);
	g_assert_cmpstr(type, ==, "application/problem+json");
	g_assert_cmpstr(text(r, "code"), ==, code);
	g_assert_cmpstr(text(r, "type"), ==, urn);
	g_assert_cmpint(json_integer_value(json_object_get(r->json, "status")), ==, status);
	g_assert_cmpstr(text(r, "detail"), !=, "");
	g_assert_cmpstr(text(r, "title"), !=, "");
}

/* One line where nothing but the refusal matters. */
G_GNUC_UNUSED static void assert_refused(const house *h, const char *key, const char *verb, const char *path,
					 const char *body, long status, const char *code)
{
	g_auto(reply) r = call(h, key, verb, path, body);

	assert_problem(&r, status, code);
}

G_GNUC_UNUSED static void assert_pointer(const house *h, const char *key, const char *verb, const char *path,
					 const char *body, const char *code, const char *pointer)
{
	g_auto(reply) r = call(h, key, verb, path, body);

	assert_problem(&r, 422, code);
	g_assert_cmpstr(text(&r, "pointer"), ==, pointer);
}

/* Does it, and returns a member of the answer (the caller's). */
G_GNUC_UNUSED static char *done(const house *h, const char *key, const char *verb, const char *path, const char *body,
				long status, const char *member)
{
	g_auto(reply) r = call(h, key, verb, path, body);

	assert_status(&r, status);
	return g_strdup(text(&r, member));
}

static bool metric_is(const house *h, const char *line)
{
	g_auto(reply) r = call(h, NULL, "GET", "/metrics", NULL);

	return strstr(r.body->str, line);
}

G_GNUC_UNUSED static void wait_for_metric(const house *h, const char *line)
{
	while (!metric_is(h, line))
		g_usleep(1000);
}

/* --- Webhooks, events and deliveries ------------------------------------------------------ */

/* Makes a webhook and returns its path. */
G_GNUC_UNUSED static char *make_webhook(const house *h, const char *key, const char *body)
{
	g_autofree char *id = done(h, key, "POST", "/v1/webhooks", body, 201, "id");

	return g_strconcat("/v1/webhooks/", id, NULL);
}

G_GNUC_UNUSED static reply get(const house *h, const char *path)
{
	reply r = call(h, h->site, "GET", path, NULL);

	assert_status(&r, 200);
	return r;
}

G_GNUC_UNUSED static void patched(const house *h, const char *path, const char *body)
{
	g_auto(reply) r = call(h, h->seven, "PATCH", path, body);

	assert_status(&r, 200);
}

/* Bookings of property 12, contract 0, 1, 2 ... */
G_GNUC_UNUSED static void send_events(const house *h, unsigned count)
{
	GString *lines = g_string_new(NULL);

	for (unsigned i = 0; i < count; i++)
		g_string_append_printf(
			lines, "{\"type\":\"booking_added\",\"data\":{\"property_uid\":12,\"contract_uid\":%u}}\n", i);
	g_auto(reply) r = send_ask(h, "POST", "/v1/events",
				   &(ask){.key = h->emit, .body = lines->str, .type = "application/x-ndjson"});
	assert_status(&r, 202);
	g_string_free(lines, TRUE);
}

/* How many deliveries are in a state, counted page by page. */
G_GNUC_UNUSED static size_t count_in(const house *h, const char *state)
{
	g_autofree char *cursor = NULL;
	size_t rows = 0;

	do {
		g_autofree char *path =
			g_strconcat("/v1/deliveries?limit=100&state=", state, cursor ? "&cursor=" : "", cursor, NULL);
		g_auto(reply) r = get(h, path);
		rows += json_array_size(json_object_get(r.json, "data"));
		g_free(cursor);
		cursor = g_strdup(json_string_value(json_object_get(r.json, "next")));
	} while (cursor);
	return rows;
}

G_GNUC_UNUSED static char *newest_delivery(const house *h)
{
	g_auto(reply) r = get(h, "/v1/deliveries?limit=1");
	json_t *row = json_array_get(json_object_get(r.json, "data"), 0);

	return g_strconcat("/v1/deliveries/", json_string_value(json_object_get(row, "id")), NULL);
}

G_GNUC_UNUSED static bh_id id_in(const char *path, bh_id_kind kind)
{
	bh_id id = 0;

	g_assert_true(bh_id_parse(kind, strrchr(path, '/') + 1, &id));
	return id;
}

/* Writes to the journal as the engine would. */
G_GNUC_UNUSED static void engine_writes(const house *h, bh_write *write)
{
	g_autoptr(GError) error = NULL;
	bh_write *writes[] = {write};
	bh_entry entry = {.writes = writes, .count = 1};

	write->at = bh_clock_wall();
	g_assert_true(bh_journal_submit_and_wait(h->journal, &entry, &error));
	g_assert_no_error(error);
}

/* What a delivery loop would write down: an attempt, and where its delivery goes from there. */
G_GNUC_UNUSED static void record(const house *h, const char *delivery_path, int number, bh_state state, bh_span answer)
{
	bh_attempt_row row = {
		.delivery_id = id_in(delivery_path, BH_ID_DELIVERY),
		.number = number,
		.started_at = bh_clock_wall(),
		.dns = -1,
		.connect = 10,
		.tls = -1,
		.first_byte = 20,
		.total = 30,
		.outcome = "failed",
		.cause = "status",
		.sentence = "The receiver answered 500.",
		.status = 500,
		.http_version = "1.1",
		.address = "198.51.100.1:80",
		.request = "POST /hook HTTP/1.1\nHost: x\n",
		.response = "Content-Type: text/html\n",
		.body = answer,
		.shape = "standard",
	};
	bh_write write = {
		.kind = BH_WRITE_RECORD,
		.attempt = &row,
		.delivery_id = row.delivery_id,
		.state = state,
		.due_at = row.started_at,
		.spent = number,
	};

	engine_writes(h, &write);
}

/* --- Opening and closing ----------------------------------------------------------------- */

static void put_first_key(house *h)
{
	g_autoptr(GError) error = NULL;
	bh_change *change = g_new0(bh_change, 1);
	bh_write write = {.kind = BH_WRITE_CHANGE,
			  .change = change,
			  .audit_who = "test",
			  .audit_from = "",
			  .at = bh_clock_wall()};
	bh_write *writes[] = {&write};
	bh_entry entry = {.writes = writes, .count = 1};

	change->kind = BH_CHANGE_KEY_PUT;
	change->key = bh_key_new();
	change->key->id = bh_id_new();
	change->key->role = BH_KEY_SITE;
	change->key->name = g_strdup("first");
	change->key->created_at = bh_clock_wall();
	h->site = bh_key_text_new(change->key->hash);
	g_assert_true(bh_journal_submit_and_wait(h->journal, &entry, &error));
	g_assert_no_error(error);
	bh_change_free(change);
}

static void furnish(house *h)
{
	g_free(done(h, h->site, "PUT", "/v1/managers/7", "{\"name\":\"Ada\",\"email\":\"ada@example.org\"}", 201,
		    "id"));
	g_free(done(h, h->site, "PUT", "/v1/managers/8", "{\"name\":\"Bob\"}", 201, "id"));
	g_free(done(h, h->site, "PUT", "/v1/properties/12", "{\"name\":\"Sea View\",\"managers\":[\"7\"]}", 201, "id"));
	g_free(done(h, h->site, "PUT", "/v1/properties/13", "{\"name\":\"Hill\",\"managers\":[7]}", 201, "id"));
	g_free(done(h, h->site, "PUT", "/v1/properties/21", "{\"name\":\"Lake\",\"managers\":[\"8\"]}", 201, "id"));
	h->emit = done(h, h->site, "POST", "/v1/keys", "{\"role\":\"emit\"}", 201, "key");
	h->seven = done(h, h->site, "POST", "/v1/keys", "{\"role\":\"manager\",\"manager_id\":\"7\"}", 201, "key");
	h->eight = done(h, h->site, "POST", "/v1/keys", "{\"role\":\"manager\",\"manager_id\":8}", 201, "key");
}

static char *in_folder(const house *h, const char *name)
{
	return g_build_filename(h->folder, name, NULL);
}

/* Opens what depends on the store, over a folder that may hold one already. */
static void open_rooms(house *h)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *key = in_folder(h, "seal.key"), *db = in_folder(h, "bellhop.db");
	g_autofree char *url = g_strconcat("sqlite:", db, NULL);
	bh_journal_listener listener = {.user = h, .fresh = on_fresh, .flush = on_flush, .webhook_changed = on_changed};

	h->sealer = bh_sealer_open(key, &error);
	g_assert_no_error(error);
	h->store = bh_store_open(url, h->sealer, &error);
	g_assert_no_error(error);
	bh_id_start_above(bh_store_last_id(h->store));
	h->directory = bh_directory_new(bh_store_load_directory(h->store, &error));
	g_assert_no_error(error);
	h->journal = bh_journal_open(h->store, h->directory, &listener, (size_t)h->settings->journal_queue, &error);
	g_assert_no_error(error);

	bh_api_rooms rooms = {.store = h->store,
			      .directory = h->directory,
			      .journal = h->journal,
			      .sealer = h->sealer,
			      .check_name = check_name,
			      .disables_at = disables_at,
			      .reload_methods = reload_methods,
			      .house = h};
	h->api = bh_api_open(&rooms, h->settings, h->guard, h->methods, &error);
	g_assert_no_error(error);
}

static void close_rooms(house *h)
{
	bh_api_close(h->api);
	bh_journal_close(h->journal);
	bh_directory_free(h->directory);
	bh_store_close(h->store);
	bh_sealer_free(h->sealer);
}

/* `more`: settings such as "api_threads=2", NULL-terminated; NULL: none. */
static house *open_house_with(char *const *more)
{
	house *h = g_new0(house, 1);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) overrides = g_ptr_array_new();
	char *allow[] = {(char *)"198.51.100.0/24", NULL}, *own[] = {NULL};

	h->folder = g_dir_make_tmp("bellhop-api-XXXXXX", &error);
	g_assert_no_error(error);
	pthread_mutex_init(&h->gate, NULL);
	g_ptr_array_add(overrides, (void *)"listen=127.0.0.1:0");
	for (; more && *more; more++)
		g_ptr_array_add(overrides, *more);
	g_ptr_array_add(overrides, NULL);
	h->settings = bh_settings_load(NULL, (char *const *)overrides->pdata, &error);
	g_assert_no_error(error);
	h->guard = bh_guard_new(allow, own, false, &error);
	g_assert_no_error(error);
	h->methods_folder = *h->settings->methods_dir ? g_strdup(h->settings->methods_dir)
						      : g_build_filename(g_getenv("BH_SOURCE_ROOT"), "methods", NULL);
	h->methods = bh_methods_load(h->methods_folder, NULL, NULL, &error);
	g_assert_no_error(error);

	open_rooms(h);
	put_first_key(h);
	furnish(h);
	return h;
}

G_GNUC_UNUSED static house *open_house(void)
{
	return open_house_with(NULL);
}

static void remove_folder(const char *folder)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		g_remove(path);
	}
	g_rmdir(folder);
}

static void close_house(house *h)
{
	close_rooms(h);
	bh_methods_unref(h->methods);
	bh_guard_unref(h->guard);
	bh_settings_free(h->settings);
	remove_folder(h->folder);
	pthread_mutex_destroy(&h->gate);
	g_free(h->folder);
	g_free(h->methods_folder);
	g_free(h->site);
	g_free(h->emit);
	g_free(h->seven);
	g_free(h->eight);
	g_free(h);
}
