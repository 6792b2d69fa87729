#include "base/settings.h"

#include "base/error.h"
#include "base/near.h"
#include "base/setting_type.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX (1024 * 1024)

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static bool check_listen(const char *text, GError **error)
{
	const char *colon = strrchr(text, ':');
	guint64 port;
	bool named = colon && colon > text && g_ascii_string_to_unsigned(colon + 1, 10, 0, 65535, &port, NULL);
	bool split = named && (*text == '[' ? colon[-1] == ']' : memchr(text, ':', (size_t)(colon - text)) == NULL);

	if (!split)
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
			    "\"%s\" is not an address and port such as 127.0.0.1:8380 or [::1]:8380", text);
	return split;
}

static bool check_not_empty(const char *text, GError **error)
{
	if (!*text)
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "it must not be empty");
	return *text;
}

static bool check_proxy(const char *text, GError **error)
{
	if (!*text || g_str_has_prefix(text, "http://") || g_str_has_prefix(text, "socks5://"))
		return true;
	/* Not repeated: it may hold a password. */
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "it is neither http://host:port nor socks5://host:port");
	return false;
}

static bool check_web_address(const char *text, GError **error)
{
	if (!*text || g_str_has_prefix(text, "http://") || g_str_has_prefix(text, "https://"))
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" is neither https://... nor http://...", text);
	return false;
}

#define ROW(field_, type_, default_, help_, ...) \
	{ \
		.name = #field_, .type = &BH_SETTING_##type_, .offset = offsetof(bh_settings, field_), \
		.default_text = (default_), .help = (help_), __VA_ARGS__ \
	}
#define RANGE(low_, high_) .low = (low_), .high = (high_)
#define FROM_START .from_start = true

