#include "store/sqlite/lock.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#define PID_TEXT_SIZE 24

/* The holder's process, as it wrote it; 0: unknown. Only for the message: the lock itself is the kernel's. */
static gint64 holder_of(int fd)
{
	char text[PID_TEXT_SIZE] = "";
	ssize_t size = pread(fd, text, sizeof text - 1, 0);

	return size > 0 ? g_ascii_strtoll(text, NULL, 10) : 0;
}

static void write_holder(int fd)
{
	char text[PID_TEXT_SIZE];
	int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	/* A full disk must not keep us from starting: then the refusal of a second process names no one. */
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size)
		(void)ftruncate(fd, 0);
}

static void refuse(const char *path, const char *database, int fd, GError **error)
{
	gint64 holder = holder_of(fd);
	g_autofree char *who =
		holder > 0 ? g_strdup_printf("process %" G_GINT64_FORMAT, holder) : g_strdup("another process");

	g_set_error(error, BH_ERROR, BH_ERROR_BUSY,
		    "database \"%s\" is in use by %s, which holds the lock \"%s\": stop it first, or give this one a "
		    "data folder of its own",
		    database, who, path);
}

int bh_lock_take(const char *database, GError **error)
{
	g_autofree char *path = g_strconcat(database, ".lock", NULL);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		int why = errno;
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "lock file \"%s\": cannot open it: %s", path,
			    why == ELOOP ? "it is a symbolic link; remove it" : g_strerror(why));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		write_holder(fd);
		return fd;
	}
	if (errno == EWOULDBLOCK)
		refuse(path, database, fd, error);
	else
		g_set_error(error, BH_ERROR, BH_ERROR_IO, "lock file \"%s\": cannot lock it: %s", path,
			    g_strerror(errno));
	close(fd);
	return -1;
}

void bh_lock_release(int lock)
{
	if (lock >= 0)
		close(lock);
}
