/*
 * What can be wrong with a request, one row each: the stable code, the status and the title (RFC 9457). docs/api.md
 * tells the same rows to callers.
 */
#pragma once

typedef enum bh_problem {
	BH_PROBLEM_UNAUTHORIZED,
	BH_PROBLEM_ROLE,
	BH_PROBLEM_SUPER,
	BH_PROBLEM_NOT_FOUND,
	BH_PROBLEM_METHOD,
	BH_PROBLEM_CONFLICT,
	BH_PROBLEM_WEBHOOK_DISABLED,
	BH_PROBLEM_IDEMPOTENCY,
	BH_PROBLEM_JSON,
	BH_PROBLEM_PARAMETER,
	BH_PROBLEM_IDEMPOTENCY_KEY,
	BH_PROBLEM_TOO_LARGE,
	BH_PROBLEM_MEDIA_TYPE,
	BH_PROBLEM_HEADER,
	BH_PROBLEM_FIELD,
	BH_PROBLEM_EVENT_TYPE,
	BH_PROBLEM_TARGET,
	BH_PROBLEM_CREDENTIALS,
	BH_PROBLEM_LIMIT,
	BH_PROBLEM_RATE,
	BH_PROBLEM_LOOP,
	BH_PROBLEM_BUSY,
	BH_PROBLEM_STORE,
	BH_PROBLEM_INTERNAL,
	BH_PROBLEMS,
} bh_problem;

typedef struct bh_problem_row {
	const char *code;
	unsigned status;
	const char *title;
} bh_problem_row;

extern const bh_problem_row BH_PROBLEM_ROWS[BH_PROBLEMS];
