/*
 * Runs, many at a time in one Lua state: they begin, take their turns (script.h has the states), and end. A run whose slice is
 * over stands at the end of a row, and bh_script_host_next takes from its head; so runs that compute share the thread among
 * themselves and with everything else that it has to do.
 *
 * A run keeps nothing for the next one (code.h). The event is a table of its own; the settings are shared, and read-only.
 */
#include "base/error.h"
#include "method/code.h"
#include "method/errand.h"
#include "method/method_file.h"
#include "method/remote.h"
#include "method/script.h"
#include "method/settings_cache.h"

#include <lauxlib.h>
#include <string.h>

#define IDLE_MAX 256 /* finished runs that are kept for the next deliveries */
#define TEXT_MAX 1000 /* of a trouble or a reason */
#define TOKENS_MAX 4096 /* places; a webhook has one for each set of credentials */
#define COMPUTE_MAX (1 * BH_SECOND)

struct bh_script_host {
	bh_sandbox box;
	bh_script_limits limits;
	bh_methods *methods; /* NULL: none yet */
	GHashTable *codes; /* name of the method -> bh_script_code */
	bh_own_scripts *own;
	bh_settings_cache *settings;
	bh_tokens *tokens;
	bh_script_lookup lookup;
	bh_now now;
	GQueue row; /* bh_script: those whose turn it is */
	GPtrArray *idle; /* bh_script */
	int remote; /* registry */
};

/* --- The host --------------------------------------------------------------------------------- */

static void unref_code(gpointer code)
{
	bh_script_code_unref(code);
}

/* The codes of `methods`; what has not changed since is taken over. */
static GHashTable *make_codes(bh_script_host *h, bh_methods *methods)
{
	GHashTable *codes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, unref_code);
	g_autoptr(GPtrArray) list = bh_methods_list(methods);

	for (guint i = 0; i < list->len; i++) {
		bh_method *method = g_ptr_array_index(list, i);
		bh_script_code *code = g_hash_table_lookup(h->codes, method->name);
		if (code && code->method == method)
			bh_script_code_ref(code);
		else
			code = bh_script_code_new(&h->box, method);
		g_hash_table_insert(codes, method->name, code);
	}
	return codes;
}

static void destroy_script(bh_script *s);

static void destroy_idle(gpointer script)
{
	destroy_script(script);
}

static void wake_run(void *run)
{
	bh_script_wake(run);
}

bh_script_host *bh_script_host_new(const bh_script_limits *limits, const bh_sealer *sealer)
{
	bh_script_host *h = g_new0(bh_script_host, 1);

	h->limits = *limits;
	bh_sandbox_init(&h->box, limits->memory_max);
	bh_remote_push(h->box.lua);
	h->remote = luaL_ref(h->box.lua, LUA_REGISTRYINDEX);
	h->codes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, unref_code);
	h->own = bh_own_scripts_new(&h->box);
	h->tokens = bh_tokens_new(TOKENS_MAX, wake_run);
	h->now = bh_clock_now();
	g_queue_init(&h->row);
	h->settings = bh_settings_cache_new(&h->box, sealer);
	h->idle = g_ptr_array_new_with_free_func(destroy_idle);
	return h;
}

static void clear_lookup(bh_script_lookup *lookup)
{
	g_free(lookup->url);
	g_free(lookup->token_url);
	g_free(lookup->client_id);
	bh_secret_unref(lookup->client_secret);
	*lookup = (bh_script_lookup){0};
}

void bh_script_host_free(bh_script_host *h)
{
	if (!h)
		return;
	g_ptr_array_unref(h->idle);
	bh_settings_cache_free(h->settings);
	g_hash_table_unref(h->codes);
	bh_own_scripts_free(h->own);
	bh_tokens_free(h->tokens);
	clear_lookup(&h->lookup);
	bh_methods_unref(h->methods);
	bh_sandbox_clear(&h->box);
	g_free(h);
}

size_t bh_script_host_memory(const bh_script_host *h)
{
	return h->box.used;
}

