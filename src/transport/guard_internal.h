/* What the files of the guard, and the transport, say to each other. Inside transport/ only. */
#pragma once

#include "transport/guard.h"

/*
 * The spelling of a host that targets and settings share: lower case, no brackets, no dot at the end, an address in its
 * one canonical form. False: no such host can be (odd characters, a number that is no IPv4 address, not ASCII).
 */
bool bh_guard_tidy_host(char **host);

/* Judges what can be judged of a target before its name is looked up. NULL: go ahead, else the rule. */
const char *bh_guard_judge_target(const bh_guard *g, const bh_target *target);

/*
 * bh_guard_check_url, and the rule that refused; "url" for BH_ERROR_INVALID. NULL: passed. `trusted`: see bh_target, which
 * remembers it for the judgement at connect.
 */
const char *bh_guard_judge_url(const bh_guard *g, const char *url, bool trusted, bh_target *ret_target, GError **error);
