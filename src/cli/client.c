#include "cli/client.h"

#include "base/error.h"
#include "base/secret.h"
#include "base/time.h"
#include "cli/input.h"
#include "cli/problem.h"
#include "cli/text.h"

#include <curl/curl.h>
#include <string.h>

#define BODY_MAX ((size_t)64 * 1024 * 1024) /* a page of a hundred of the largest events, and room */
#define CONNECT_TIMEOUT_MS 5000L
#define TOTAL_TIMEOUT_MS 60000L

struct bh_client {
	char *url;
	char *authorization; /* the whole header line */
	CURL *curl; /* one handle, so that a command that asks often keeps its connection */
};

/* --- Finding the address and the key ------------------------------------------------------- */

static const char *data_dir(const bh_args *args, bool *ret_named)
{
	const char *given = bh_args_one(args, "data-dir");
	if (!given)
		given = g_getenv("BELLHOP_DATA_DIR");
	*ret_named = given && *given;
	return *ret_named ? given : "var";
}

/* An option, or else the environment; NULL: neither, or empty. */
static const char *named(const bh_args *args, const char *option, const char *variable)
{
	const char *given = bh_args_one(args, option);
	if (!given)
		given = g_getenv(variable);
	return given && *given ? given : NULL;
}

static char *read_line(const char *folder, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);
	char *text = NULL;
	if (!g_file_get_contents(path, &text, NULL, error))
		return NULL;
	return g_strstrip(text);
}

/* Nothing runs there; or something does, and this user may not look. */
static void say_no_address(const char *folder, const GError *why, GError **error)
{
	if (g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_ACCES))
		g_set_error(
			error, BH_ERROR, BH_ERROR_DENIED,
			"cannot find a running Bellhop: you may not read in its data folder %s\n"
			"Run this as the user it belongs to, or give both its address and a key: --server URL --key KEY.",
			folder);
	else
		g_set_error(
			error, BH_ERROR, BH_ERROR_NOT_FOUND,
			"cannot find a running Bellhop: there is no file %s/address, which `bellhop serve` writes while it runs\n"
			"Start it with `bellhop serve --data %s`, or name it with --server, BELLHOP_URL or --data-dir.",
			folder, folder);
}

static char *find_url(const bh_args *args, const char *folder, GError **error)
{
	const char *given = named(args, "server", "BELLHOP_URL");
	g_autoptr(GError) why = NULL;
	char *url = given ? g_strdup(given) : read_line(folder, "address", &why);
	if (!url) {
		say_no_address(folder, why, error);
		return NULL;
	}
	while (g_str_has_suffix(url, "/"))
		url[strlen(url) - 1] = '\0';
	if (!g_str_has_prefix(url, "http://") && !g_str_has_prefix(url, "https://")) {
		bh_usage_error(error, "\"%s\" is no address of Bellhop: it begins with http:// or https://", url);
		g_clear_pointer(&url, g_free);
	}
	return url;
}

static bool is_local(const char *url)
{
	g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
	const char *host = uri ? g_uri_get_host(uri) : NULL;
	return host && (strcmp(host, "localhost") == 0 || g_str_has_prefix(host, "127.") || strcmp(host, "::1") == 0);
}

/*
 * The key of ./var opens everything there, so it goes to another machine only if somebody named the folder:
 * `bellhop --server https://elsewhere ...` typed in the wrong place must not hand it over.
 */
static char *find_key(const bh_args *args, const char *folder, bool folder_named, const char *url, GError **error)
{
	const char *given = named(args, "key", "BELLHOP_KEY");
	if (given)
		return bh_input_text(given, "--key", error);

	bool may_use = folder_named || is_local(url);
	char *key = may_use ? read_line(folder, "site.key", NULL) : NULL;
	if (!key)
		g_set_error(
			error, BH_ERROR, BH_ERROR_NOT_FOUND,
			"cannot find a key for %s: neither --key nor BELLHOP_KEY is given, and %s/site.key %s\n"
			"Name the folder of that Bellhop with --data-dir, or give a key (`bellhop key add` makes one).",
			url, folder, may_use ? "cannot be read" : "is not for another machine");
	return key;
}

bh_client *bh_client_new(const bh_args *args, GError **error)
{
	bool folder_named;
	const char *folder = data_dir(args, &folder_named);
	g_autofree char *url = find_url(args, folder, error);
	if (!url)
		return NULL;
	char *key = find_key(args, folder, folder_named, url, error);
	if (!key)
		return NULL;
	if (!bh_text_is_visible_ascii(key)) {
		bh_usage_error(error, "the key is no API key: it has the form bhk_ and 43 letters, digits, - and _");
		bh_text_wipe(key);
		return NULL;
	}

	bh_client *client = g_new0(bh_client, 1);
	client->url = g_steal_pointer(&url);
	client->authorization = g_strdup_printf("Authorization: Bearer %s", key);
	client->curl = curl_easy_init();
	g_assert(client->curl);
	bh_text_wipe(key);
	return client;
}

void bh_client_free(bh_client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	bh_text_wipe(client->authorization);
	g_free(client->url);
	g_free(client);
}

/* --- Asking -------------------------------------------------------------------------------- */

/* What is collected of one answer. */
typedef struct answer {
	GString *body;
	char *retry_after;
	bool replayed;
} answer;

