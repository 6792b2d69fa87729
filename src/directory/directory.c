#include "directory/directory.h"

#include <pthread.h>

/* The lock is held for the few instructions that read or swap the pointer, never over work. */
struct bh_directory {
	pthread_mutex_t lock;
	bh_snapshot *now;
};

bh_directory *bh_directory_new(bh_snapshot *first)
{
	bh_directory *d = g_new0(bh_directory, 1);

	pthread_mutex_init(&d->lock, NULL);
	d->now = first;
	return d;
}

void bh_directory_free(bh_directory *d)
{
	if (!d)
		return;
	bh_snapshot_unref(d->now);
	pthread_mutex_destroy(&d->lock);
	g_free(d);
}

bh_snapshot *bh_directory_now(bh_directory *d)
{
	pthread_mutex_lock(&d->lock);
	bh_snapshot *now = bh_snapshot_ref(d->now);
	pthread_mutex_unlock(&d->lock);
	return now;
}

void bh_directory_publish(bh_directory *d, bh_snapshot *next)
{
	pthread_mutex_lock(&d->lock);
	bh_snapshot *before = d->now;
	d->now = next;
	pthread_mutex_unlock(&d->lock);
	bh_snapshot_unref(before); /* may free much, so not under the lock */
}
