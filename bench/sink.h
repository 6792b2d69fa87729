/*
 * A receiver that does as little as one can: reads a request, answers 200, keeps the connection. One thread.
 * It looks for "seq":N, or seq=N, in the body and notes when N arrived, and how often.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sink {
	int listener;
	uint16_t port;
	size_t seq_max;
	_Atomic uint64_t requests;
	_Atomic int64_t *first_us; /* by seq: monotonic microseconds of the first arrival; 0: none */
	_Atomic int64_t *last_us;
	_Atomic uint32_t *copies;
} sink;

/* Listens on 127.0.0.1 (port 0: the kernel chooses) and serves from a thread until the process ends. False: errno says why. */
bool sink_start(sink *s, uint16_t port, size_t seq_max);

int64_t now_us(void);
