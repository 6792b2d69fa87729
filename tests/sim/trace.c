#include "sim.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINES 60 /* that a failure shows */
#define LINE_SIZE 240

typedef struct line {
	bh_mono at;
	const char *format;
	long long numbers[5];
} line;

struct trace {
	uint64_t hash;
	uint64_t count;
	line lines[LINES];
};

trace *trace_new(void)
{
	return g_new0(trace, 1);
}

void trace_free(trace *t)
{
	g_free(t);
}

uint64_t trace_hash(const trace *t)
{
	return t->hash;
}

static void mix(trace *t, uint64_t number)
{
	bh_chance mixer = bh_chance_seeded(t->hash ^ number);

	t->hash = bh_chance_next(&mixer);
}

static void print_line(FILE *out, const line *l)
{
	char text[LINE_SIZE];
	bh_usec s = l->at.us / BH_SECOND;

	/* Each format was written beside its numbers, in a call that the compiler has checked. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	g_snprintf(text, sizeof text, l->format, l->numbers[0], l->numbers[1], l->numbers[2], l->numbers[3],
		   l->numbers[4]);
#pragma GCC diagnostic pop
	fprintf(out, "%3lldd %02lld:%02lld:%02lld.%06lld  %s\n", (long long)(s / 86400), (long long)(s / 3600 % 24),
		(long long)(s / 60 % 60), (long long)(s % 60), (long long)(l->at.us % BH_SECOND), text);
}

void tell_(sim *s, const char *format, long long a, long long b, long long c, long long d, long long e, ...)
{
	trace *t = s->trace;
	line *l = &t->lines[t->count++ % LINES];

	*l = (line){.at = s->clock.mono, .format = format, .numbers = {a, b, c, d, e}};
	mix(t, (uint64_t)l->at.us);
	mix(t, strlen(format) + (unsigned char)*format * 256U);
	for (size_t i = 0; i < G_N_ELEMENTS(l->numbers); i++)
		mix(t, (uint64_t)l->numbers[i]);
	if (s->house->verbose)
		print_line(stdout, l);
}

static void print_last_lines(const sim *s)
{
	const trace *t = s->trace;
	uint64_t from = t->count > LINES ? t->count - LINES : 0;

	for (uint64_t i = from; i < t->count && !s->house->verbose; i++)
		print_line(stderr, &t->lines[i % LINES]);
	if (s->house->tap) {
		printf("not ok 1 - seed %llu\n", (unsigned long long)s->seed);
		fflush(stdout);
	}
	fprintf(stderr, "\nseed %llu failed. Again, with all of its steps: ./dev sim --seeds 1 --from %llu --verbose\n",
		(unsigned long long)s->seed, (unsigned long long)s->seed);
}

void broken(sim *s, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	print_last_lines(s);
	va_start(args, format);
	fputs("broken: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	fflush(NULL);
	house_remove_folder(s->house);
	_exit(1);
}

static sim *present;

static void on_abort(int number)
{
	(void)number;
	signal(SIGABRT, SIG_DFL);
	fflush(stdout);
	print_last_lines(present);
	house_remove_folder(present->house);
	abort();
}

void trace_on_abort(sim *s)
{
	present = s;
	signal(SIGABRT, s ? on_abort : SIG_DFL);
}