/* clang-format off: one line in one place a setting */
static const bh_setting_row ROWS[] = {
	ROW(data_dir, TEXT, "var", "Folder of the database, the keys and the state; made on first start.",
	    .check = check_not_empty, FROM_START),
	ROW(listen, TEXT, "127.0.0.1:8380", "Address and port of the HTTP API; port 0 lets the system choose one.",
	    .check = check_listen, FROM_START),
	ROW(methods_dir, TEXT, "",
	    "Folder of the method scripts; empty: methods/ in the share folder beside the program, else ./methods."),
	ROW(types_file, TEXT, "",
	    "File of the site's own event types, a JSON array, read at start and at reload; empty: none."),
	ROW(store, TEXT, "", "Where everything is kept; empty: sqlite:<data_dir>/bellhop.db.", FROM_START),

	ROW(owners, CHOICE, "all", "Who of a property's managers is told of its events.", .choices = "all, first"),
	ROW(unknown_event_types, CHOICE, "refuse", "What happens to an event whose type is not in the catalogue.",
	    .choices = "refuse, accept"),
	ROW(allow, LIST, "",
	    "Targets that the network guard lets through although they are not public: CIDR, host or host:port."),
	ROW(https_only, SWITCH, "no", "Refuse webhooks whose URL is http."),
	ROW(ca_file, TEXT, "",
	    "File of the certificate authorities (PEM) that receivers are checked against; empty: the system's.",
	    FROM_START),

	ROW(proxy, TEXT, "",
	    "Proxy that all requests to receivers go through: http://host:port or socks5://host:port; empty: none.",
	    .check = check_proxy, FROM_START),

	ROW(lookup_url, TEXT, "",
	    "Where methods look up the details of an event that brings none, such as "
	    "https://site.example/api/webhooks/{property_id}/{type}/{data.contract_uid}; empty: nowhere.",
	    .check = check_web_address),
	ROW(lookup_token_url, TEXT, "", "Where the access token for lookup_url is had (OAuth2); empty: none is needed.",
	    .check = check_web_address),
	ROW(lookup_client_id, TEXT, "", "Client id for lookup_token_url."),
	ROW(lookup_client_secret_file, TEXT, "",
	    "File that holds the client secret for lookup_token_url, and nothing else."),

	ROW(retry_schedule, SPANS, "5s,5m,30m,2h,5h,10h,14h,20h,24h",
	    "Delay before each further attempt; empty: one attempt only.", RANGE(0, 30 * BH_DAY)),
	ROW(retry_jitter_percent, NUMBER, "20", "How far a delay may stray to either side, in percent.", RANGE(0, 100)),
	ROW(retry_jitter_first, SPAN, "2s", "What the first delay gets on top, at most, instead.", RANGE(0, BH_HOUR)),
	ROW(retry_after_max, SPAN, "10h", "The longest wait that a receiver may ask for (Retry-After).",
	    RANGE(0, 30 * BH_DAY)),
	ROW(overload_floor, SPAN, "60s", "The shortest wait after 429, 502, 503 or 504 without such a hint.",
	    RANGE(0, BH_DAY)),
	ROW(lifetime, SPAN, "80h", "After this a delivery is exhausted, whatever attempts are left.",
	    RANGE(BH_SECOND, 365 * BH_DAY)),
	ROW(total_timeout, SPAN, "15s", "The longest an attempt may take, for a webhook that sets no time-out.",
	    RANGE(100 * BH_MILLISECOND, 5 * BH_MINUTE)),
	ROW(dns_timeout, SPAN, "5s", "The longest that looking up the receiver's name may take.",
	    RANGE(10 * BH_MILLISECOND, 2 * BH_MINUTE), FROM_START),
	ROW(connect_timeout, SPAN, "5s", "The longest that connecting may take.",
	    RANGE(10 * BH_MILLISECOND, 2 * BH_MINUTE), FROM_START),
	ROW(tls_timeout, SPAN, "5s", "The longest that the TLS handshake may take.",
	    RANGE(10 * BH_MILLISECOND, 2 * BH_MINUTE), FROM_START),
	ROW(in_flight_max, NUMBER, "256", "Attempts that run at the same time.", RANGE(1, 100000), FROM_START),
	ROW(in_flight_per_webhook, NUMBER, "10", "Attempts of one webhook that run at the same time, at most.",
	    RANGE(1, 1000), FROM_START),
	ROW(concurrency_start, NUMBER, "2",
	    "Attempts of one webhook that run at the same time while nothing is known of its receiver.", RANGE(1, 1000),
	    FROM_START),
	ROW(manager_share_percent, NUMBER, "25",
	    "Part of in_flight_max that one manager's webhooks have at most while there are other managers.",
	    RANGE(1, 100), FROM_START),
	ROW(retry_share_percent, NUMBER, "50", "Part of in_flight_max that retries have at most.", RANGE(1, 100),
	    FROM_START),
	ROW(breaker_failures, NUMBER, "5",
	    "So many failures to connect in a row open a webhook's breaker: nothing but probes is sent.",
	    RANGE(1, 10000), FROM_START),
	ROW(breaker_percent, NUMBER, "70", "So many failed attempts in a hundred open it, too.", RANGE(1, 100),
	    FROM_START),
	ROW(breaker_attempts, NUMBER, "10", "The least number of attempts that breaker_percent counts by.",
	    RANGE(1, 1000000), FROM_START),
	ROW(breaker_span, SPAN, "5m", "How far back breaker_percent counts.", RANGE(5 * BH_SECOND, BH_DAY), FROM_START),
	ROW(probe_first, SPAN, "30s", "How long an open breaker waits before its first probe; doubles with each.",
	    RANGE(10 * BH_MILLISECOND, BH_DAY), FROM_START),
	ROW(probe_max, SPAN, "1h", "The longest wait between two probes.", RANGE(10 * BH_MILLISECOND, BH_DAY),
	    FROM_START),
	ROW(held_max, NUMBER, "10000", "Deliveries that a disabled webhook holds at most; the oldest go first.",
	    RANGE(1, 100000000)),
	ROW(held_span, SPAN, "7d", "The longest that a delivery is held.", RANGE(BH_SECOND, 365 * BH_DAY)),
	ROW(disable_after, SPAN, "5d", "A webhook with nothing but failures for so long may be disabled.",
	    RANGE(BH_SECOND, 365 * BH_DAY)),
	ROW(disable_gap, SPAN, "12h",
	    "It is disabled only if two of its deliveries were exhausted at least so far apart.",
	    RANGE(0, 365 * BH_DAY)),
	ROW(failing_warn_after, SPAN, "24h", "Its owner is warned so long after the first failure.",
	    RANGE(0, 365 * BH_DAY)),
	ROW(disable_warn_before, SPAN, "24h", "Its owner is warned so long before it is disabled.",
	    RANGE(0, 365 * BH_DAY)),
	ROW(recover_max, SPAN, "14d", "How far back a recovery may reach.", RANGE(BH_MINUTE, 365 * BH_DAY)),
	ROW(recover_rate, NUMBER, "20", "Deliveries a second of a recovery that names no rate.", RANGE(1, 10000)),
	ROW(look_every, SPAN, "60s",
	    "How often Bellhop looks for what only time brings about: limits of held deliveries, warnings, ends of lifetimes.",
	    RANGE(10 * BH_MILLISECOND, BH_HOUR)),
	ROW(hops_max, NUMBER, "8",
	    "So many times may a chain of changes pass Bellhop: an event beyond it is refused as a loop.",
	    RANGE(1, 1000)),
	ROW(intake_rate, NUMBER, "0", "Events a second that one API key may hand over; 0: no limit.",
	    RANGE(0, 10000000)),
	ROW(window, NUMBER, "1024", "Waiting deliveries of one webhook kept in memory; the rest stays in the store.",
	    RANGE(4, 1000000), FROM_START),
	ROW(window_bytes, SIZE, "32MiB", "Payloads of waiting deliveries kept in memory, all webhooks together.",
	    RANGE(512 * KIB, 64 * GIB), FROM_START),

	ROW(api_threads, NUMBER, "1", "Threads of the HTTP API.", RANGE(1, 64), FROM_START),
	ROW(delivery_loops, NUMBER, "1", "Threads that deliver.", RANGE(1, 64), FROM_START),
	ROW(connections_max, NUMBER, "1000", "Open connections of the HTTP API.", RANGE(1, 100000), FROM_START),
	ROW(intake_memory, SIZE, "64MiB", "Memory for bodies that are being received, all connections together.",
	    RANGE(8 * MIB, 64 * GIB)),
	ROW(journal_queue, NUMBER, "100000",
	    "Entries that may wait for the store; beyond it callers are told to come back.", RANGE(1, 10000000),
	    FROM_START),

	ROW(log_level, CHOICE, "info", "The least that is worth a line.", .choices = "error, warning, info, debug"),
	ROW(log_format, CHOICE, "plain", "Lines for people, or one JSON object a line.", .choices = "plain, json"),
};
/* clang-format on */
#define ROW_COUNT G_N_ELEMENTS(ROWS)

