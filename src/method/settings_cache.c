#include "method/settings_cache.h"

#include "base/hash.h"
#include "method/forms.h"
#include "method/method_file.h"

#include <lauxlib.h>
#include <string.h>

#define SLOTS 1024 /* a power of two */

struct bh_settings_cache {
	bh_sandbox *box;
	const bh_sealer *sealer;
	bh_script_settings *slots[SLOTS]; /* the latest one that hashed there */
};

/* --- One entry -------------------------------------------------------------------------------- */

static void push_value(lua_State *lua, const bh_value *value)
{
	switch (value->kind) {
	case BH_VALUE_NONE:
		lua_pushnil(lua);
		return;
	case BH_VALUE_TEXT:
		lua_pushstring(lua, value->text);
		return;
	case BH_VALUE_SECRET: {
		bh_span bytes = bh_secret_bytes(value->secret);
		lua_pushlstring(lua, bytes.at, bytes.size);
		return;
	}
	case BH_VALUE_INTEGER:
		lua_pushinteger(lua, value->integer);
		return;
	case BH_VALUE_BOOLEAN:
		lua_pushboolean(lua, value->integer != 0);
		return;
	}
	g_assert_not_reached();
}

static int make_settings_view(bh_sandbox *box, const GArray *values, bool with_passwords)
{
	lua_State *lua = box->lua;

	lua_createtable(lua, 0, (int)values->len);
	for (guint i = 0; i < values->len; i++) {
		const bh_value *value = &g_array_index(values, bh_value, i);
		if (value->field->format == BH_FIELD_PASSWORD && !with_passwords)
			continue;
		push_value(lua, value);
		lua_setfield(lua, -2, value->field->key);
	}
	bh_sandbox_make_view(lua);
	return luaL_ref(lua, LUA_REGISTRYINDEX);
}

static bh_script_settings *open_settings(bh_settings_cache *cache, const bh_method *method, const char *stored,
					 GError **error)
{
	GArray *values = bh_settings_open(method, stored, cache->sealer, error);
	if (!values)
		return NULL;

	bh_script_settings *settings = g_new0(bh_script_settings, 1);
	*settings = (bh_script_settings){
		.refs = 1,
		.box = cache->box,
		.method = bh_method_ref((bh_method *)method),
		.stored = g_strdup(stored),
		.values = values,
		.view = make_settings_view(cache->box, values, true),
		.shown = LUA_NOREF,
	};
	return settings;
}

void bh_script_settings_unref(bh_script_settings *settings)
{
	if (!settings || --settings->refs > 0)
		return;
	luaL_unref(settings->box->lua, LUA_REGISTRYINDEX, settings->view); /* the allocator wipes what is collected */
	luaL_unref(settings->box->lua, LUA_REGISTRYINDEX, settings->shown);
	g_array_unref(settings->values);
	bh_method_unref(settings->method);
	g_free(settings->stored);
	bh_token_digest_clear(&settings->token);
	g_free(settings);
}

void bh_script_settings_push_shown(bh_script_settings *settings, lua_State *thread)
{
	if (settings->shown == LUA_NOREF)
		settings->shown = make_settings_view(settings->box, settings->values, false);
	lua_rawgeti(thread, LUA_REGISTRYINDEX, settings->shown);
}

/* --- The table -------------------------------------------------------------------------------- */

bh_settings_cache *bh_settings_cache_new(bh_sandbox *box, const bh_sealer *sealer)
{
	bh_settings_cache *cache = g_new0(bh_settings_cache, 1);
	cache->box = box;
	cache->sealer = sealer;
	return cache;
}

void bh_settings_cache_flush(bh_settings_cache *cache)
{
	for (size_t i = 0; i < SLOTS; i++)
		g_clear_pointer(&cache->slots[i], bh_script_settings_unref);
}

void bh_settings_cache_free(bh_settings_cache *cache)
{
	if (!cache)
		return;
	bh_settings_cache_flush(cache);
	g_free(cache);
}

bh_script_settings *bh_settings_cache_get(bh_settings_cache *cache, const bh_method *method, const char *stored,
					  GError **error)
{
	uint64_t hash = bh_hash(bh_span_of(stored));
	bh_script_settings **slot = &cache->slots[hash % SLOTS];

	if (!*slot || (*slot)->method != method || strcmp((*slot)->stored, stored) != 0) {
		bh_script_settings *fresh = open_settings(cache, method, stored, error);
		if (!fresh)
			return NULL;
		fresh->hash = hash;
		bh_script_settings_unref(*slot);
		*slot = fresh;
	}
	(*slot)->refs++;
	return *slot;
}

/* --- Hiding ----------------------------------------------------------------------------------- */

/* What a request line shows of a password that is a whole URL; size 0: it is none. */
static bh_span target_of(bh_span password)
{
	bool is_url = g_str_has_prefix(password.at, "https://") || g_str_has_prefix(password.at, "http://");
	const char *host = is_url ? strstr(password.at, "//") + 2 : NULL;
	const char *target = host ? strpbrk(host, "/?") : NULL;
	return target ? bh_span_of(target) : (bh_span){0};
}

void bh_script_settings_each_password(const bh_script_settings *settings, void (*each)(void *user, bh_span password),
				      void *user)
{
	for (guint i = 0; i < settings->values->len; i++) {
		const bh_value *value = &g_array_index(settings->values, bh_value, i);
		if (value->kind != BH_VALUE_SECRET)
			continue;
		bh_span password = bh_secret_bytes(value->secret), target = target_of(password);
		each(user, password);
		if (target.size > 0)
			each(user, target);
	}
}

size_t bh_script_settings_password_at(const bh_script_settings *settings, const char *text)
{
	size_t longest = 0;

	for (guint i = 0; i < settings->values->len; i++) {
		const bh_value *value = &g_array_index(settings->values, bh_value, i);
		if (value->kind != BH_VALUE_SECRET)
			continue;
		bh_span password = bh_secret_bytes(value->secret);
		if (password.size > longest && !strncmp(text, password.at, password.size))
			longest = password.size;
	}
	return longest;
}
