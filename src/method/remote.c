/*
 * `remote`: what a method can do to the world, which is to ask for a request and to say what it thinks.
 *
 *   script                        host
 *   remote.post(url, ...) ------> run->call, the coroutine yields
 *                                 the loop makes the request
 *   an answer table <------------ run->answer, the coroutine goes on
 *
 * Most scripts hand the answer straight back. So its table is born empty and is filled from the bh_answer when it is first
 * looked into, or, as the bh_answer does not outlive the turn, when the next call is made.
 */
#include "base/error.h"
#include "method/script.h"

#include <lauxlib.h>
#include <openssl/evp.h>
#include <string.h>

#define ANSWER "answer"
#define JUDGEMENT "judgement"
#define URL_MAX 2048
#define CONTENT_TYPE_MAX 255
#define USER_MAX (4 * 1024)
#define HEADER_NAME_MAX 128
#define AFTER_MAX (7 * 24 * 3600) /* seconds; the schedule has its own, shorter limit */

/* --- Answers ---------------------------------------------------------------------------------- */

static bh_span next_line(bh_span *rest)
{
	const char *end = memchr(rest->at, '\n', rest->size);
	bh_span line = {rest->at, end ? (size_t)(end - rest->at) : rest->size};
	size_t taken = end ? line.size + 1 : line.size;

	rest->at += taken;
	rest->size -= taken;
	return line;
}

static bh_span trim(bh_span text)
{
	while (text.size > 0 && g_ascii_isspace(*text.at)) {
		text.at++;
		text.size--;
	}
	while (text.size > 0 && g_ascii_isspace(text.at[text.size - 1]))
		text.size--;
	return text;
}

/* Adds a header to the table on the top; a name that comes twice has its values joined (RFC 9110, 5.3). */
static void add_answer_header(lua_State *lua, bh_span name, bh_span value)
{
	char lower[HEADER_NAME_MAX];
	for (size_t i = 0; i < name.size; i++)
		lower[i] = g_ascii_tolower(name.at[i]);

	lua_pushlstring(lua, lower, name.size);
	lua_pushvalue(lua, -1);
	if (lua_rawget(lua, -3) == LUA_TNIL) {
		lua_pop(lua, 1);
		lua_pushlstring(lua, value.at, value.size);
	} else {
		lua_pushliteral(lua, ", ");
		lua_pushlstring(lua, value.at, value.size);
		lua_concat(lua, 3);
	}
	lua_rawset(lua, -3);
}

static void push_answer_headers(lua_State *lua, const bh_answer *answer)
{
	bh_span rest = answer->head ? (bh_span){answer->head->str, answer->head->len} : (bh_span){0};

	lua_newtable(lua);
	while (rest.size > 0) {
		bh_span line = next_line(&rest);
		const char *colon = memchr(line.at, ':', line.size);
		size_t name_size = colon ? (size_t)(colon - line.at) : 0;
		if (name_size == 0 || name_size > HEADER_NAME_MAX)
			continue;
		bh_span value = {colon + 1, line.size - name_size - 1};
		add_answer_header(lua, (bh_span){line.at, name_size}, trim(value));
	}
}

static void set_field(lua_State *lua, int table, const char *name)
{
	lua_pushstring(lua, name);
	lua_insert(lua, -2);
	lua_rawset(lua, table);
}

/* Copies the answer into its table at `table`. What is not there (no cause, no Retry-After) stays nil. */
static void fill_answer(lua_State *lua, int table, bh_script *run)
{
	const bh_answer *answer = run->answer;
	const GByteArray *body = answer->body;

	lua_pushinteger(lua, answer->status);
	set_field(lua, table, "status");
	lua_pushlstring(lua, body && body->len ? (const char *)body->data : "", body ? body->len : 0);
	set_field(lua, table, "body");
	push_answer_headers(lua, answer);
	set_field(lua, table, "headers");
	if (answer->cause != BH_CAUSE_NONE) {
		lua_pushstring(lua, bh_cause_name(answer->cause));
		set_field(lua, table, "cause");
	}
	if (answer->sentence[0]) {
		lua_pushstring(lua, answer->sentence);
		set_field(lua, table, "sentence");
	}
	if (answer->has_retry_after) {
		lua_pushnumber(lua, (lua_Number)answer->retry_after / BH_SECOND);
		set_field(lua, table, "retry_after");
	}
	run->answer = NULL;
}

