/*
 * remote.lookup: the details of an event that brings none, from the site's own API.
 *
 *   the event has details --------------------------------------------> these
 *   no API is named, or the event lacks what its URL names -----------> nil
 *   [token] -> GET -> 2xx --------------------------------------------> member `data` of the answer, or all of it
 *                     404, 410 ---------------------------------------> nil
 *                     401, 403, the first time -> another token -> GET
 *                     anything else ----------------------------------> the run ends here
 *
 * What is asked for is a matter of the event as it came, not of the table that the script hands over: the site's credentials
 * open more than one manager's data.
 */
#include "base/error.h"
#include "method/errand.h"
#include "method/lookup_url.h"
#include "method/lua_libs.h"
#include "method/remote.h"

#include <lauxlib.h>

/* --- Where ------------------------------------------------------------------------------------ */

bool bh_lookup_config_check(const bh_lookup_config *config, GError **error)
{
	if (config->url && !bh_lookup_url_check(config->url, error))
		return false;
	if (!config->token_url || (config->client_id && config->client_secret.size > 0))
		return true;
	g_set_error(error, BH_ERROR, BH_ERROR_INVALID,
		    "lookup_token_url needs lookup_client_id and lookup_client_secret_file");
	return false;
}

/* A copy keeps the secret's span within a bh_secret, which it finds again behind itself. */
typedef struct copy {
	bh_lookup_config config; /* first */
	bh_secret *secret;
} copy;

bh_lookup_config *bh_lookup_config_copy(const bh_lookup_config *config)
{
	if (!config)
		return NULL;
	copy *c = g_new0(copy, 1);
	c->secret = bh_secret_new(config->client_secret.at, config->client_secret.size);
	c->config = (bh_lookup_config){
		.url = g_strdup(config->url),
		.token_url = g_strdup(config->token_url),
		.client_id = g_strdup(config->client_id),
		.client_secret = bh_secret_bytes(c->secret),
	};
	return &c->config;
}

void bh_lookup_config_free(bh_lookup_config *config)
{
	copy *c = (copy *)config;
	if (!c)
		return;
	bh_secret_unref(c->secret);
	g_free((char *)c->config.url);
	g_free((char *)c->config.token_url);
	g_free((char *)c->config.client_id);
	g_free(c);
}

/* What is to be asked, as the run's errand keeps it. NULL: nothing. */
static const char *find_url(bh_script *run)
{
	const bh_script_lookup *lookup = bh_script_lookup_config(run);
	const bh_script_event *event = &run->event;
	bh_errand *errand = bh_errand_of(run);

	g_clear_pointer(&errand->url, g_free);
	if (lookup->url)
		errand->url = bh_lookup_url_fill(lookup->url, &(bh_lookup_subject){.event_id = event->id,
										   .type = event->type,
										   .property_id = event->property_id,
										   .manager_id = event->manager_id,
										   .data = event->data});
	return errand->url;
}

/* --- The answer ------------------------------------------------------------------------------- */

static int end(lua_State *lua, const char *sentence, bh_usec after)
{
	return bh_script_end(
		lua, &(bh_script_judgement){
			     .why = (char *)sentence, .after = after, .cause = BH_CAUSE_LOOKUP, .was_asked = true});
}

static int end_with_answer(lua_State *lua, const bh_answer *answer)
{
	bh_usec after = answer->has_retry_after ? answer->retry_after : -1;
	char sentence[400];

	if (answer->status > 0)
		g_snprintf(sentence, sizeof sentence, "The details could not be looked up: the answer was %d.",
			   answer->status);
	else
		g_snprintf(sentence, sizeof sentence, "The details could not be looked up. %s", answer->sentence);
	return end(lua, sentence, after);
}

/* Pushes the details that the answer holds. */
static int push_details(lua_State *lua, const bh_answer *answer)
{
	bh_span body = {answer->body ? (const char *)answer->body->data : NULL, answer->body ? answer->body->len : 0};

	if (answer->body_cut && body.size < BH_ANSWER_KEPT_MAX)
		return end(lua, "The details could not be looked up: the answer broke off before its end.", -1);
	if (answer->body_cut)
		return end(lua, "The details could not be looked up: the answer is too long.", -1);
	if (!bh_lua_json_decode(lua, body))
		return end(lua, "The details could not be looked up: the answer is no JSON.", -1);
	if (lua_istable(lua, -1) && lua_getfield(lua, -1, "data") == LUA_TNIL)
		lua_pop(lua, 1);
	return 1;
}

static int get(lua_State *lua, bh_script *run);
static int want_token(lua_State *lua, bh_script *run, bool is_fresh);

static bool refuses_token(const bh_answer *answer)
{
	return answer->status == 401 || answer->status == 403;
}

