/*
 * Sending: loops of one thread each, every webhook in one of them.
 *
 * A loop is told by the journal what became durable, asks its scheduler what may be sent now, makes attempts of
 * it, and hands their records back to the journal.
 */
#pragma once

#include "base/seal.h"
#include "base/settings.h"
#include "directory/directory.h"
#include "journal/journal.h"
#include "method/method.h"
#include "store/store.h"
#include "transport/guard.h"
#include "transport/transport.h"

typedef struct bh_loops bh_loops;

typedef struct bh_loops_rooms {
	bh_store *store;
	bh_directory *directory;
	const bh_sealer *sealer;
	const char *data_dir; /* the flight record lies there */
	size_t recording_max; /* outcomes of one loop not yet on disk, beyond which it sends nothing new; 0: 4096 */
	const bh_wire *wire;  /* how requests go out; NULL: by libcurl */
	unsigned turns_max;   /* scripts that one turn of a loop resumes; 0: as many as it has time for, but 64 */
	uint64_t seed;        /* of jitter; 0: drawn from the system */
} bh_loops_rooms;

/* Makes the loops, without threads yet. What is in `rooms` outlives them; references are taken of guard and methods. */
bh_loops *bh_loops_new(const bh_loops_rooms *rooms, const bh_settings *settings, bh_guard *guard, bh_methods *methods,
                       GError **error);

/* What the journal must tell. Good before bh_loops_start. */
bh_journal_listener bh_loops_listener(bh_loops *loops);

/*
 * Records what was in flight when the last process died, as attempts with outcome "unknown"; a delivery that was
 * in flight at three unclean stops is set aside as exhausted. Part of bh_loops_start.
 */
bool bh_loops_record_left(bh_loops *loops, bh_journal *journal, GError **error);

/*
 * Records what was in flight when the last process died, sweeps what belongs to disabled and
 * removed webhooks, opens the lanes and starts the threads.
 */
bool bh_loops_start(bh_loops *loops, bh_journal *journal, GError **error);

/*
 * Before the start, and after a reload: what is under way finishes with the old ones. `lookup` (copied; NULL: nowhere) is where the
 * details of events are looked up.
 */
void bh_loops_use(bh_loops *loops, const bh_settings *settings, bh_guard *guard, bh_methods *methods,
		  const bh_lookup_config *lookup);

/* Sends nothing new, lets what is in flight end within its time-out, waits for its records, ends the threads. */
void bh_loops_stop(bh_loops *loops);

/*
 * In place of start and stop, for a simulation that turns the loops itself, with a journal opened by hand: see
 * bh_loops_at in loop.h. Asked to stop, a loop says when it is done.
 */
bool bh_loops_prepare(bh_loops *loops, bh_journal *journal, GError **error);
void bh_loops_ask_to_stop(bh_loops *loops);
void bh_loops_free(bh_loops *loops);

/* When a webhook with this run of failures would be disabled if every attempt went on failing; 0: not foreseeable. Pure. */
bh_usec bh_delivery_disables_at(const bh_streak *streak, const bh_settings *settings);

/* Appends the room's metrics in Prometheus' text form. Any thread. */
void bh_loops_metrics(bh_loops *loops, GString *out);
