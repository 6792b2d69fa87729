/* Own scripts of webhooks: what they want, what they make of a body, and how long they take. */
#pragma once

#include "sim.h"

#define ROOMS 3 /* events are about one of these */

typedef struct own_script {
	bool is_there;
	int unwanted;    /* events about this room are not wanted; -1: all are */
	bool transforms; /* a line is added at the end of the body */
} own_script;

char *script_draw(sim *s); /* the text of one drawn by chance; NULL: none */
own_script script_read(const char *text);
bool script_wants(const own_script *script, const bh_event *event);
bool script_has_made(bh_span body);
