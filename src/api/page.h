/*
 * Lists in pages, by key and never by offset. A cursor is the key of the last row that was shown, signed together
 * with what was asked (list, filters, whose scope): altered, or handed in elsewhere, it is refused.
 */
#pragma once

#include "api/call.h"

typedef struct bh_page {
	size_t limit;
	char *after; /* key of the last row shown; NULL: from the start */
	int64_t number; /* the same as a number, for lists whose key is one; 0: from the start */
} bh_page;

/* From the parameters `limit` and `cursor`. False: the call is answered. */
bool bh_page_read(bh_call *call, bh_page *ret_page);
/* Checks of filters; what is not given passes. False: the call is answered. */
bool bh_check_site_id(bh_call *call, const char *name);
bool bh_check_id(bh_call *call, const char *name, bh_id_kind kind, bh_id *ret); /* 0: not given */

void bh_page_clear(bh_page *page);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(bh_page, bh_page_clear)

/* Opens {"data":[ ... */
GString *bh_page_open(void);
/* ... and closes it, with the cursor after `key` (NULL: this was the last page), as the call's answer. */
void bh_page_close(bh_call *call, GString *out, const char *key);
/* The same for a page with members of its own, once the caller has closed the rows and written them. */
void bh_page_end(bh_call *call, GString *out, const char *key);
void bh_page_close_at(bh_call *call, GString *out, int64_t number); /* 0: the last page */
