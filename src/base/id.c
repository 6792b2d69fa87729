#include "base/id.h"

#include "base/chance.h"
#include "base/time.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>

#define EPOCH_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define PROCESS_BITS 10
#define SEQUENCE_BITS 12
#define SEQUENCE_MAX ((1 << SEQUENCE_BITS) - 1)
#define MS_MAX ((INT64_C(1) << 41) - 1)
#define CHARACTERS 13

/* Half of the sequence is left for counting, so 2048 ids fit into any millisecond. */
#define SEQUENCE_START_MAX (SEQUENCE_MAX / 2)

static struct {
	pthread_mutex_t lock;
	bool seeded;
	bh_chance chance;
	int64_t process;
	int64_t ms; /* of the last id */
	int64_t sequence;
} maker = {.lock = PTHREAD_MUTEX_INITIALIZER, .sequence = SEQUENCE_MAX};

static void seed_with(uint64_t seed)
{
	maker.chance = bh_chance_seeded(seed);
	maker.process = bh_chance_between(&maker.chance, 0, (1 << PROCESS_BITS) - 1);
	maker.seeded = true;
}

static void seed_once(void)
{
	uint64_t seed;

	if (maker.seeded)
		return;
	bh_random_bytes(&seed, sizeof seed);
	seed_with(seed);
}

static void enter(int64_t ms)
{
	g_assert(ms <= MS_MAX);
	maker.ms = ms;
	maker.sequence = bh_chance_between(&maker.chance, 0, SEQUENCE_START_MAX);
}

bh_id bh_id_new(void)
{
	int64_t now = bh_clock_wall() / BH_MILLISECOND - EPOCH_MS;

	pthread_mutex_lock(&maker.lock);
	seed_once();
	/*
	 * A clock that went back, or a millisecond that is used up, is no reason to wait: the ids
	 * go on from the last one, a little ahead of the clock, and still grow.
	 */
	if (now > maker.ms)
		enter(now);
	else if (maker.sequence == SEQUENCE_MAX)
		enter(maker.ms + 1);
	else
		maker.sequence++;
	bh_id id = maker.ms << (PROCESS_BITS + SEQUENCE_BITS) | maker.process << SEQUENCE_BITS | maker.sequence;
	pthread_mutex_unlock(&maker.lock);
	return id;
}

void bh_id_restart(uint64_t seed)
{
	pthread_mutex_lock(&maker.lock);
	seed_with(seed);
	maker.ms = 0;
	maker.sequence = SEQUENCE_MAX;
	pthread_mutex_unlock(&maker.lock);
}

bh_id bh_id_at(int64_t at_usec)
{
	int64_t ms = at_usec / BH_MILLISECOND - EPOCH_MS;

	return CLAMP(ms, 0, MS_MAX) << (PROCESS_BITS + SEQUENCE_BITS);
}

void bh_id_start_above(bh_id floor)
{
	int64_t ms = floor >> (PROCESS_BITS + SEQUENCE_BITS);

	pthread_mutex_lock(&maker.lock);
	seed_once();
	/* Another process may have made `floor`, under a higher number than ours: leave its millisecond. */
	if (floor > 0 && ms >= maker.ms)
		enter(ms + 1);
	pthread_mutex_unlock(&maker.lock);
}

static const char ALPHABET[] = "0123456789abcdefghjkmnpqrstvwxyz";

static const char *const PREFIXES[] = {
	[BH_ID_EVENT] = "evt_", [BH_ID_DELIVERY] = "dlv_", [BH_ID_WEBHOOK] = "whk_",
	[BH_ID_KEY] = "key_",   [BH_ID_RECOVERY] = "rec_",
};
#define PREFIX_SIZE 4

const char *bh_id_text(bh_id_kind kind, bh_id id, char buffer[BH_ID_TEXT_SIZE])
{
	memcpy(buffer, PREFIXES[kind], PREFIX_SIZE);
	uint64_t rest = (uint64_t)id;
	for (int i = CHARACTERS - 1; i >= 0; i--) {
		buffer[PREFIX_SIZE + i] = ALPHABET[rest & 31];
		rest >>= 5;
	}
	buffer[PREFIX_SIZE + CHARACTERS] = '\0';
	return buffer;
}

bool bh_id_parse(bh_id_kind kind, const char *text, bh_id *ret_id)
{
	uint64_t id = 0;

	if (!text || strlen(text) != PREFIX_SIZE + CHARACTERS || memcmp(text, PREFIXES[kind], PREFIX_SIZE) != 0)
		return false;
	/* Thirteen characters hold 65 bits and an id has 63, so the first is below 8. */
	if (text[PREFIX_SIZE] > '7')
		return false;
	for (const char *p = text + PREFIX_SIZE; *p; p++) {
		const char *found = strchr(ALPHABET, *p);
		if (!found)
			return false;
		id = id << 5 | (uint64_t)(found - ALPHABET);
	}
	if (id == 0)
		return false;
	*ret_id = (bh_id)id;
	return true;
}