void bh_script_host_use(bh_script_host *h, bh_methods *methods)
{
	GHashTable *codes = make_codes(h, methods);

	g_hash_table_unref(h->codes);
	h->codes = codes;
	bh_methods_ref(methods);
	bh_methods_unref(h->methods);
	h->methods = methods;
	bh_settings_cache_flush(h->settings);
	bh_sandbox_tidy(&h->box, NULL);
}

bool bh_script_host_filters(bh_script_host *h, const char *method, const char *script)
{
	const bh_script_code *code = g_hash_table_lookup(h->codes, method);
	if (code && (code->has[BH_STAGE_ACCEPTS] || code->trouble))
		return true;
	if (!script)
		return false;

	bh_script_code *own = bh_own_scripts_get(h->own, script);
	bool has_a_say = own->has[BH_STAGE_ACCEPTS] || own->trouble;
	bh_script_code_unref(own);
	return has_a_say;
}

void bh_script_host_lookup(bh_script_host *h, const bh_lookup_config *config)
{
	clear_lookup(&h->lookup);
	if (!config)
		return;
	h->lookup = (bh_script_lookup){
		.url = g_strdup(config->url),
		.token_url = g_strdup(config->token_url),
		.client_id = g_strdup(config->client_id),
		.client_secret = config->client_secret.size
					 ? bh_secret_new(config->client_secret.at, config->client_secret.size)
					 : NULL,
	};
}

void bh_script_host_now(bh_script_host *h, bh_now now)
{
	h->now = now;
	bh_tokens_tidy(h->tokens, now.mono);
}

bh_now bh_script_now(const bh_script *s)
{
	return s->host->now;
}

bh_tokens *bh_script_tokens(bh_script *s)
{
	return s->host->tokens;
}

const bh_script_lookup *bh_script_lookup_config(const bh_script *s)
{
	return &s->host->lookup;
}

/* --- What a run may say ----------------------------------------------------------------------- */

/* How many bytes at `text` are a word after which credentials follow, whatever they were made of. */
static size_t scheme_at(const char *text)
{
	static const char *const schemes[] = {"Basic ", "Bearer "};

	for (size_t i = 0; i < G_N_ELEMENTS(schemes); i++)
		if (g_str_has_prefix(text, schemes[i]))
			return strlen(schemes[i]);
	return 0;
}

/* Copies `raw` as far as it may be shown: passwords and credentials become ***, and TEXT_MAX ends it. */
static GString *redact(const bh_script *s, const char *raw)
{
	GString *text = g_string_new(NULL);

	while (*raw && text->len < TEXT_MAX) {
		size_t hidden = MAX(bh_script_settings_password_at(s->settings, raw),
				    bh_errand_password_at(s->token, raw)),
		       shown = 0;
		if (!hidden) {
			shown = scheme_at(raw);
			hidden = shown ? strcspn(raw + shown, " \t\r\n\"',;") : 0;
			shown = shown ? shown : 1;
		}
		g_string_append_len(text, raw, (gssize)shown);
		if (hidden)
			g_string_append(text, "***");
		raw += shown + hidden;
	}
	return text;
}

