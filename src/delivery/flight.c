#include "delivery/flight.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC INT64_C(0x74676c6666686201) /* "\1bhfflgt", little end first */

struct bh_flight {
	_Atomic bh_id *at; /* [0] is the magic, then the slots */
	size_t bytes;
	size_t slots;
};

static bool fail(GError **error, const char *what, const char *path)
{
	g_set_error(error, BH_ERROR, BH_ERROR_IO, "cannot %s the flight record \"%s\": %s", what, path,
		    g_strerror(errno));
	return false;
}

/* Reads what a process before us left; another size or another magic means there is nothing to learn. */
static bool read_left(int fd, const char *path, GArray *left, GError **error)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail(error, "look at", path);
	g_autofree bh_id *old = g_try_malloc((gsize)st.st_size + sizeof(bh_id));
	ssize_t got = old ? pread(fd, old, (size_t)st.st_size, 0) : -1;
	if (got < 0)
		return fail(error, "read", path);
	size_t count = (size_t)got / sizeof(bh_id);
	if (count == 0 || old[0] != MAGIC)
		return true;
	for (size_t i = 1; i < count; i++)
		if (old[i] > 0)
			g_array_append_val(left, old[i]);
	return true;
}

static bool map(bh_flight *flight, int fd, const char *path, const GArray *left, GError **error)
{
	/* Really written, not only made longer: a hole would be filled while sending, and a full disk then kills us. */
	if (ftruncate(fd, 0) < 0)
		return fail(error, "empty", path);
	errno = posix_fallocate(fd, 0, (off_t)flight->bytes); /* which tells its trouble by what it returns */
	if (errno)
		return fail(error, "make room for", path);
	void *at = mmap(NULL, flight->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return fail(error, "map", path);
	flight->at = at;
	/* Until somebody has dealt with them, those of the last process stay noted: we may die too. */
	for (size_t i = 0; i < MIN(left->len, flight->slots); i++)
		atomic_store(&flight->at[i + 1], g_array_index(left, bh_id, i));
	atomic_store(&flight->at[0], MAGIC);
	return true;
}

bh_flight *bh_flight_open(const char *path, size_t slots, GArray **ret_left, GError **error)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		fail(error, "open", path);
		return NULL;
	}
	g_autoptr(GArray) left = g_array_new(FALSE, FALSE, sizeof(bh_id));
	bh_flight *flight = g_new0(bh_flight, 1);
	flight->slots = slots;
	flight->bytes = (slots + 1) * sizeof(bh_id);
	bool ok = read_left(fd, path, left, error) && map(flight, fd, path, left, error);
	close(fd);
	if (!ok) {
		g_free(flight);
		return NULL;
	}
	*ret_left = g_steal_pointer(&left);
	return flight;
}

void bh_flight_close(bh_flight *flight)
{
	if (!flight)
		return;
	munmap((void *)flight->at, flight->bytes);
	g_free(flight);
}

void bh_flight_note(bh_flight *flight, size_t slot, bh_id delivery)
{
	g_assert(slot < flight->slots);
	atomic_store_explicit(&flight->at[slot + 1], delivery, memory_order_release);
}

void bh_flight_settle(bh_flight *flight, size_t place)
{
	if (place < flight->slots) /* as they were laid out by map() */
		bh_flight_note(flight, place, 0);
}

void bh_flight_clear(bh_flight *flight)
{
	for (size_t i = 0; i < flight->slots; i++)
		bh_flight_note(flight, i, 0);
}
