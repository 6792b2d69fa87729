#include "scripts.h"

#include <stdio.h>
#include <string.h>

#define HEAD "-- unwanted %d transforms %d\n"
#define ADDED "\n"

char *script_draw(sim *s)
{
	int unwanted = (int)draw(s, ROOMS + 1) - 1;
	bool transforms = draw_one_of(s, 2);
	/* Some slices of work, so that its attempts wait for turns. */
	unsigned work = draw_one_of(s, 12) ? 50000 + draw(s, 100000) : 0;

	if (!draw_one_of(s, 3))
		return NULL;
	return g_strdup_printf(HEAD "local function work() for i = 1, %u do end end\n"
				    "return { accepts = function(event) work()\n"
				    "  return not event.body:find('\"room_uid\":%d}', 1, true) end,\n"
				    "  transform = function(event) work() return %s end }\n",
			       unwanted, transforms, work, unwanted, transforms ? "event.body .. '\\n'" : "nil");
}

own_script script_read(const char *text)
{
	own_script script = {.unwanted = -1};
	int transforms = 0;

	script.is_there = text && sscanf(text, HEAD, &script.unwanted, &transforms) == 2;
	script.transforms = transforms;
	return script;
}

bool script_wants(const own_script *script, const bh_event *event)
{
	static const char MEMBER[] = "\"room_uid\":";
	const char *found = g_strstr_len(event->data.at, (gssize)event->data.size, MEMBER);

	return !script->is_there || !found || g_ascii_strtoll(found + strlen(MEMBER), NULL, 10) != script->unwanted;
}

bool script_has_made(bh_span body)
{
	return body.size > 0 && body.at[body.size - 1] == ADDED[0];
}