/* Fills the table at `index` if it stands for the answer of this turn. */
static void fill_if_pending(lua_State *lua, int index)
{
	bh_script *run = bh_script_of(lua);
	if (run->answer && lua_topointer(lua, index) == run->answer_table)
		fill_answer(lua, index, run);
}

static int index_answer(lua_State *lua)
{
	lua_settop(lua, 2);
	fill_if_pending(lua, 1);
	lua_pushvalue(lua, 2);
	lua_rawget(lua, 1);
	return 1;
}

static int next_of_answer(lua_State *lua)
{
	lua_settop(lua, 2);
	return lua_next(lua, 1) ? 2 : 0;
}

static int pairs_of_answer(lua_State *lua)
{
	fill_if_pending(lua, 1);
	lua_pushcfunction(lua, next_of_answer);
	lua_pushvalue(lua, 1);
	return 2;
}

/* Before the run yields again, what it may still look into later must be its own. */
static void settle_answer(lua_State *lua, bh_script *run)
{
	if (!run->answer)
		return;
	lua_rawgeti(lua, LUA_REGISTRYINDEX, run->answer_slot);
	fill_answer(lua, lua_gettop(lua), run);
	lua_pop(lua, 1);
}

/* Where a call goes on after the wait. */
static int take_answer(lua_State *lua, int status, lua_KContext context)
{
	bh_script *run = bh_script_of(lua);

	lua_newtable(lua);
	luaL_setmetatable(lua, ANSWER);
	run->answer_table = lua_topointer(lua, -1);
	lua_pushvalue(lua, -1);
	lua_rawseti(lua, LUA_REGISTRYINDEX, run->answer_slot);
	return 1;
}

/* --- The headers of a call -------------------------------------------------------------------- */

static bool is_name(const char *a, const char *b)
{
	return g_ascii_strcasecmp(a, b) == 0;
}

/* Raises with the text of `error`, which is freed first: an error in Lua jumps over what C would clean up. */
static int raise_error(lua_State *lua, const char *function, GError *error)
{
	char why[300];
	g_strlcpy(why, error->message, sizeof why);
	g_error_free(error);
	return luaL_error(lua, "remote.%s: %s", function, why);
}

/* Unlike an owner's extra header, a script's may be a content type: the body is the script's, too. */
static bool is_content_type(const char *value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (value[i] < ' ' || value[i] > '~')
			return false;
	return size > 0 && size <= CONTENT_TYPE_MAX;
}

static void check_header(lua_State *lua, const char *function, const char *name, bh_span value)
{
	GError *error = NULL;

	if (is_name(name, "Content-Type")) {
		if (!is_content_type(value.at, value.size))
			luaL_error(lua, "remote.%s: the Content-Type is not one", function);
	} else if (!bh_header_check(name, value, &error)) {
		raise_error(lua, function, error);
	}
}

static bool has_header(const bh_script *run, int count, const char *name)
{
	size_t size = strlen(name);
	for (int i = 0; i < count; i++)
		if (!g_ascii_strncasecmp(run->headers[i], name, size) && run->headers[i][size] == ':')
			return true;
	return false;
}

/* Takes name and value from the top two places; leaves the line on the stack, where it lives as long as the call. */
static void add_header(lua_State *lua, const char *function, bh_script *run, int *count)
{
	if (lua_type(lua, -2) != LUA_TSTRING)
		luaL_error(lua, "remote.%s: `headers` must map names to texts", function);
	size_t name_size;
	const char *name = lua_tolstring(lua, -2, &name_size);
	if (lua_type(lua, -1) != LUA_TSTRING && !lua_isinteger(lua, -1))
		luaL_error(lua, "remote.%s: the header '%s' is a %s, not a text", function, name,
			   luaL_typename(lua, -1));
	bh_span value;
	value.at = lua_tolstring(lua, -1, &value.size);

	if (strlen(name) != name_size)
		luaL_error(lua, "remote.%s: a header's name holds a zero byte", function);
	check_header(lua, function, name, value);
	if (has_header(run, *count, name))
		luaL_error(lua, "remote.%s: the header '%s' is there twice", function, name);
	if (*count == BH_SCRIPT_HEADERS_MAX)
		luaL_error(lua, "remote.%s: more than %d headers", function, BH_SCRIPT_HEADERS_MAX);
	run->headers[(*count)++] = lua_pushfstring(lua, "%s: %s", name, value.at);
}

