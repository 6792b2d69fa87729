/* How far a long task is: one line that is written over itself on a terminal. */
#pragma once

#include "base/time.h"
#include "cli/table.h"

typedef struct bh_progress {
	int64_t done, total;
	int64_t per_second; /* 0: unknown, and then no time is told */
} bh_progress;

/* "[######----------]  1234 of 5000  about 3 min left", at most `width` columns. Pure. */
void bh_progress_line(const bh_progress *progress, int width, GString *out);

/* What is left at this rate: "about 3 min"; NULL: nobody can tell. New text. */
char *bh_progress_left(const bh_progress *progress);
