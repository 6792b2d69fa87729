/* The event, as a script sees it. */
#include "method/script.h"

static void set_text(lua_State *lua, const char *name, const char *text)
{
	if (!text)
		return;
	lua_pushstring(lua, text);
	lua_setfield(lua, -2, name);
}

void bh_script_event_push(lua_State *lua, bh_script *run, const bh_script_event *event)
{
	char when[BH_TIME_TEXT_SIZE];
	gsize size;
	const char *body = g_bytes_get_data(event->body, &size);

	lua_createtable(lua, 0, 8);
	set_text(lua, "id", event->id);
	set_text(lua, "type", event->type);
	set_text(lua, "property_id", event->property_id);
	set_text(lua, "manager_id", event->manager_id);
	set_text(lua, "occurred_at", bh_time_text(event->occurred_at, when));
	lua_pushlstring(lua, size ? body : "", size);
	lua_setfield(lua, -2, "body");
	lua_pushboolean(lua, run->skips_accepts);
	lua_setfield(lua, -2, "test");
}
