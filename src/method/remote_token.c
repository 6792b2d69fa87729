/*
 * remote.token and remote.fresh_token: an access token by OAuth2 client credentials.
 *
 *   the table that the script gives -> a request -> its place among the tokens -> a turn:
 *
 *   HAD        the text of the token
 *   NO_OTHER   nil: there is none but the one that was refused
 *   ASK        the run makes the request, and goes on with what comes of it
 *   WAIT       the run waits for the one that makes it, and goes on with what comes of that
 *   REFUSED    the run ends here
 *
 * Requests for the site's own API (lookup.c) go the same way.
 */
#include "method/remote.h"

#include "method/errand.h"
#include "method/settings_cache.h"
#include "method/token_answer.h"

#include <lauxlib.h>
#include <string.h>

#define TEXT_MAX (4 * 1024) /* bytes of one parameter */
#define EXTRA_NAME_MAX 128
#define REQUEST_MAX (64 * 1024) /* of all together */
#define STEPS_OF_REQUEST 50

/* --- The request, from the script's table: each reads the value on the top, which the table keeps alive --- */

static void read_url(lua_State *lua, const char *function, bh_token_request *r)
{
	r->url = bh_remote_check_url(lua, -1, function);
}

static void read_client_id(lua_State *lua, const char *function, bh_token_request *r)
{
	r->client_id = bh_remote_check_text(lua, -1, function, "client_id", TEXT_MAX);
}

static void read_client_secret(lua_State *lua, const char *function, bh_token_request *r)
{
	r->client_secret = bh_remote_check_text(lua, -1, function, "client_secret", TEXT_MAX);
}

static void read_scope(lua_State *lua, const char *function, bh_token_request *r)
{
	r->scope = bh_remote_check_text(lua, -1, function, "scope", TEXT_MAX);
}

static void read_audience(lua_State *lua, const char *function, bh_token_request *r)
{
	r->audience = bh_remote_check_text(lua, -1, function, "audience", TEXT_MAX);
}

static void read_credentials(lua_State *lua, const char *function, bh_token_request *r)
{
	static const char *const names[] = {"header", "header_raw", "body"};
	bh_span name = bh_remote_check_text(lua, -1, function, "credentials", TEXT_MAX);

	if (name.size == 0)
		return;
	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
		if (bh_span_is(name, names[i])) {
			r->credentials = (bh_credentials)i;
			return;
		}
	}
	luaL_error(lua, "remote.%s: credentials must be \"header\", \"header_raw\" or \"body\"", function);
}

static void add_resource(lua_State *lua, const char *function, bh_token_request *r)
{
	if (r->resources_count == BH_TOKEN_RESOURCES_MAX)
		luaL_error(lua, "remote.%s: more than %d resources", function, BH_TOKEN_RESOURCES_MAX);
	bh_span resource = bh_remote_check_text(lua, -1, function, "resource", TEXT_MAX);
	if (resource.size > 0)
		r->resources[r->resources_count++] = resource;
}

/* One text, or a list of them. */
static void read_resource(lua_State *lua, const char *function, bh_token_request *r)
{
	if (!lua_istable(lua, -1)) {
		add_resource(lua, function, r);
		return;
	}
	lua_Integer count = (lua_Integer)lua_rawlen(lua, -1);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(lua, -1, i);
		add_resource(lua, function, r);
		lua_pop(lua, 1);
	}
}

/* Those that have a member of their own here would be there twice. */
static void check_extra_name(lua_State *lua, const char *function, const char *name)
{
	static const char *const own[] = {"grant_type", "client_id", "client_secret", "scope", "audience",
					  "resource",   NULL};

	if (g_strv_contains(own, name))
		luaL_error(lua, "remote.%s: '%s' may not stand in `extra`", function, name);
}

static void read_extra(lua_State *lua, const char *function, bh_token_request *r)
{
	if (!lua_istable(lua, -1))
		luaL_error(lua, "remote.%s: extra must be a table of names and texts", function);
	lua_pushnil(lua);
	while (lua_next(lua, -2)) {
		bh_token_pair pair = {bh_remote_check_text(lua, -2, function, "a name in extra", EXTRA_NAME_MAX), {0}};
		check_extra_name(lua, function, pair.name.at);
		pair.value = bh_remote_check_text(lua, -1, function, "a value in extra", TEXT_MAX);
		if (r->extra_count == BH_TOKEN_EXTRA_MAX)
			luaL_error(lua, "remote.%s: more than %d parameters in extra", function, BH_TOKEN_EXTRA_MAX);
		r->extra[r->extra_count++] = pair;
		lua_pop(lua, 1);
	}
	bh_token_request_sort(r);
}

