#include "base/steady.h"

#include <pthread.h>

static bh_now start;
static pthread_once_t started = PTHREAD_ONCE_INIT;

static void take_start(void)
{
	start = bh_clock_now();
}

void bh_clock_steady_restart(void)
{
	pthread_once(&started, take_start);
	take_start();
}

bh_usec bh_clock_steady(bh_mono now)
{
	pthread_once(&started, take_start);
	return start.wall + bh_mono_since(now, start.mono);
}

bh_now bh_clock_steady_now(void)
{
	bh_mono mono = bh_clock_mono();
	return (bh_now){.wall = bh_clock_steady(mono), .mono = mono};
}