static size_t take_body(char *at, size_t size, size_t count, void *user)
{
	answer *a = user;
	if (a->body->len + size * count > BODY_MAX)
		return 0; /* curl gives up: CURLE_WRITE_ERROR */
	g_string_append_len(a->body, at, (gssize)(size * count));
	return size * count;
}

static char *header_value(const char *line, size_t size, const char *name)
{
	size_t length = strlen(name);
	if (size <= length || line[length] != ':' || g_ascii_strncasecmp(line, name, length) != 0)
		return NULL;
	return g_strstrip(g_strndup(line + length + 1, size - length - 1));
}

static size_t take_header(char *at, size_t size, size_t count, void *user)
{
	answer *a = user;
	g_autofree char *replayed = header_value(at, size * count, "Idempotent-Replayed");
	char *retry_after = header_value(at, size * count, "Retry-After");
	if (replayed)
		a->replayed = g_ascii_strcasecmp(replayed, "true") == 0;
	if (retry_after) {
		g_free(a->retry_after);
		a->retry_after = retry_after;
	}
	return size * count;
}

static struct curl_slist *make_headers(const bh_client *client, const bh_ask *ask)
{
	struct curl_slist *headers = curl_slist_append(NULL, client->authorization);
	headers = curl_slist_append(headers, "Expect:");
	if (ask->body.size) {
		const char *type = ask->content_type ? ask->content_type : "application/json";
		g_autofree char *line = g_strdup_printf("Content-Type: %s", type);
		headers = curl_slist_append(headers, line);
	}
	if (ask->idempotency_key) {
		g_autofree char *line = g_strdup_printf("Idempotency-Key: %s", ask->idempotency_key);
		headers = curl_slist_append(headers, line);
	}
	return headers;
}

static void set_request(bh_client *client, const bh_ask *ask, const char *url, struct curl_slist *headers, answer *a)
{
	CURL *curl = client->curl;
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->verb);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* a property may be called ".." */
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "bellhop/" BH_VERSION);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TOTAL_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	if (is_local(client->url))
		curl_easy_setopt(curl, CURLOPT_NOPROXY,
				 "*"); /* a proxy of the environment does not reach our loopback */
	if (ask->body.size || strcmp(ask->verb, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->body.at ? ask->body.at : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.size);
	}
}

static void set_transfer_error(GError **error, const bh_client *client, const bh_ask *ask, CURLcode code)
{
	if (code == CURLE_COULDNT_CONNECT)
		g_set_error(error, BH_ERROR, BH_ERROR_IO,
			    "cannot %s: nothing answers at %s\nIs bellhop serve running? Start it with `bellhop "
			    "serve`, or name another with --server.",
			    ask->what, client->url);
	else if (code == CURLE_WRITE_ERROR)
		g_set_error(error, BH_ERROR, BH_ERROR_LIMIT, "cannot %s: the answer of %s is larger than %zu MiB",
			    ask->what, client->url, BODY_MAX / 1024 / 1024);
	else
		g_set_error(error, BH_ERROR, BH_ERROR_IO,
			    "cannot %s: %s does not answer as it should: %s\nIs it a Bellhop? `curl %s/healthz` tells.",
			    ask->what, client->url, curl_easy_strerror(code), client->url);
}

/* The body must be JSON if there is one: a proxy's page with status 200 is no answer of ours. */
static bh_reply *make_reply(const bh_client *client, const bh_ask *ask, int status, answer *a, GError **error)
{
	g_autoptr(bh_reply) reply = g_new0(bh_reply, 1);
	reply->status = status;
	reply->replayed = a->replayed;
	reply->body = g_steal_pointer(&a->body);
	if (reply->body->len == 0)
		return g_steal_pointer(&reply);

	g_autoptr(GError) why = NULL;
	reply->json = bh_json_new();
	if (!bh_json_parse(reply->json, (bh_span){reply->body->str, reply->body->len}, &why)) {
		g_set_error(error, BH_ERROR, BH_ERROR_IO,
			    "cannot %s: the answer of %s is no JSON (%s)\nIs it a Bellhop? `curl %s/healthz` tells.",
			    ask->what, client->url, why->message, client->url);
		return NULL;
	}
	return g_steal_pointer(&reply);
}

bh_reply *bh_client_ask(bh_client *client, const bh_ask *ask, GError **error)
{
	bh_reply *reply = NULL;
	answer a = {.body = g_string_new(NULL)};
	g_autofree char *url = g_strconcat(client->url, ask->path, NULL);
	struct curl_slist *headers = make_headers(client, ask);

	set_request(client, ask, url, headers, &a);
	CURLcode code = curl_easy_perform(client->curl);
	long status = 0;
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);

	if (code != CURLE_OK)
		set_transfer_error(error, client, ask, code);
	else if (status < 200 || status > 299)
		bh_problem_error(error, ask->what, client->url, (int)status, (bh_span){a.body->str, a.body->len},
				 a.retry_after);
	else
		reply = make_reply(client, ask, (int)status, &a, error);

	curl_slist_free_all(headers);
	if (a.body)
		g_string_free(a.body, TRUE);
	g_free(a.retry_after);
	return reply;
}

void bh_reply_free(bh_reply *reply)
{
	if (!reply)
		return;
	bh_json_free(reply->json);
	g_string_free(reply->body, TRUE);
	g_free(reply);
}

char *bh_path_escape(const char *text)
{
	return g_uri_escape_string(text, NULL, FALSE);
}