/* Reads options.headers (at the top) into run->headers. */
static void read_headers(lua_State *lua, const char *function, bh_script *run, bool has_body)
{
	int table = lua_gettop(lua), count = 0;

	if (!lua_isnil(lua, table)) {
		luaL_checkstack(lua, BH_SCRIPT_HEADERS_MAX + 8, "too many headers");
		if (!lua_istable(lua, table))
			luaL_error(lua, "remote.%s: `headers` must be a table", function);
		lua_pushnil(lua);
		while (lua_next(lua, table)) {
			add_header(lua, function, run, &count);
			lua_replace(lua, -2); /* the line stays where the value was */
			lua_insert(lua, -2); /* and below the key, from which the walk goes on */
		}
	}
	if (has_body && !has_header(run, count, "Content-Type")) {
		if (count == BH_SCRIPT_HEADERS_MAX)
			luaL_error(lua, "remote.%s: more than %d headers", function, BH_SCRIPT_HEADERS_MAX);
		run->headers[count++] = "Content-Type: application/json";
	}
	run->headers[count] = NULL;
}

/* --- A call ----------------------------------------------------------------------------------- */

static void check_options(lua_State *lua, const char *function, int options, const char *const *known)
{
	if (!lua_istable(lua, options))
		luaL_error(lua, "remote.%s: the options must be a table", function);
	lua_pushnil(lua);
	while (lua_next(lua, options)) {
		lua_pop(lua, 1);
		const char *name = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : luaL_typename(lua, -1);
		if (!g_strv_contains(known, name))
			luaL_error(lua, "remote.%s: unknown option '%s'", function, name);
	}
}

/* The text at `index`, which stays on the stack. Never shown in an error: it may be a secret put in the wrong place. */
static bh_span check_text(lua_State *lua, int index, const char *function, const char *what, size_t most)
{
	bh_span text = {0};

	if (lua_type(lua, index) != LUA_TSTRING)
		luaL_error(lua, "remote.%s: %s must be a text, not %s", function, what, luaL_typename(lua, index));
	text.at = lua_tolstring(lua, index, &text.size);
	if (text.size > most)
		luaL_error(lua, "remote.%s: %s is longer than %d bytes", function, what, (int)most);
	return text;
}

static const char *check_url(lua_State *lua, int index, const char *function)
{
	bh_span url = check_text(lua, index, function, "the URL", URL_MAX);
	for (size_t i = 0; i < url.size; i++)
		if ((unsigned char)url.at[i] <= ' ' || url.at[i] == 127)
			luaL_error(lua, "remote.%s: the URL holds a blank or a control character", function);
	return url.at;
}

/* The request in run->call, from url (at `url`, or `options.url`) and options; yields. */
static int make_call(lua_State *lua, const char *function, int options)
{
	bh_script *run = bh_script_of(lua);

	if (!lua_isyieldable(lua))
		return luaL_error(lua, "remote.%s: cannot be called from inside string.gsub or table.sort", function);
	if (run->calls == run->calls_max)
		return luaL_error(lua, "remote.%s: a delivery may make %d calls", function, (int)run->calls_max);
	settle_answer(lua, run);

	lua_getfield(lua, options, "body");
	bool has_body = !lua_isnil(lua, -1);
	run->call.body = has_body ? check_text(lua, -1, function, "the body", BH_SCRIPT_BODY_MAX) : (bh_span){0};
	if (has_body && is_name(run->call.verb, "GET"))
		return luaL_error(lua, "remote.%s: a GET has no body", function);
	lua_getfield(lua, options, "headers");
	read_headers(lua, function, run, has_body);
	run->call.headers = run->headers;
	run->calls++;
	return lua_yieldk(lua, 0, 0, take_answer);
}