/* From weak to strong. */
typedef enum source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_COMMAND_LINE } source;

static const char *const SOURCES[] = {
	[FROM_DEFAULT] = "default",
	[FROM_FILE] = "file",
	[FROM_ENVIRONMENT] = "environment",
	[FROM_COMMAND_LINE] = "command line",
};

/* What bh_settings_load really makes: the settings, and where each came from. */
typedef struct loaded {
	bh_settings values; /* first, so that a pointer to it is one to the whole */
	source from[ROW_COUNT];
	unsigned line[ROW_COUNT]; /* of the file; 0: not given there */
	char *file; /* NULL: none */
} loaded;

static void *field_of(const bh_settings *s, const bh_setting_row *row)
{
	return (char *)s + row->offset;
}

static bool set(loaded *l, size_t row, const char *text, source from, GError **error)
{
	if (!ROWS[row].type->read(&ROWS[row], text, field_of(&l->values, &ROWS[row]), error)) {
		g_prefix_error(error, "%s: ", ROWS[row].name);
		return false;
	}
	l->from[row] = from;
	return true;
}

/* The setting that was probably meant; NULL: nothing is near. */
static const char *nearest_name(const char *name)
{
	bh_near near = {.text = bh_span_of(name)};

	for (size_t i = 0; i < ROW_COUNT; i++)
		bh_near_offer(&near, ROWS[i].name);
	return bh_near_best(&near);
}