static const struct parameter {
	const char *name;
	void (*read)(lua_State *lua, const char *function, bh_token_request *r);
} parameters[] = {
	{"url", read_url},
	{"client_id", read_client_id},
	{"client_secret", read_client_secret},
	{"credentials", read_credentials},
	{"scope", read_scope},
	{"audience", read_audience},
	{"resource", read_resource},
	{"extra", read_extra},
};

/* The member whose name is below the top. */
static void read_parameter(lua_State *lua, const char *function, bh_token_request *r)
{
	const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : luaL_typename(lua, -2);

	for (size_t i = 0; i < G_N_ELEMENTS(parameters); i++) {
		if (!strcmp(parameters[i].name, name)) {
			parameters[i].read(lua, function, r);
			return;
		}
	}
	luaL_error(lua, "remote.%s: unknown option '%s'", function, name);
}

static bool has_control_character(bh_span text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.at[i] < ' ' || text.at[i] == 127)
			return true;
	return false;
}

/* What is not encoded must fit as it is (RFC 7617). */
static void check_raw(lua_State *lua, const char *function, const bh_token_request *r)
{
	if (memchr(r->client_id.at, ':', r->client_id.size))
		luaL_error(lua, "remote.%s: the client id holds a colon, which \"header_raw\" cannot send", function);
	if (has_control_character(r->client_id) || has_control_character(r->client_secret))
		luaL_error(lua,
			   "remote.%s: client id or secret hold a control character, which \"header_raw\" cannot send",
			   function);
}

static size_t size_of(const bh_token_request *r)
{
	size_t size = r->url.size + r->client_id.size + r->client_secret.size + r->scope.size + r->audience.size;

	for (unsigned i = 0; i < r->resources_count; i++)
		size += r->resources[i].size;
	for (unsigned i = 0; i < r->extra_count; i++)
		size += r->extra[i].name.size + r->extra[i].value.size;
	return size;
}

/* One walk through the table: it is read for every event. */
static void read_request(lua_State *lua, const char *function, bh_token_request *ret)
{
	*ret = (bh_token_request){.credentials = BH_CREDENTIALS_HEADER};
	if (!lua_istable(lua, 1))
		luaL_error(lua, "remote.%s: the options must be a table", function);
	lua_pushnil(lua);
	while (lua_next(lua, 1)) {
		read_parameter(lua, function, ret);
		lua_pop(lua, 1);
	}
	if (ret->url.size == 0)
		luaL_error(lua, "remote.%s: url is missing", function);
	if (ret->client_id.size == 0)
		luaL_error(lua, "remote.%s: client_id is missing", function);
	if (ret->credentials == BH_CREDENTIALS_HEADER_RAW)
		check_raw(lua, function, ret);
	if (size_of(ret) > REQUEST_MAX)
		luaL_error(lua, "remote.%s: the parameters are longer than %d bytes", function, REQUEST_MAX);
	bh_sandbox_spend(lua, STEPS_OF_REQUEST + size_of(ret) / 8);
}

static void request_of_script(lua_State *lua, bh_script *run, bh_token_request *ret)
{
	read_request(lua, "token", ret);
}

/* --- Asking the service ----------------------------------------------------------------------- */

static int go_on(lua_State *lua, lua_KContext context);

static void hide_credential(void *errand, bh_span credential)
{
	bh_errand_hide(errand, credential);
}

/* What the service says goes to all who wait, so what it repeats of the request is hidden here. */
static void refuse(bh_script *run, const bh_token_answer *read, bh_usec retry_after)
{
	bh_errand *errand = run->token;
	g_autofree char *sentence = bh_errand_masked(errand, read->sentence);

	bh_token_refused(&errand->claim, read->cause, sentence, retry_after, bh_script_now(run).mono);
}

static void hear(bh_script *run, const bh_answer *answer)
{
	bh_errand *errand = run->token;
	bh_token_answer read;

	bh_token_answer_each_credential(answer, hide_credential, errand);
	bh_token_answer_read(answer, &read);
	if (read.token)
		bh_token_granted(&errand->claim, read.token, read.life, bh_script_now(run).mono);
	else
		refuse(run, &read, answer->has_retry_after ? answer->retry_after : 0);
	bh_token_answer_clear(&read);
}

/*
 * The answer is heard before anything that may raise, or those who wait for it would have to ask again. A run that
 * was woken to ask in another one's stead has no answer.
 */
static int resumed(lua_State *lua, int status, lua_KContext context)
{
	bh_script *run = bh_script_of(lua);
	const bh_answer *answer = run->answer;

	run->answer = NULL; /* no table stands for it */
	if (answer)
		hear(run, answer);
	return go_on(lua, context);
}