/* remote.get(url, {headers=}), post and put (url, {body=, headers=}). Upvalues: the function's name, the verb. */
static int remote_verb(lua_State *lua)
{
	static const char *const known[] = {"body", "headers", NULL};
	const char *function = lua_tostring(lua, lua_upvalueindex(1));
	bh_script *run = bh_script_of(lua);

	lua_settop(lua, 2);
	if (lua_isnil(lua, 2)) {
		lua_newtable(lua);
		lua_replace(lua, 2);
	}
	check_options(lua, function, 2, known);
	run->call = (bh_request){.verb = lua_tostring(lua, lua_upvalueindex(2)), .url = check_url(lua, 1, function)};
	return make_call(lua, function, 2);
}

/* remote.request{verb=, url=, body=, headers=} */
static int remote_request(lua_State *lua)
{
	static const char *const known[] = {"verb", "url", "body", "headers", NULL};
	static const char *const verbs[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};
	bh_script *run = bh_script_of(lua);

	lua_settop(lua, 1);
	check_options(lua, "request", 1, known);
	lua_getfield(lua, 1, "verb");
	lua_getfield(lua, 1, "url");
	const char *verb = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "";
	if (!g_strv_contains(verbs, verb))
		return luaL_error(lua, "remote.request: the verb must be GET, POST, PUT, PATCH or DELETE");
	run->call = (bh_request){.verb = verb, .url = check_url(lua, 3, "request")};
	return make_call(lua, "request", 1);
}

/* --- Credentials ------------------------------------------------------------------------------ */

static void check_credential(lua_State *lua, bh_span text, const char *what, bool colon_allowed)
{
	for (size_t i = 0; i < text.size; i++) {
		if ((unsigned char)text.at[i] < ' ' || text.at[i] == 127)
			luaL_error(lua, "remote.basic: the %s holds a control character", what);
		if (text.at[i] == ':' && !colon_allowed)
			luaL_error(lua, "remote.basic: the %s holds a colon, which Basic authentication cannot send",
				   what);
	}
}

/* remote.basic(user, password): the value of an Authorization header, as UTF-8 (RFC 7617). */
static int remote_basic(lua_State *lua)
{
	bh_span user = check_text(lua, 1, "basic", "the user name", USER_MAX);
	bh_span password = check_text(lua, 2, "basic", "the password", USER_MAX);
	check_credential(lua, user, "user name", false);
	check_credential(lua, password, "password", true);

	unsigned char plain[2 * USER_MAX + 1], encoded[(2 * USER_MAX + 1) / 3 * 4 + 8];
	int size = (int)(user.size + 1 + password.size);
	memcpy(plain, user.at, user.size);
	plain[user.size] = ':';
	memcpy(plain + user.size + 1, password.at, password.size);

	int encoded_size = EVP_EncodeBlock(encoded, plain, size);
	lua_pushfstring(lua, "Basic %s", (const char *)encoded);
	explicit_bzero(plain, (size_t)size);
	explicit_bzero(encoded, (size_t)encoded_size);
	return 1;
}

/* --- Judgements ------------------------------------------------------------------------------- */

/* What remote.delivered, retry and fail return: nothing that a script could make or change itself. */
typedef struct judgement {
	int kind;
	bh_usec after;
} judgement; /* its user value is the text */

static bh_usec check_after(lua_State *lua, int index)
{
	if (lua_isnoneornil(lua, index))
		return -1;
	if (lua_type(lua, index) != LUA_TNUMBER)
		luaL_error(lua, "remote.retry: the time must be seconds, not a %s", luaL_typename(lua, index));
	lua_Number seconds = lua_tonumber(lua, index);
	if (!(seconds >= 0))
		luaL_error(lua, "remote.retry: the time must not be negative");
	return (bh_usec)(MIN(seconds, (lua_Number)AFTER_MAX) * BH_SECOND);
}

