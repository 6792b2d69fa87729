/*
 * Making and changing a webhook. Each member of the body is a row of one table: its name, where it may stand, and the
 * function that puts it into the webhook. What depends on several members (the settings, enabling) comes after.
 */
#include "api/body.h"
#include "api/names.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/server.h"
#include "api/webhook.h"
#include "base/error.h"
#include "base/log.h"
#include "transport/signature.h"

#include <string.h>

#define TIMEOUT_LEAST 3.0
#define TIMEOUT_MOST 30.0

/* A webhook being made or changed: a copy of our own, until the directory takes it. */
typedef struct edit {
	bh_call *call;
	bh_webhook *webhook; /* owned */
	const bh_webhook *before; /* NULL: it is new */
	char *method; /* the one that it will have */
	uint32_t settings, url; /* the nodes, or BH_JSON_NONE */
	bool headers_kept; /* a header keeps a value that the body does not give */
	bool held_given;
	bh_held_policy held;
	GPtrArray *names; /* of hosts that the settings lead to, to be looked up */
} edit;

static void edit_clear(edit *e)
{
	g_clear_pointer(&e->names, g_ptr_array_unref);
	g_clear_pointer(&e->webhook, bh_webhook_unref);
	g_clear_pointer(&e->method, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(edit, edit_clear)

static bool refuse(edit *e, const char *pointer, const char *why)
{
	bh_reply_problem(e->call, BH_PROBLEM_FIELD, pointer, "%s", why);
	return false;
}

static bool is_null(const edit *e, uint32_t node)
{
	return bh_body_is_null(e->call, node);
}

/* --- The members ------------------------------------------------------------------------- */

static bool set_manager(edit *e, uint32_t node)
{
	const bh_scope *scope = &e->call->scope;
	bh_webhook *w = e->webhook;

	if (!bh_body_text(e->call, node, "/manager_id", &BH_RULE_SITE_ID_OR_NULL, &w->manager_id))
		return false;
	/* To a manager another one is as unknown as one who is not there. */
	if (w->manager_id && !bh_scope_manager(scope, w->manager_id))
		return refuse(e, "/manager_id", "There is no such manager.");
	return true;
}

static bool set_name(edit *e, uint32_t node)
{
	if (!is_null(e, node))
		return bh_body_text(e->call, node, "/name", &BH_RULE_NAME, &e->webhook->name);
	g_free(e->webhook->name);
	e->webhook->name = g_strdup("");
	return true;
}

static bool note_url(edit *e, uint32_t node)
{
	e->url = node;
	return true;
}

static bool note_settings(edit *e, uint32_t node)
{
	e->settings = node;
	return true;
}

static bool set_method(edit *e, uint32_t node)
{
	static const bh_text_rule RULE = {.max = 128};

	return bh_body_text(e->call, node, "/method", &RULE, &e->method);
}

static bool set_script(edit *e, uint32_t node)
{
	return bh_read_script(e->call, node, &e->webhook->script);
}

static bool set_shape(edit *e, uint32_t node)
{
	static const bh_text_rule RULE = {.max = 32, .may_be_null = true};
	g_autofree char *name = NULL;

	if (!bh_body_text(e->call, node, "/shape", &RULE, &name))
		return false;
	if (!name) {
		e->webhook->shape = BH_SHAPE_STANDARD;
		return true;
	}
	return bh_shape_parse(name, &e->webhook->shape) || refuse(e, "/shape", "It is one of standard, jomres.");
}

/* One by one, so that the pointer leads to the one at fault. */
static bool check_selection(edit *e)
{
	const bh_catalogue *catalogue = bh_snapshot_catalogue(e->call->scope.snapshot);

	for (unsigned i = 0; e->webhook->events[i]; i++) {
		char *one[] = {e->webhook->events[i], NULL};
		g_autoptr(GError) error = NULL;
		g_autofree char *pointer = g_strdup_printf("/events/%u", i);

		if (!bh_selection_check(catalogue, one, &error))
			return refuse(e, pointer, error->message);
	}
	return true;
}

static bool set_events(edit *e, uint32_t node)
{
	static const bh_text_rule RULE = {.max = BH_TYPE_NAME_MAX + 1};

	if (is_null(e, node)) {
		g_strfreev(e->webhook->events);
		e->webhook->events = g_strsplit("*", ",", 0);
		return true;
	}
	if (!bh_body_texts(e->call, node, "/events", &RULE, BH_SELECTION_MAX, &e->webhook->events))
		return false;
	if (!e->webhook->events[0])
		return refuse(e, "/events", "It must not be empty: [\"*\"] means all.");
	return check_selection(e);
}

static bool set_properties(edit *e, uint32_t node)
{
	if (!is_null(e, node))
		return bh_body_texts(e->call, node, "/properties", &BH_RULE_SITE_ID, BH_SELECTION_MAX,
				     &e->webhook->properties);
	g_clear_pointer(&e->webhook->properties, g_strfreev);
	return true;
}

static bool set_channel(edit *e, uint32_t node)
{
	return bh_body_text(e->call, node, "/channel_id", &BH_RULE_SITE_ID_OR_NULL, &e->webhook->channel_id);
}

static bool set_full_payload(edit *e, uint32_t node)
{
	if (!is_null(e, node))
		return bh_body_bool(e->call, node, "/full_payload", &e->webhook->full_payload);
	e->webhook->full_payload = false;
	return true;
}

static bool set_timeout(edit *e, uint32_t node)
{
	static const bh_number_rule RULE = {TIMEOUT_LEAST, TIMEOUT_MOST, false};
	double seconds = 0; /* as the setting says */

	if (!is_null(e, node) && !bh_body_number(e->call, node, "/timeout_seconds", &RULE, &seconds))
		return false;
	e->webhook->total_timeout = (bh_usec)(seconds * BH_SECOND);
	return true;
}

static bool set_order_by(edit *e, uint32_t node)
{
	return bh_set_order_by(e->call, e->webhook, node);
}

static bool set_coalesce(edit *e, uint32_t node)
{
	return bh_set_coalesce(e->call, e->webhook, node);
}

static bool set_rate_limit(edit *e, uint32_t node)
{
	return bh_set_rate_limit(e->call, e->webhook, node);
}

static bool set_tls(edit *e, uint32_t node)
{
	return bh_set_tls(e->call, e->webhook, node);
}

static bool set_enabled(edit *e, uint32_t node)
{
	bool enabled = true;

	if (!bh_body_bool(e->call, node, "/enabled", &enabled))
		return false;
	bh_webhook *w = e->webhook;
	if (enabled == !w->disabled)
		return true;
	g_clear_pointer(&w->disabled_reason, g_free);
	w->disabled = enabled ? BH_ENABLED : BH_DISABLED_BY_OWNER;
	w->disabled_at = enabled ? 0 : e->call->now;
	if (!enabled)
		w->disabled_reason = g_strdup("Disabled by hand.");
	return true;
}

static bool set_held(edit *e, uint32_t node)
{
	e->held_given = true;
	return bh_read_held_policy(e->call, node, &e->held);
}

static bool set_headers(edit *e, uint32_t node)
{
	return bh_merge_headers(e->call, e->webhook, node, &e->headers_kept);
}

static bool set_secret(edit *e, uint32_t node)
{
	return true; /* bh_read_signing_secret finds it, or makes one */
}

/* --- The table --------------------------------------------------------------------------- */

typedef enum occasion_bit { CREATE = 1, PATCH = 2, PAUSE = 4 /* by a super manager */ } occasion_bit;

static const struct {
	const char *name;
	unsigned occasions;
	bool (*set)(edit *e, uint32_t node);
} MEMBERS[] = {
	{"manager_id", CREATE, set_manager},
	{"name", CREATE | PATCH, set_name},
	{"method", CREATE | PATCH, set_method},
	{"settings", CREATE | PATCH, note_settings},
	{"url", CREATE | PATCH, note_url},
	{"script", CREATE | PATCH, set_script},
	{"shape", CREATE | PATCH, set_shape},
	{"events", CREATE | PATCH, set_events},
	{"properties", CREATE | PATCH, set_properties},
	{"channel_id", CREATE | PATCH, set_channel},
	{"full_payload", CREATE | PATCH, set_full_payload},
	{"timeout_seconds", CREATE | PATCH, set_timeout},
	{"order_by", CREATE | PATCH, set_order_by},
	{"coalesce", CREATE | PATCH, set_coalesce},
	{"rate_limit", CREATE | PATCH, set_rate_limit},
	{"tls", CREATE | PATCH, set_tls},
	{"headers", CREATE | PATCH, set_headers},
	{"secret", CREATE, set_secret},
	{"enabled", CREATE | PATCH | PAUSE, set_enabled},
	{"held", PATCH | PAUSE, set_held},
};

static bool parse_body(bh_call *call, occasion_bit occasion)
{
	const char *known[G_N_ELEMENTS(MEMBERS) + 1] = {NULL};
	size_t count = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(MEMBERS); i++)
		if (MEMBERS[i].occasions & occasion)
			known[count++] = MEMBERS[i].name;
	return bh_body_parse(call, known);
}

static bool apply_members(edit *e)
{
	for (size_t i = 0; i < G_N_ELEMENTS(MEMBERS); i++) {
		uint32_t node = bh_body_member(e->call, MEMBERS[i].name);
		if (node != BH_JSON_NONE && !MEMBERS[i].set(e, node))
			return false;
	}
	return true;
}

/* The settings are touched only if the body says something about them: their method may be gone by now. */
static bool apply_settings(edit *e)
{
	const char *stored_method = e->before ? e->before->method : NULL;
	bool same_method = g_strcmp0(e->method, stored_method) == 0;

	if (same_method && e->settings == BH_JSON_NONE && e->url == BH_JSON_NONE)
		return true;
	if (!bh_merge_settings(e->call, e->webhook, stored_method, e->method, e->settings, e->url, e->headers_kept,
			       e->names))
		return false;
	g_free(e->webhook->method);
	e->webhook->method = g_strdup(e->method);
	return true;
}

/* --- Saving it --------------------------------------------------------------------------- */

/* What is to be put once its names are looked up: the call's work. */
typedef struct saving {
	bh_webhook *webhook; /* until it is put */
	GPtrArray *names;
	bh_call_step done;
} saving;

static void saving_free(void *user)
{
	saving *s = user;

	bh_webhook_unref(s->webhook);
	g_ptr_array_unref(s->names);
	g_free(s);
}

static void names_known(bh_call *call)
{
	saving *s = call->work;

	if (!bh_call_failed(call) && !bh_names_refused(call, s->names))
		bh_put_webhook(call, g_steal_pointer(&s->webhook), s->done);
}

/* All that the body says is in `e` by now: what it is read with belongs to the thread, and others use it meanwhile. */
static void save(edit *e, bh_call_step done)
{
	saving *s = g_new(saving, 1);

	*s = (saving){g_steal_pointer(&e->webhook), g_steal_pointer(&e->names), done};
	bh_call_set_work(e->call, s, saving_free);
	bh_names_check(e->call, s->names, names_known);
}

static const GPtrArray *names_of(const bh_call *call)
{
	const saving *s = call->work;

	return s->names;
}

/* --- Making one -------------------------------------------------------------------------- */

static void set_defaults(edit *e)
{
	bh_webhook *w = e->webhook;

	w->id = bh_id_new();
	w->revision = 1;
	w->created_at = w->updated_at = e->call->now;
	w->manager_id = g_strdup(e->call->scope.manager_id);
	w->name = g_strdup("");
	w->events = g_strsplit("*", ",", 0);
	w->shape = BH_SHAPE_STANDARD;
	e->method = g_strdup("none");
}

static bool check_owner(edit *e)
{
	const bh_snapshot *snapshot = e->call->scope.snapshot;
	const char *id = e->webhook->manager_id;
	const bh_manager *manager = id ? bh_snapshot_manager(snapshot, id) : NULL;

	if (!id && e->call->scope.manager_id)
		return refuse(e, "/manager_id", "A manager's webhook is his own: leave it out.");
	if (!manager || manager->role == BH_ROLE_MANAGER)
		return true;
	bh_reply_problem(e->call, BH_PROBLEM_SUPER, NULL,
			 "Manager \"%s\" has the role %s; only the role manager owns webhooks.", id,
			 bh_manager_role_name(manager->role));
	return false;
}

static void webhook_made(bh_call *call)
{
	const bh_webhook *webhook = call->change->webhook;
	char id[BH_ID_TEXT_SIZE];

	if (bh_call_failed(call))
		return;
	g_autofree char *location = g_strconcat("/v1/webhooks/", bh_id_text(BH_ID_WEBHOOK, webhook->id, id), NULL);
	char *secret = bh_signing_secret_text(webhook->secret);

	bh_log(BH_INFO, "api", "webhook made", BH_ID("webhook", BH_ID_WEBHOOK, webhook->id),
	       BH_STR("manager", webhook->manager_id), BH_STR("by", call->scope.key_text));
	bh_reply_header(call, "Location", location);
	bh_reply_webhook(call, 201, &(bh_shown_webhook){.webhook = webhook, .names = names_of(call), .secret = secret});
	bh_text_wipe(secret);
}

void bh_create_webhook(bh_call *call)
{
	g_auto(edit) e = {.call = call,
			  .webhook = bh_webhook_new(),
			  .settings = BH_JSON_NONE,
			  .url = BH_JSON_NONE,
			  .names = bh_names_new()};

	if (call->scope.role == BH_MAY_SUPER) {
		bh_reply_problem(call, BH_PROBLEM_SUPER, NULL, "A super manager looks at all webhooks and owns none.");
		return;
	}
	set_defaults(&e);
	if (!parse_body(call, CREATE) || !apply_members(&e) || !check_owner(&e) || !apply_settings(&e))
		return;
	e.webhook->secret = bh_read_signing_secret(call);
	if (e.webhook->secret)
		save(&e, webhook_made);
}

/* --- Changing one ------------------------------------------------------------------------ */

/* If-Match (RFC 9110 section 13.1.1) names the revision that was seen; "*" is any. */
static bool check_match(bh_call *call, const bh_webhook *webhook)
{
	const char *wanted = bh_call_request_header(call, "If-Match");
	g_autofree char *tag = g_strdup_printf("\"%" G_GINT64_FORMAT "\"", webhook->revision);

	if (!wanted || strcmp(wanted, "*") == 0 || strcmp(wanted, tag) == 0)
		return true;
	bh_reply_problem(call, BH_PROBLEM_CONFLICT, NULL, "The webhook is at revision %s, not at the one in If-Match.",
			 tag);
	return false;
}

/* What becomes of what was held: said, or by why it was held. */
static bool choose_policy(edit *e)
{
	bool enabled_now = e->before->disabled && !e->webhook->disabled;

	if (e->held_given && e->webhook->disabled)
		return refuse(e, "/held", "It says what follows enabling, and the webhook stays disabled.");
	if (!e->held_given)
		e->held = enabled_now ? bh_held_policy_default(e->before) : BH_HELD_KEEP;
	return true;
}

/* The change is durable: that its run of failures cannot be read now is no reason to say that it failed. */
static void reply_changed(bh_call *call, const bh_webhook *webhook)
{
	bh_reader *reader = bh_api_reader_here(call->api, NULL);
	bh_shown_webhook shown = {.webhook = webhook, .names = names_of(call)};

	if (reader)
		(void)bh_reader_streak(reader, webhook->id, &shown.streak, NULL);
	bh_reply_webhook(call, 200, &shown);
}

static void webhook_changed(bh_call *call)
{
	bool named_revision = bh_call_request_header(call, "If-Match");

	if (call->error && !call->release.began && !named_revision && bh_begin_anew(call, bh_patch_webhook))
		return;
	if (bh_release_failed(call) || bh_call_failed(call))
		return;
	const bh_webhook *webhook = call->change->webhook;
	bh_log(BH_INFO, "api", "webhook changed", BH_ID("webhook", BH_ID_WEBHOOK, webhook->id),
	       BH_INT("revision", webhook->revision), BH_STR("enabled", webhook->disabled ? "no" : "yes"),
	       BH_STR("by", call->scope.key_text));
	reply_changed(call, webhook);
}

void bh_patch_webhook(bh_call *call)
{
	const bh_webhook *before = bh_find_webhook(call);
	occasion_bit occasion = call->scope.role == BH_MAY_SUPER ? PAUSE : PATCH;

	if (!before || !check_match(call, before) || !parse_body(call, occasion))
		return;
	g_auto(edit) e = {
		.call = call,
		.webhook = bh_webhook_copy(before),
		.before = before,
		.method = g_strdup(before->method),
		.settings = BH_JSON_NONE,
		.url = BH_JSON_NONE,
		.headers_kept = before->headers != NULL,
		.names = bh_names_new(),
	};
	e.webhook->revision++;
	e.webhook->updated_at = call->now;
	if (!apply_members(&e) || !apply_settings(&e) || !choose_policy(&e))
		return;
	bh_release_after(call, e.webhook->id, e.held);
	save(&e, webhook_changed);
}
