/*
 * What is no error in a method's file and yet surely not meant: a field that nothing looks at, a setting that no field has. Only
 * what is certain from the text is said; where a file reads its settings by computed names, nothing is of them. Pure.
 */
#pragma once

#include "method/method.h"

typedef struct bh_doubt {
	unsigned line; /* of the file, from 1 */
	char *text; /* a sentence */
} bh_doubt;

/* A GArray of bh_doubt, in the order of the file; it frees its texts. */
GArray *bh_method_doubts(const bh_method *method);
