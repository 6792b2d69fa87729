#include "delivery/flight.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC INT64_C(0x74676c6666686202) /* "\2bhfflgt", little end first */

typedef struct cell {
	_Atomic int64_t attempt;
	_Atomic bh_id delivery; /* 0: nobody's. Written last, so that what is noted is whole */
} cell;

struct bh_flight {
	_Atomic int64_t *magic; /* the map's beginning */
	cell *at; /* the slots, after it */
	size_t bytes;
	size_t slots;
};

static bool fail(GError **error, const char *what, const char *path)
{
	g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot %s the flight record \"%s\": %s", what, path,
		    g_strerror(errno));
	return false;
}

static int open_file(const char *path, int more, GError **error)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | more, 0600);
	if (fd < 0)
		fail(error, "open", path);
	return fd;
}

/* Reads what a process before us left; another size or another magic means there is nothing to learn. */
static bool read_left(const char *path, GArray *left, GError **error)
{
	int fd = open_file(path, 0, error);
	if (fd < 0)
		return false;
	struct stat st = {0};
	bool seen = fstat(fd, &st) == 0;
	g_autofree int64_t *old = seen ? g_try_malloc((gsize)st.st_size + sizeof(int64_t)) : NULL;
	ssize_t got = old ? pread(fd, old, (size_t)st.st_size, 0) : -1;
	close(fd);
	if (got < 0)
		return fail(error, "read", path);
	size_t count = (size_t)got / sizeof(int64_t);
	if (count == 0 || old[0] != MAGIC)
		return true;
	for (size_t i = 1; i + 1 < count; i += 2) {
		bh_flight_entry entry = {.attempt = old[i], .delivery = old[i + 1]};
		if (entry.delivery > 0)
			g_array_append_val(left, entry);
	}
	return true;
}

static bool map(bh_flight *flight, int fd, const char *path, const GArray *left, GError **error)
{
	/* Really written, not only made longer: a hole would be filled while sending, and a full disk then kills us. */
	errno = posix_fallocate(fd, 0, (off_t)flight->bytes); /* which tells its trouble by what it returns */
	if (errno)
		return fail(error, "make room for", path);
	void *at = mmap(NULL, flight->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return fail(error, "map", path);
	flight->magic = at;
	flight->at = (cell *)(flight->magic + 1);
	/* Until somebody has dealt with them, those of the last process stay noted: we may die too. */
	for (size_t i = 0; i < MIN(left->len, flight->slots); i++)
		bh_flight_note(flight, i, g_array_index(left, bh_flight_entry, i));
	atomic_store(flight->magic, MAGIC);
	return true;
}

/* Laid out aside and then put in the old one's place: at every moment one of the two says what was left. */
static bool replace(bh_flight *flight, const char *path, const GArray *left, GError **error)
{
	g_autofree char *aside = g_strconcat(path, ".new", NULL);
	int fd = open_file(aside, O_TRUNC, error);
	if (fd < 0)
		return false;
	bool mapped = map(flight, fd, aside, left, error);
	close(fd);
	BH_FAULT("flight.laid-out");
	if (mapped && rename(aside, path) == 0)
		return true;
	if (mapped)
		fail(error, "put in place", path);
	(void)unlink(aside); /* what cannot be used should not take room */
	return false;
}

bh_flight *bh_flight_open(const char *path, size_t slots, GArray **ret_left, GError **error)
{
	g_autoptr(GArray) left = g_array_new(FALSE, FALSE, sizeof(bh_flight_entry));
	bh_flight *flight = g_new0(bh_flight, 1);
	flight->slots = slots;
	flight->bytes = sizeof(int64_t) + slots * sizeof(cell);
	if (!read_left(path, left, error) || !replace(flight, path, left, error)) {
		bh_flight_close(flight);
		return NULL;
	}
	BH_FAULT("flight.in-place");
	*ret_left = g_steal_pointer(&left);
	return flight;
}

void bh_flight_close(bh_flight *flight)
{
	if (!flight)
		return;
	if (flight->magic)
		munmap((void *)flight->magic, flight->bytes);
	g_free(flight);
}

void bh_flight_note(bh_flight *flight, size_t slot, bh_flight_entry entry)
{
	g_assert(slot < flight->slots);
	atomic_store_explicit(&flight->at[slot].attempt, entry.attempt, memory_order_relaxed);
	atomic_store_explicit(&flight->at[slot].delivery, entry.delivery, memory_order_release);
}

void bh_flight_forget(bh_flight *flight, size_t slot)
{
	g_assert(slot < flight->slots);
	atomic_store_explicit(&flight->at[slot].delivery, 0, memory_order_release);
}

void bh_flight_settle(bh_flight *flight, size_t place)
{
	if (place < flight->slots) /* as they were laid out by map() */
		bh_flight_forget(flight, place);
	BH_FAULT("flight.settled");
}

void bh_flight_clear(bh_flight *flight)
{
	for (size_t i = 0; i < flight->slots; i++)
		bh_flight_forget(flight, i);
	BH_FAULT("flight.cleared");
}