static int answered(lua_State *lua, int status, lua_KContext context)
{
	bh_script *run = bh_script_of(lua);
	const bh_answer *answer = run->answer;
	const bh_script_lookup *lookup = bh_script_lookup_config(run);

	run->answer = NULL; /* no table stands for it */
	if (answer->status >= 200 && answer->status < 300)
		return push_details(lua, answer);
	if (answer->status == 404 || answer->status == 410) {
		lua_pushnil(lua);
		return 1;
	}
	bh_errand *errand = run->token;
	if (refuses_token(answer) && !errand->is_second && lookup->token_url) {
		errand->is_second = true;
		return want_token(lua, run, true);
	}
	return end_with_answer(lua, answer);
}

/* --- The request ------------------------------------------------------------------------------ */

static int get(lua_State *lua, bh_script *run)
{
	bh_secret *token = bh_errand_of(run)->claim.token;
	const char *url = find_url(run);
	unsigned count = 0;

	if (!url) { /* a reload took it away meanwhile */
		lua_pushnil(lua);
		return 1;
	}
	bh_remote_settle_answer(lua, run);
	run->headers[count++] = "Accept: application/json";
	if (token)
		run->headers[count++] = lua_pushfstring(lua, "Authorization: Bearer %s", bh_secret_bytes(token).at);
	run->headers[count] = NULL;
	run->call = (bh_request){.verb = "GET", .url = url, .headers = run->headers, .trusted = true};
	run->call_kind = BH_CALL_LOOKUP;
	return lua_yieldk(lua, 0, 0, answered);
}

/*
 * The URL is copied: a reload may change the settings before the answer comes. If it took them away while the run waited, the run
 * is over: a script that went on would keep those waiting to whom it owes the token.
 */
static void request_of_site(lua_State *lua, bh_script *run, bh_token_request *ret)
{
	const bh_script_lookup *lookup = bh_script_lookup_config(run);

	bh_errand *errand = bh_errand_of(run);
	if (!lookup->token_url)
		end(lua, "The details could not be looked up: the settings have changed meanwhile.", -1);
	g_free(errand->url);
	errand->url = g_strdup(lookup->token_url);
	*ret = (bh_token_request){.url = bh_span_of(errand->url),
				  .client_id = bh_span_of(lookup->client_id),
				  .client_secret =
					  lookup->client_secret ? bh_secret_bytes(lookup->client_secret) : (bh_span){0},
				  .credentials = BH_CREDENTIALS_BODY};
}

static int with_token(lua_State *lua, bh_script *run)
{
	const bh_token_claim *claim = &bh_errand_of(run)->claim;
	char sentence[600];

	if (claim->turn == BH_TOKEN_HAD)
		return get(lua, run);
	if (claim->turn == BH_TOKEN_NO_OTHER)
		return end(lua, "The details could not be looked up: the site's API refuses the access token.", -1);
	g_snprintf(sentence, sizeof sentence, "The details could not be looked up. %s", claim->refusal.sentence);
	return bh_script_end(lua, &(bh_script_judgement){.why = sentence,
							 .after = claim->refusal.after,
							 .cause = BH_CAUSE_LOOKUP,
							 .was_asked = claim->refusal.was_asked});
}

static const bh_token_errand ANY = {.kind = BH_CALL_LOOKUP, .request = request_of_site, .then = with_token};
static const bh_token_errand FRESH = {
	.kind = BH_CALL_LOOKUP, .is_fresh = true, .request = request_of_site, .then = with_token};

static int want_token(lua_State *lua, bh_script *run, bool is_fresh)
{
	bh_token_key key = {.webhook = 0}; /* the site's own */
	bh_token_request request;

	request_of_site(lua, run, &request);
	bh_token_request_digest(&request, bh_tokens_hash(bh_script_tokens(run)), key.digest);
	return bh_remote_want_token(lua, "lookup", is_fresh ? &FRESH : &ANY, &key, 0);
}

int bh_remote_lookup(lua_State *lua)
{
	bh_script *run = bh_script_of(lua);
	const bh_script_lookup *lookup = bh_script_lookup_config(run);

	lua_settop(lua, 1);
	if (!lua_istable(lua, 1))
		return luaL_error(lua, "remote.lookup: wants the event");
	if (lua_getfield(lua, 1, "details") != LUA_TNIL)
		return 1;
	if (!find_url(run))
		return 1; /* the nil */
	bh_errand *errand = bh_errand_of(run);
	if (!lua_isyieldable(lua))
		return luaL_error(lua, "remote.lookup: cannot be called from inside string.gsub or table.sort");
	if (errand->lookups == BH_ERRAND_LOOKUPS_MAX)
		return luaL_error(lua, "remote.lookup: a delivery may look up %d times", BH_ERRAND_LOOKUPS_MAX);
	errand->lookups++;
	errand->is_second = false;
	if (lookup->token_url)
		return want_token(lua, run, false);
	bh_token_leave(&errand->claim); /* and with it a token that the script asked for: it is not for the site */
	return get(lua, run);
}
