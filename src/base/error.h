/*
 * What failed, for code that acts on it and for the person who reads it.
 *
 * The world failing us (disk, peer, bad setting) is a GError of this domain. A
 * receiver's answer is never one: it is data (see delivery/outcome.h).
 */
#pragma once

#include <glib.h>

#define BH_ERROR (bh_error_quark())
GQuark bh_error_quark(void);

typedef enum bh_error_code {
	BH_ERROR_BUSY,      /* not now: try again soon */
	BH_ERROR_NOT_FOUND, /* there is no such thing, or the asker may not know of it */
	BH_ERROR_CONFLICT,  /* somebody was first, or it contradicts what is there */
	BH_ERROR_INVALID,   /* the input is wrong: change it */
	BH_ERROR_DENIED,    /* the asker may not do this */
	BH_ERROR_LIMIT,     /* too much, too long, too deep */
	BH_ERROR_IO,        /* disk, file, socket */
	BH_ERROR_UNSURE,    /* the link broke during commit: read again before you act */
} bh_error_code;
