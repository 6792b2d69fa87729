/* Who there is, and what happens: events are handed over, receivers change their mood, disks and processes fail. */
#pragma once

#include "sim.h"

world *world_new(sim *s);
void world_free(world *w);

/* Managers, properties and webhooks, by a first process. */
void world_settle_in(world *w);

/* When something is about to happen. */
bh_mono world_next(const world *w);
void world_turn(world *w);

/* From now on nothing happens any more, and all receivers are well. What was not accepted is still handed over again. */
void world_calm_down(world *w);
/* Everything that was to be handed over is accepted. */
bool world_is_told(const world *w);

/* --- Between the world's files ------------------------------------------------------------------------------------ */

/* What somebody wants to tell the engine about: the same content each time that it is handed over. */
typedef struct news {
	unsigned number; /* makes the caller's id */
	const char *type;
	unsigned property, contract, room; /* contract POISON: whoever sends it dies */
	bh_mono again_at;
} news;

/* handover.c */
void world_tell(world *w, news *news); /* takes it */
void world_tell_again(world *w);       /* those whose time has come */
bh_mono world_tells_again_at(const world *w);
/* Lets the watcher judge the event anew and writes what comes of it into an entry of its own. */
void world_replay(world *w, bh_id event);

#define POISON 99

struct world {
	sim *sim;
	unsigned news_count;
	GQueue untold; /* news, to be handed over again */
	unsigned telling; /* handed over, not answered */
	bh_mono next_event, next_hand, next_mood, next_disaster;
	bh_mono start_at;   /* the process is started then; INT64_MAX: it runs */
	bh_mono outage_from, outage_until; /* the store refuses everything until then */
	bool unreadable;
	unsigned managers, properties; /* so many there are; ids count from 1 */
};