/* What a script says, fit for a record: no passwords, valid, one line, of a bounded length. */
static char *fit_text(const bh_script *s, char *raw)
{
	g_autoptr(GString) text = redact(s, raw);
	bh_text_wipe(raw);

	char *fit = g_utf8_make_valid(text->str, (gssize)text->len);
	for (char *c = fit; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = ' ';
	return fit;
}

/* --- A run begins ----------------------------------------------------------------------------- */

static bh_script *create_script(bh_script_host *h)
{
	bh_script *s = g_new0(bh_script, 1);

	s->host = h;
	s->thread = bh_sandbox_thread(&h->box, &s->anchor);
	lua_pushboolean(h->box.lua, false);
	s->answer_slot = luaL_ref(h->box.lua, LUA_REGISTRYINDEX);
	s->texts = g_string_new(NULL);
	s->turn.data = s;
	bh_script_set_run(s->thread, s);
	return s;
}

static void destroy_script(bh_script *s)
{
	luaL_unref(s->host->box.lua, LUA_REGISTRYINDEX, s->answer_slot);
	luaL_unref(s->host->box.lua, LUA_REGISTRYINDEX, s->anchor);
	g_string_free(s->texts, TRUE);
	g_free(s);
}

static bh_script *take_script(bh_script_host *h)
{
	return h->idle->len > 0 ? g_ptr_array_steal_index(h->idle, h->idle->len - 1) : create_script(h);
}

/* Moves *text, if there is one, to `*at`, and *at behind it. */
static void move_text(const char **text, char **at)
{
	if (!*text)
		return;
	char *copy = *at;
	*at = stpcpy(copy, *text) + 1;
	*text = copy;
}

static size_t size_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* The script can change its table; what the host asks the world with must not change along. */
static void copy_event(bh_script *s, const bh_script_event *event)
{
	g_string_set_size(s->texts, size_of(event->id) + size_of(event->type) + size_of(event->property_id) +
					    size_of(event->manager_id));
	char *at = s->texts->str;
	s->event = *event;
	move_text(&s->event.id, &at);
	move_text(&s->event.type, &at);
	move_text(&s->event.property_id, &at);
	move_text(&s->event.manager_id, &at);
	s->body = g_bytes_ref(event->body);
}

/* Nothing but one call of a function that is kept: what most webhooks have, and the shortest way. */
static void push_plain(bh_script *s)
{
	s->stage = BH_STAGE_DELIVER;
	s->at_work = s->code;
	lua_rawgeti(s->thread, LUA_REGISTRYINDEX, s->code->functions[BH_STAGE_DELIVER]);
	bh_script_event_push(s->thread, s, &s->event);
	lua_pushinteger(s->thread, s->event.attempt);
	lua_setfield(s->thread, -2, "attempt");
	lua_rawgeti(s->thread, LUA_REGISTRYINDEX, s->settings->view);
	lua_rawgeti(s->thread, LUA_REGISTRYINDEX, s->host->remote);
	s->arguments = 3;
}

static void push_stages(bh_script *s)
{
	s->stage = BH_STAGE_LOADING;
	s->at_work = s->code;
	lua_pushcfunction(s->thread, bh_script_stages);
	bh_script_event_push(s->thread, s, &s->event);
	lua_rawgeti(s->thread, LUA_REGISTRYINDEX, s->settings->view);
	bh_script_settings_push_shown(s->settings, s->thread);
	lua_rawgeti(s->thread, LUA_REGISTRYINDEX, s->host->remote);
	s->arguments = 4;
}

/* Puts function and arguments on the run's stack. */
static void prepare(bh_script *s)
{
	bh_script_host *h = s->host;
	size_t before = h->box.used;

	if (bh_script_is_plain(s))
		push_plain(s);
	else
		push_stages(s);
	s->meter = (bh_meter){
		.steps = (int64_t)MIN(h->limits.instructions_max, (uint64_t)INT64_MAX),
		.memory = h->limits.memory_max - MIN(h->limits.memory_max, h->box.used - before),
		.largest = g_bytes_get_size(s->body),
		.collections = h->box.collections,
		.time = COMPUTE_MAX,
		.sliced = true,
	};
}

/* Who broke before it began: the file, or the webhook's own. */
static const char *trouble_of_code(const bh_script *s)
{
	if (s->code->trouble)
		return s->code->trouble;
	return s->own ? s->own->trouble : NULL;
}

/* An idle one has nothing of its last run left but what is small and set here: no need to wipe the headers of a call each time. */
static void start_afresh(bh_script *s)
{
	s->state = BH_SCRIPT_STATE_READY;
	s->meter = (bh_meter){0};
	s->calls = 0;
	s->call_kind = BH_CALL_DELIVERY;
	s->answer_table = NULL;
	s->is_transformed = false;
	s->is_judged = false;
	s->judged = (bh_script_judgement){0};
}

bh_script *bh_script_new(bh_script_host *h, const bh_script_job *job, GError **error)
{
	bh_script_code *code = g_hash_table_lookup(h->codes, job->method);
	if (!code) {
		g_set_error(error, BH_ERROR, BH_ERROR_NOT_FOUND,
			    "there is no method \"%.100s\": its file is gone or broken (`bellhop method list`)",
			    job->method);
		return NULL;
	}
	bh_script_settings *opened = bh_settings_cache_get(h->settings, code->method, job->settings, error);
	if (!opened) {
		g_prefix_error(error, "settings of method \"%s\": ", job->method);
		return NULL;
	}

	bh_script *s = take_script(h);
	start_afresh(s);
	s->code = bh_script_code_ref(code);
	s->own = job->script ? bh_own_scripts_get(h->own, job->script) : NULL;
	s->settings = opened;
	s->part = job->part;
	s->skips_accepts = job->skips_accepts;
	s->webhook = job->webhook;
	s->user = job->user;
	s->calls_max = h->limits.calls_max;
	copy_event(s, job->event);
	if (trouble_of_code(s))
		s->trouble = fit_text(s, g_strdup(trouble_of_code(s)));
	else
		prepare(s);
	return s;
}

/* --- A run ends ------------------------------------------------------------------------------- */

static bh_script_turn broke(bh_script *s, char *trouble)
{
	s->state = BH_SCRIPT_STATE_FINISHED;
	s->trouble = fit_text(s, trouble);
	return BH_SCRIPT_BROKE;
}

static bh_script_turn judged(bh_script *s)
{
	s->state = BH_SCRIPT_STATE_FINISHED;
	if (s->judged.why)
		s->judged.why = fit_text(s, s->judged.why);
	return BH_SCRIPT_RETURNED;
}

static bh_script_turn returned(bh_script *s)
{
	g_autofree char *what = NULL;

	if (s->is_judged)
		return judged(s);
	lua_settop(s->thread, 1); /* the first result, or nil */
	if (bh_remote_judge(s, 1, &what))
		return judged(s);
	return broke(
		s,
		g_strdup_printf(
			"%s:%d: deliver returned %s; it must return the answer of its last call, or what remote.delivered, "
			"remote.retry or remote.fail returns",
			s->code->file, s->code->lines[BH_STAGE_DELIVER], what));
}

/* --- Turns ---------------------------------------------------------------------------------------- */

static void stand_in_row(bh_script *s)
{
	s->state = BH_SCRIPT_STATE_QUEUED;
	g_queue_push_tail_link(&s->host->row, &s->turn);
}

static bh_script_turn later(bh_script *s)
{
	if (s->is_parking)
		s->state = BH_SCRIPT_STATE_PARKED;
	else
		stand_in_row(s);
	s->is_parking = false;
	return BH_SCRIPT_LATER;
}

static bh_script_turn calls(bh_script *s, bh_request *ret_call)
{
	s->state = BH_SCRIPT_STATE_WAITING;
	*ret_call = s->call;
	return BH_SCRIPT_CALLS;
}

static bool may_go_on(const bh_script *s, const bh_answer *answer)
{
	if (s->state == BH_SCRIPT_STATE_WAITING)
		return answer != NULL;
	return !answer && (s->state == BH_SCRIPT_STATE_READY || s->state == BH_SCRIPT_STATE_CALLED);
}

bh_script_turn bh_script_resume(bh_script *s, const bh_answer *answer, bh_request *ret_call)
{
	bh_script_host *h = s->host;
	int results = 0, arguments = s->state == BH_SCRIPT_STATE_READY ? s->arguments : 0;

	g_assert(may_go_on(s, answer));
	if (s->trouble) {
		s->state = BH_SCRIPT_STATE_FINISHED;
		return BH_SCRIPT_BROKE; /* the file itself does not run */
	}

	s->answer = answer;
	int status = bh_sandbox_resume(&h->box, s->thread, &s->meter, arguments, &results);
	if (status == LUA_YIELD && s->answer)
		bh_remote_settle_answer(h->box.lua, s);
	s->answer = NULL;

	if (s->meter.stop == BH_STOP_ASKED)
		return judged(s);
	if (s->meter.stop || (status != LUA_OK && status != LUA_YIELD))
		return broke(s, bh_sandbox_trouble(&h->box, s->thread, &s->meter, s->at_work->file));
	if (status == LUA_OK)
		return returned(s);
	return s->meter.is_paused || s->is_parking ? later(s) : calls(s, ret_call);
}

bh_script *bh_script_host_next(bh_script_host *h)
{
	GList *first = g_queue_pop_head_link(&h->row);
	if (!first)
		return NULL;
	bh_script *s = first->data;
	s->state = BH_SCRIPT_STATE_CALLED;
	return s;
}

bool bh_script_host_has_next(const bh_script_host *h)
{
	return h->row.length > 0;
}

size_t bh_script_host_row(const bh_script_host *h)
{
	return h->row.length;
}

bool bh_script_is_paused(const bh_script *s)
{
	return s->state == BH_SCRIPT_STATE_QUEUED;
}

int bh_script_park(lua_State *lua, lua_KContext context, lua_KFunction next)
{
	if (!lua_isyieldable(lua))
		return luaL_error(lua, "cannot wait inside string.gsub or table.sort");
	bh_script_of(lua)->is_parking = true;
	return lua_yieldk(lua, 0, context, next);
}

void bh_script_wake(bh_script *s)
{
	if (s->state == BH_SCRIPT_STATE_PARKED)
		stand_in_row(s);
}

int bh_script_end(lua_State *lua, const bh_script_judgement *judgement)
{
	bh_script *s = bh_script_of(lua);

	g_assert(!s->judged.why);
	s->judged = *judgement;
	s->judged.kind = BH_JUDGED_ENDED;
	s->judged.why = g_strdup(judgement->why);
	return bh_sandbox_end(lua);
}

/* --- Afterwards ----------------------------------------------------------------------------------- */

const bh_script_judgement *bh_script_judged(const bh_script *s)
{
	return &s->judged;
}

void bh_script_each_password(const bh_script *s, void (*each)(void *user, bh_span password), void *user)
{
	bh_script_settings_each_password(s->settings, each, user);
	bh_errand_each_password(s, each, user);
}

const char *bh_script_trouble(const bh_script *s)
{
	return s->trouble;
}

/* Lets go of what was this run's alone. */
static void forget(bh_script *s)
{
	if (s->token)
		bh_tokens_leave(s);
	if (s->state == BH_SCRIPT_STATE_QUEUED)
		g_queue_unlink(&s->host->row, &s->turn);
	g_clear_pointer(&s->judged.why, g_free);
	g_clear_pointer(&s->body, g_bytes_unref);
	g_clear_pointer(&s->trouble, g_free);
	g_clear_pointer(&s->code, bh_script_code_unref);
	g_clear_pointer(&s->own, bh_script_code_unref);
	g_clear_pointer(&s->settings, bh_script_settings_unref);
}

static void make_idle(bh_script *s)
{
	bh_script_host *h = s->host;

	lua_settop(s->thread, 0);
	lua_pushboolean(h->box.lua, false);
	lua_rawseti(h->box.lua, LUA_REGISTRYINDEX, s->answer_slot);
	g_ptr_array_add(h->idle, s);
}

void bh_script_free(bh_script *s)
{
	if (!s)
		return;

	bh_script_host *h = s->host;
	bh_meter ended = s->meter;
	bool is_clean = s->state == BH_SCRIPT_STATE_FINISHED && !s->trouble && !s->meter.stop;
	forget(s);
	if (is_clean && h->idle->len < IDLE_MAX)
		make_idle(s);
	else
		destroy_script(s); /* a coroutine that was left in the middle is not used again */
	bh_sandbox_tidy(&h->box, &ended);
}

GBytes *bh_script_body(const bh_script *s)
{
	return s->body;
}

void *bh_script_user(const bh_script *s)
{
	return s->user;
}

bh_call_kind bh_script_call_kind(const bh_script *s)
{
	return s->call_kind;
}