static void write_call(bh_script *run, const bh_token_request *r)
{
	bh_errand *errand = run->token;
	unsigned count = 0;

	bh_secret_unref(errand->form);
	bh_secret_unref(errand->header);
	errand->form = bh_token_request_form(r);
	errand->header = bh_token_request_header(r);
	g_autoptr(bh_secret) encoded = bh_token_request_encoded_secret(r);
	bh_errand_hide(errand, r->client_secret);
	bh_errand_hide(errand, bh_secret_bytes(encoded));

	run->headers[count++] = "Content-Type: application/x-www-form-urlencoded";
	run->headers[count++] = "Accept: application/json";
	if (errand->header)
		run->headers[count++] = bh_secret_bytes(errand->header).at;
	run->headers[count] = NULL;
	run->call = (bh_request){.verb = "POST",
				 .url = r->url.at,
				 .body = bh_secret_bytes(errand->form),
				 .headers = run->headers,
				 .trusted = errand->way->kind == BH_CALL_LOOKUP};
	run->call_kind = errand->way->kind;
}

static int ask(lua_State *lua, bh_script *run)
{
	const bh_errand *errand = run->token;
	bh_token_request request;

	errand->way->request(lua, run, &request);
	bh_remote_settle_answer(lua, run);
	write_call(run, &request);
	return lua_yieldk(lua, 0, 0, resumed);
}

static int go_on(lua_State *lua, lua_KContext context)
{
	bh_script *run = bh_script_of(lua);
	bh_errand *errand = run->token;

	switch (errand->claim.turn) {
	case BH_TOKEN_ASK:
		return ask(lua, run);
	case BH_TOKEN_WAIT:
		bh_remote_settle_answer(lua, run);
		return bh_script_park(lua, 0, resumed);
	case BH_TOKEN_HAD:
		bh_errand_got(errand, errand->claim.place, errand->claim.token);
		break;
	case BH_TOKEN_NO_OTHER:
	case BH_TOKEN_REFUSED:
		break;
	}
	return errand->way->then(lua, run);
}

int bh_remote_want_token(lua_State *lua, const char *function, const bh_token_errand *way, const bh_token_key *key,
			 uint64_t version)
{
	bh_script *run = bh_script_of(lua);
	bh_errand *errand = bh_errand_of(run);
	bh_mono now = bh_script_now(run).mono;

	if (!lua_isyieldable(lua))
		return luaL_error(lua, "remote.%s: cannot be called from inside string.gsub or table.sort", function);
	if (errand->got_count == BH_ERRAND_TOKENS_MAX)
		return luaL_error(lua, "remote.%s: a delivery may get %d tokens", function, BH_ERRAND_TOKENS_MAX);
	bh_token_leave(&errand->claim);
	errand->claim.user = run;
	errand->way = way;
	bh_token_place *place = bh_tokens_place(bh_script_tokens(run), key, version, now);
	bh_secret *refused = way->is_fresh ? bh_errand_latest(errand, place) : NULL;
	(void)bh_token_want(place, refused, now, &errand->claim); /* its turn is in the claim */
	bh_token_place_unref(place);
	return go_on(lua, 0);
}

/* --- The functions ----------------------------------------------------------------------------- */

static int give_to_script(lua_State *lua, bh_script *run)
{
	const bh_token_claim *claim = &bh_errand_of(run)->claim;

	if (claim->turn == BH_TOKEN_REFUSED)
		return bh_script_end(lua, &(bh_script_judgement){.why = claim->refusal.sentence,
								 .after = claim->refusal.after,
								 .cause = claim->refusal.cause,
								 .was_asked = claim->refusal.was_asked});
	if (claim->turn == BH_TOKEN_NO_OTHER) {
		lua_pushnil(lua);
		return 1;
	}
	bh_span token = bh_secret_bytes(claim->token);
	lua_pushlstring(lua, token.at, token.size);
	return 1;
}

static const bh_token_errand ANY = {.kind = BH_CALL_TOKEN, .request = request_of_script, .then = give_to_script};
static const bh_token_errand FRESH = {
	.kind = BH_CALL_TOKEN, .is_fresh = true, .request = request_of_script, .then = give_to_script};

static int want(lua_State *lua, const char *function, const bh_token_errand *way)
{
	bh_script *run = bh_script_of(lua);
	bh_token_key key = {.webhook = run->webhook};
	bh_token_request request;

	lua_settop(lua, 1);
	read_request(lua, function, &request);
	bh_token_digest_find(&run->settings->token, &request, bh_tokens_hash(bh_script_tokens(run)), key.digest);
	return bh_remote_want_token(lua, function, way, &key, run->settings->hash);
}

int bh_remote_token(lua_State *lua)
{
	return want(lua, "token", &ANY);
}

int bh_remote_fresh_token(lua_State *lua)
{
	return want(lua, "fresh_token", &FRESH);
}
