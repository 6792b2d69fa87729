/*
 * One line where something is decided, for the person on call:
 *
 *   bh_log(BH_INFO, "delivery", "attempt recorded",
 *          BH_ID("event", BH_ID_EVENT, event->id), BH_INT("attempt", 3), BH_STR("outcome", "failed"));
 *
 * prints  2026-11-25T14:51:02.123Z info delivery: attempt recorded event=evt_… attempt=3 outcome=failed
 * or one JSON object a line with the same names. Error: somebody must act. Warning: we
 * coped, and how. Info: a state changed. Debug: for whoever works on the room.
 *
 * Text from outside is escaped and cut to 256 bytes. Secrets, credentials and
 * guests' data are never passed here. Any thread; a line is written with one write().
 */
#pragma once

#include "base/id.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum bh_log_level { BH_ERR, BH_WARNING, BH_INFO, BH_DEBUG } bh_log_level;

typedef enum bh_log_kind { BH_LOG_STR, BH_LOG_INT, BH_LOG_ID } bh_log_kind;

typedef struct bh_log_field {
	const char *name;
	bh_log_kind kind;
	const char *text; /* BH_LOG_STR; NULL prints nothing */
	int64_t number;
	bh_id_kind id_kind;
} bh_log_field;

#define BH_STR(name_, text_) ((bh_log_field){.name = (name_), .kind = BH_LOG_STR, .text = (text_)})
#define BH_INT(name_, number_) ((bh_log_field){.name = (name_), .kind = BH_LOG_INT, .number = (number_)})
#define BH_ID(name_, kind_, id_) \
	((bh_log_field){.name = (name_), .kind = BH_LOG_ID, .number = (id_), .id_kind = (kind_)})

#define bh_log(level_, room_, what_, ...)                                                    \
	do {                                                                                 \
		if (bh_log_wants(level_)) {                                                  \
			const bh_log_field fields_[] = {__VA_ARGS__};                        \
			bh_log_line(level_, room_, what_, fields_, G_N_ELEMENTS(fields_));   \
		}                                                                            \
	} while (0)

/* Sets what is written, to file descriptor `fd` (2 at start, level info, plain). */
void bh_log_setup(bh_log_level least, bool json, int fd);
bool bh_log_wants(bh_log_level level);
void bh_log_line(bh_log_level level, const char *room, const char *what, const bh_log_field *fields, size_t count);

/* Reads "error", "warning", "info", "debug". */
bool bh_log_level_parse(const char *text, bh_log_level *ret_level);
