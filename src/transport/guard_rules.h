/* What no webhook may reach unless the settings allow it: the table behind the guard. Inside transport/ only. */
#pragma once

#include "transport/address.h"

#include <stddef.h>

/* Rules that no prefix stands for. */
#define BH_RULE_URL "url"
#define BH_RULE_SCHEME "scheme"
#define BH_RULE_HTTPS "https"
#define BH_RULE_PORT "port"
#define BH_RULE_OWN "own-listener"

/* The rule that speaks against this address, looking at it alone and not at what it wraps. NULL: none. */
const char *bh_rule_of(const bh_address *a);

/*
 * Names that mean a fixed address everywhere, so that the check at save can speak before anything is looked up:
 * "localhost", "x.localhost", "metadata.google.internal". NULL: not such a name. Ends with NULL.
 */
const char *const *bh_rule_addresses_of_name(const char *host);

/* All rules with their sentences, ending with NULL: for the documentation's test. */
typedef struct bh_rule_text {
	const char *rule, *sentence;
} bh_rule_text;
extern const bh_rule_text BH_RULE_TEXTS[];

/* The prefixes of the table as text, for the same test. */
size_t bh_rule_prefix_count(void);
const char *bh_rule_prefix(size_t number);