static bool find_row(const char *name, size_t *ret_row, GError **error)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (strcmp(name, ROWS[i].name) == 0) {
			*ret_row = i;
			return true;
		}
	}
	const char *nearest = nearest_name(name);
	if (nearest)
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "unknown setting \"%.64s\"; did you mean \"%s\"?", name,
			    nearest);
	else
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "unknown setting \"%.64s\"", name);
	return false;
}

/* Cuts "name = value" in two, in place. */
static bool split_pair(char *text, char **ret_name, char **ret_value, GError **error)
{
	char *equals = strchr(text, '=');

	if (!equals) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%.64s\" is not \"name = value\"", text);
		return false;
	}
	*equals = '\0';
	*ret_name = g_strstrip(text);
	*ret_value = g_strstrip(equals + 1);
	return true;
}

static bool set_defaults(loaded *l, GError **error)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (!set(l, i, ROWS[i].default_text, FROM_DEFAULT, error))
			return false;
	return true;
}

/* A comment begins with `#` at the start of the line or after a space: a value such as a password may hold one. */
static void cut_comment(char *line)
{
	for (char *p = line; *p; p++) {
		if (*p == '#' && (p == line || g_ascii_isspace(p[-1]))) {
			*p = '\0';
			return;
		}
	}
}

static bool set_from_line(loaded *l, char *line, unsigned number, GError **error)
{
	char *name, *value;
	size_t row;

	cut_comment(line);
	g_strstrip(line);
	if (!*line)
		return true;
	if (!split_pair(line, &name, &value, error) || !find_row(name, &row, error))
		return false;
	if (l->line[row]) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "\"%s\" was given in line %u already", name,
			    l->line[row]);
		return false;
	}
	l->line[row] = number;
	return set(l, row, value, FROM_FILE, error);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FILE, fclose)

static void refuse_file(const char *path, bh_error_code code, const char *why, GError **error)
{
	g_set_error(error, BH_ERROR, code, "settings file \"%s\": %s", path, why);
}

static char *read_file(const char *path, GError **error)
{
	g_autofree char *text = g_malloc(FILE_MAX + 1);
	g_autoptr(FILE) file = fopen(path, "re");
	size_t size = file ? fread(text, 1, FILE_MAX + 1, file) : 0;

	if (!file || ferror(file))
		refuse_file(path, BH_ERROR_IO, g_strerror(errno), error);
	else if (size > FILE_MAX)
		refuse_file(path, BH_ERROR_INVALID, "larger than 1 MiB", error);
	else if (!g_utf8_validate(text, (gssize)size, NULL)) /* this refuses NUL bytes, too */
		refuse_file(path, BH_ERROR_INVALID, "not UTF-8 text", error);
	else
		return g_strndup(text, size);
	return NULL;
}

static bool set_from_file(loaded *l, const char *path, GError **error)
{
	g_autofree char *text = read_file(path, error);

	if (!text)
		return false;
	l->file = g_strdup(path);
	g_auto(GStrv) lines = g_strsplit(g_str_has_prefix(text, "\xef\xbb\xbf") ? text + 3 : text, "\n", -1);
	for (unsigned i = 0; lines[i]; i++) {
		if (!set_from_line(l, lines[i], i + 1, error)) {
			g_prefix_error(error, "%s line %u: ", path, i + 1);
			return false;
		}
	}
	return true;
}

static char *variable_of(size_t row)
{
	g_autofree char *upper = g_ascii_strup(ROWS[row].name, -1);
	return g_strconcat("BELLHOP_", upper, NULL);
}

/* Other BELLHOP_ variables exist (the sealing key, the command line's address), so unknown ones are no error here. */
static bool set_from_environment(loaded *l, GError **error)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		g_autofree char *name = variable_of(i);
		const char *value = g_getenv(name);
		if (value && !set(l, i, value, FROM_ENVIRONMENT, error)) {
			g_prefix_error(error, "environment variable %s: ", name);
			return false;
		}
	}
	return true;
}