/* remote.delivered(note), retry(why, after_seconds), fail(why). Upvalues: the function's name, the kind. */
static int remote_judgement(lua_State *lua)
{
	const char *function = lua_tostring(lua, lua_upvalueindex(1));
	int kind = (int)lua_tointeger(lua, lua_upvalueindex(2));

	lua_settop(lua, 2);
	if (!lua_isnil(lua, 1) && lua_type(lua, 1) != LUA_TSTRING)
		return luaL_error(lua, "remote.%s: the reason must be a text, not a %s", function,
				  luaL_typename(lua, 1));
	if (!lua_isnil(lua, 2) && kind != BH_JUDGED_RETRY)
		return luaL_error(lua, "remote.%s: takes a reason and nothing else", function);
	bh_usec after = check_after(lua, 2);

	judgement *j = lua_newuserdatauv(lua, sizeof *j, 1);
	*j = (judgement){.kind = kind, .after = after};
	luaL_setmetatable(lua, JUDGEMENT);
	lua_pushvalue(lua, 1);
	lua_setiuservalue(lua, -2, 1);
	return 1;
}

static bool is_answer(lua_State *lua, int index)
{
	if (lua_type(lua, index) != LUA_TTABLE || !lua_getmetatable(lua, index))
		return false;
	luaL_getmetatable(lua, ANSWER);
	bool is = lua_rawequal(lua, -1, -2);
	lua_pop(lua, 2);
	return is;
}

static void take_judgement(bh_script *run, int index, const judgement *j)
{
	lua_getiuservalue(run->thread, index, 1);
	run->judged.kind = j->kind;
	run->judged.after = j->after;
	run->judged.why = g_strdup(lua_tostring(run->thread, -1));
	lua_pop(run->thread, 1);
}

bool bh_remote_judge(bh_script *run, int index, char **ret_what)
{
	lua_State *lua = run->thread;
	const judgement *j = luaL_testudata(lua, index, JUDGEMENT);

	run->judged = (bh_script_judgement){.kind = BH_JUDGED_BY_ANSWER, .after = -1};
	if (j) {
		take_judgement(run, index, j);
		return true;
	}
	if (!is_answer(lua, index)) {
		*ret_what = lua_isnil(lua, index) ? g_strdup("nothing")
						  : g_strdup_printf("a %s", luaL_typename(lua, index));
		return false;
	}
	if (lua_topointer(lua, index) == run->answer_table)
		return true;
	*ret_what = g_strdup("the answer of an earlier call");
	return false;
}

/* --- The table `remote` ----------------------------------------------------------------------- */

static const struct verb_function {
	const char *name, *verb;
} verb_functions[] = {
	{"get", "GET"},
	{"post", "POST"},
	{"put", "PUT"},
};

static const struct judging_function {
	const char *name;
	int kind;
} judging_functions[] = {
	{"delivered", BH_JUDGED_DELIVERED},
	{"retry", BH_JUDGED_RETRY},
	{"fail", BH_JUDGED_FAILED},
};

static void make_metatables(lua_State *lua)
{
	static const luaL_Reg answer[] = {{"__index", index_answer}, {"__pairs", pairs_of_answer}, {NULL, NULL}};

	luaL_newmetatable(lua, ANSWER);
	luaL_setfuncs(lua, answer, 0);
	luaL_newmetatable(lua, JUDGEMENT);
	lua_pop(lua, 2);
}

void bh_remote_push(lua_State *lua)
{
	make_metatables(lua);
	lua_newtable(lua);
	for (size_t i = 0; i < G_N_ELEMENTS(verb_functions); i++) {
		lua_pushstring(lua, verb_functions[i].name);
		lua_pushstring(lua, verb_functions[i].verb);
		lua_pushcclosure(lua, remote_verb, 2);
		lua_setfield(lua, -2, verb_functions[i].name);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(judging_functions); i++) {
		lua_pushstring(lua, judging_functions[i].name);
		lua_pushinteger(lua, judging_functions[i].kind);
		lua_pushcclosure(lua, remote_judgement, 2);
		lua_setfield(lua, -2, judging_functions[i].name);
	}
	lua_pushcfunction(lua, remote_request);
	lua_setfield(lua, -2, "request");
	lua_pushcfunction(lua, remote_basic);
	lua_setfield(lua, -2, "basic");
	bh_sandbox_make_view(lua);
}
