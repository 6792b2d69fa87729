/*
 * The judgement of a name at save. At connect it is made again, address by address, and only that one counts: a name may lead
 * elsewhere by then. But who saves a webhook that leads inward today shall hear of it today.
 */
#include "transport/guard.h"

#include "base/error.h"
#include "transport/address.h"
#include "transport/names.h"

#include <arpa/inet.h>
#include <netdb.h>

/* The name server's word that there is no such name; all else is trouble that may pass. */
static bool is_unknown(int trouble)
{
	return trouble == EAI_NONAME || trouble == EAI_NODATA;
}

static char *doubt(const char *host, bool over, int trouble)
{
	if (!over)
		return g_strdup_printf(
			"No name server told the address of \"%.120s\" in time. If it is right, deliveries will "
			"be tried all the same.",
			host);
	if (is_unknown(trouble))
		return g_strdup_printf(
			"The host \"%.120s\" is not known in the DNS: check the URL, or ask whoever runs that "
			"domain.",
			host);
	return g_strdup_printf(
		"The address of \"%.120s\" could not be looked up just now (%s). If it is right, deliveries "
		"will be tried all the same.",
		host, gai_strerror(trouble));
}

static void set_port(struct sockaddr_storage *s, unsigned port)
{
	if (s->ss_family == AF_INET6)
		((struct sockaddr_in6 *)s)->sin6_port = htons((in_port_t)port);
	else
		((struct sockaddr_in *)s)->sin_port = htons((in_port_t)port);
}

static bool judge(const bh_guard *g, const bh_target *target, struct sockaddr_storage address, GError **error)
{
	char text[BH_ADDRESS_TEXT_SIZE] = "?";
	bh_address a;
	unsigned port;

	set_port(&address, target->port);
	const char *rule = bh_guard_refuses(g, target, (struct sockaddr *)&address);
	if (!rule)
		return true;
	if (bh_address_of((struct sockaddr *)&address, &a, &port))
		bh_address_text(&a, text);
	g_set_error(error, BH_ERROR, BH_ERROR_DENIED, "%s: \"%s\" is refused, for it leads to %s. %s", rule,
		    target->host, text, bh_guard_rule_sentence(rule));
	return false;
}

bool bh_guard_check_name(const bh_guard *g, const bh_target *target, bh_usec timeout, char **ret_doubt, GError **error)
{
	bh_address literal;
	int trouble = 0;

	*ret_doubt = NULL;
	if (bh_address_read(target->host, &literal))
		return true; /* judged with the URL */
	g_autoptr(bh_lookup) lookup = bh_lookup_start(target->host, -1);
	bool over = bh_lookup_wait(lookup, timeout);
	const GArray *addresses = over ? bh_lookup_addresses(lookup, &trouble) : NULL;
	if (!addresses) {
		*ret_doubt = doubt(target->host, over, trouble);
		return true;
	}
	for (guint i = 0; i < addresses->len; i++)
		if (!judge(g, target, g_array_index(addresses, struct sockaddr_storage, i), error))
			return false;
	return true;
}