/* Given twice, the last one counts: scripts add theirs behind those of others. */
static bool set_from_override(loaded *l, const char *override, GError **error)
{
	g_autofree char *text = g_strdup(override);
	char *name, *value;
	size_t row;

	if (!g_utf8_validate(text, -1, NULL)) {
		g_set_error(error, BH_ERROR, BH_ERROR_INVALID, "not UTF-8 text");
		return false;
	}
	return split_pair(text, &name, &value, error) && find_row(name, &row, error) &&
	       set(l, row, value, FROM_COMMAND_LINE, error);
}

static bool set_from_overrides(loaded *l, char *const *overrides, GError **error)
{
	for (char *const *o = overrides; o && *o; o++) {
		if (!set_from_override(l, *o, error)) {
			g_prefix_error(error, "command line: ");
			return false;
		}
	}
	return true;
}

bh_settings *bh_settings_load(const char *file, char *const *overrides, GError **error)
{
	loaded *l = g_new0(loaded, 1);
	g_autoptr(bh_settings) s = &l->values;

	if (!set_defaults(l, error))
		return NULL;
	if (file && !set_from_file(l, file, error))
		return NULL;
	if (!set_from_environment(l, error) || !set_from_overrides(l, overrides, error))
		return NULL;
	return g_steal_pointer(&s);
}

void bh_settings_free(bh_settings *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (ROWS[i].type->clear)
			ROWS[i].type->clear(field_of(s, &ROWS[i]));
	g_free(((loaded *)s)->file);
	g_free(s);
}

static void clear_shown(void *item)
{
	bh_setting_shown *shown = item;

	g_free((char *)shown->range);
	g_free(shown->value);
}

/* A user and a password within a URL are for whoever wrote the setting. */
static char *without_login(char *value)
{
	char *begin = strstr(value, "://"), *end = strrchr(value, '@');

	if (!begin || !end || end < begin)
		return value;
	char *shown = g_strdup_printf("%.*s://***%s", (int)(begin - value), value, end);
	g_free(value);
	return shown;
}

GArray *bh_settings_show(const bh_settings *s)
{
	const loaded *l = (const loaded *)s;
	GArray *all = g_array_sized_new(FALSE, FALSE, sizeof(bh_setting_shown), ROW_COUNT);

	g_array_set_clear_func(all, clear_shown);
	for (size_t i = 0; i < ROW_COUNT; i++) {
		bh_setting_shown shown = {
			.name = ROWS[i].name,
			.type = ROWS[i].type->name,
			.range = ROWS[i].type->range(&ROWS[i]),
			.help = ROWS[i].help,
			.default_text = ROWS[i].default_text,
			.value = without_login(ROWS[i].type->text(field_of(s, &ROWS[i]))),
			.source = SOURCES[l->from[i]],
			.from_start = ROWS[i].from_start,
		};
		g_array_append_val(all, shown);
	}
	return all;
}

char *bh_settings_where(const bh_settings *s, const char *name)
{
	const loaded *l = (const loaded *)s;
	size_t row;

	if (!find_row(name, &row, NULL))
		return g_strdup("nowhere");
	if (l->from[row] == FROM_FILE)
		return g_strdup_printf("%s line %u", l->file, l->line[row]);
	if (l->from[row] == FROM_ENVIRONMENT) {
		g_autofree char *variable = variable_of(row);
		return g_strdup_printf("environment variable %s", variable);
	}
	return g_strdup(SOURCES[l->from[row]]);
}

static bool differs(const bh_setting_row *row, const bh_settings *a, const bh_settings *b)
{
	g_autofree char *one = row->type->text(field_of(a, row));
	g_autofree char *other = row->type->text(field_of(b, row));
	return strcmp(one, other) != 0;
}

char *bh_settings_waiting_for_restart(const bh_settings *started_with, const bh_settings *next)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (size_t i = 0; i < ROW_COUNT; i++)
		if (ROWS[i].from_start && differs(&ROWS[i], started_with, next))
			g_string_append_printf(names, "%s%s", names->len ? ", " : "", ROWS[i].name);
	return names->len ? g_string_free(g_steal_pointer(&names), FALSE) : NULL;
}
