#include "serve/files.h"

#include "base/log.h"

#include <sys/resource.h>

#define FILES_OF_THE_HOUSE 64 /* the store's writer, the listener, the log, and what libraries open in passing */
#define FILES_A_THREAD 8 /* a reader of the store, epoll, eventfd */
#define FILES_AN_ATTEMPT 3 /* a connection and an idle one, or the pair that a look-up of a name is awaited with */
#define API_SHARE 4 /* the API's least part of the files, when there are far too few */

static int64_t limit_raised_to(int64_t needed)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return needed;
	if (limit.rlim_cur >= (rlim_t)needed)
		return needed;
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)needed);
	return (int64_t)(setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before);
}

void bh_files_share(bh_settings *settings)
{
	int64_t house = FILES_OF_THE_HOUSE + FILES_A_THREAD * (settings->api_threads + settings->delivery_loops);
	int64_t attempts = FILES_AN_ATTEMPT * settings->in_flight_max;
	int64_t needed = house + attempts + settings->connections_max;
	int64_t limit = limit_raised_to(needed);

	if (limit >= needed)
		return;
	int64_t spare = MAX(0, limit - house), most = MAX(spare - attempts, spare / API_SHARE);
	settings->connections_max = CLAMP(most, 1, settings->connections_max);
	bh_log(BH_WARNING, "serve",
	       "too few files may be open at a time: connections_max is lowered; raise `ulimit -n`",
	       BH_INT("limit", limit), BH_INT("needed", needed), BH_INT("connections_max", settings->connections_max));
}
