-- The first schema. Times are microseconds UTC, ids are our own (bh_id) unless a column says otherwise.
-- What each table is for and why it looks as it does: docs/store.md.

-- The directory: read whole at start, then written through.

CREATE TABLE manager (
	id TEXT PRIMARY KEY, -- the site's
	name TEXT NOT NULL,
	email TEXT,
	role TEXT NOT NULL, -- manager, super, receptionist
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE property (
	id TEXT PRIMARY KEY, -- the site's
	name TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Managers in the site's order; may name such as are not known (yet).
CREATE TABLE property_manager (
	property_id TEXT NOT NULL,
	place INTEGER NOT NULL,
	manager_id TEXT NOT NULL,
	PRIMARY KEY (property_id, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX property_manager_by_manager ON property_manager (manager_id);

CREATE TABLE webhook (
	id INTEGER PRIMARY KEY,
	revision INTEGER NOT NULL,
	manager_id TEXT, -- NULL: the site's own
	name TEXT NOT NULL,
	method TEXT NOT NULL,
	settings TEXT NOT NULL, -- JSON; password fields are sealed inside
	shape TEXT NOT NULL,
	events TEXT NOT NULL, -- JSON array
	properties TEXT, -- JSON array; NULL: all of the manager's
	channel_id TEXT,
	full_payload INTEGER NOT NULL,
	total_timeout INTEGER NOT NULL,
	headers TEXT, -- JSON array: name, sealed value, name, sealed value ...
	secret TEXT NOT NULL, -- sealed
	old_secret TEXT, -- sealed
	old_secret_until INTEGER NOT NULL,
	disabled TEXT, -- owner, gone, receiver, failure; NULL: enabled
	disabled_reason TEXT,
	disabled_at INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_by_manager ON webhook (manager_id) WHERE manager_id IS NOT NULL;

CREATE TABLE api_key (
	id INTEGER PRIMARY KEY,
	role TEXT NOT NULL, -- site, emit, manager
	manager_id TEXT,
	name TEXT NOT NULL,
	hash BLOB NOT NULL, -- SHA-256 of the key's text
	created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX api_key_by_manager ON api_key (manager_id) WHERE manager_id IS NOT NULL;

CREATE TABLE event_type (
	name TEXT PRIMARY KEY,
	definition TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
	id INTEGER PRIMARY KEY,
	at INTEGER NOT NULL,
	who TEXT NOT NULL,
	came_from TEXT NOT NULL,
	what TEXT NOT NULL
) STRICT;

-- The journal: an event, its deliveries, their attempts.

CREATE TABLE event (
	id INTEGER PRIMARY KEY,
	type TEXT NOT NULL,
	occurred_at INTEGER NOT NULL,
	accepted_at INTEGER NOT NULL,
	property_id TEXT,
	manager_id TEXT,
	actor TEXT,
	actor_is_manager INTEGER NOT NULL,
	caller_key INTEGER, -- the three together, or none
	caller_id TEXT,
	fingerprint BLOB,
	traceparent TEXT,
	channel_id TEXT,
	findings TEXT NOT NULL, -- <webhook>:<verdict>:<delivery>[:<manager>] for each webhook looked at
	data TEXT NOT NULL, -- the very bytes that came in
	details TEXT,
	channel TEXT
) STRICT;

-- Which event came under which id of its caller's: the first 8 bytes of SHA-256 over key and id, filed slice by slice of
-- the hash's range. What is not filed yet is in the rows of events alone.
CREATE TABLE caller (
	hash INTEGER NOT NULL,
	event_id INTEGER NOT NULL,
	PRIMARY KEY (hash, event_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE caller_slice (
	slice INTEGER PRIMARY KEY,
	filed_up_to INTEGER NOT NULL -- of events up to this one, all that are in this slice are filed
) STRICT;

-- A row keeps its size on the usual way (pending, one attempt, delivered), so that it is written over in place:
-- one column serves both due_at and ended_at, and no state is stored as 0 or 1, which take no byte.
CREATE TABLE delivery (
	id INTEGER PRIMARY KEY,
	event_id INTEGER NOT NULL,
	webhook_id INTEGER NOT NULL,
	manager_id TEXT,
	state INTEGER NOT NULL, -- 2 pending, 3 delivered, 4 held, 5 gone, 6 exhausted, 7 coalesced, 8 cancelled
	created_at INTEGER NOT NULL,
	at INTEGER NOT NULL, -- pending: due; final: ended
	spent INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	reason TEXT,
	is_test INTEGER NOT NULL
) STRICT;
-- Each index ends with the id, as all do.
CREATE INDEX delivery_pending ON delivery (webhook_id, at) WHERE state = 2;
-- All but the two states that nearly every delivery passes through.
CREATE INDEX delivery_unusual ON delivery (state) WHERE state > 3;
CREATE INDEX delivery_unusual_by_webhook ON delivery (state, webhook_id) WHERE state > 3;

CREATE TABLE attempt (
	delivery_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	started_at INTEGER NOT NULL,
	-- Words: outcome, cause, status, HTTP version, address, microseconds since the start until DNS, connection, TLS, first
	-- byte and end (-1: not reached), shape of the body. "-" stands for an empty one.
	facts TEXT NOT NULL,
	sentence TEXT NOT NULL,
	request TEXT NOT NULL, -- headers, usual beginnings of lines as "~" and a letter (shorthand.c)
	response TEXT NOT NULL, -- the same
	body BLOB, -- of the answer
	sent BLOB, -- the request's body, if it was not the event's own
	PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- Lists by webhook, property, manager and type. An index would touch one page for each webhook and property
-- of a batch; so some thousand rows at a time are sorted into a shelf of their own, written once from end to end.
-- Lists look at the rows above the greatest id on any shelf, and then through the shelves, newest first.

CREATE TABLE shelf (
	holds TEXT NOT NULL, -- deliveries, events
	number INTEGER NOT NULL, -- 1, 2, 3 ... in the order in which they were filled
	least_id INTEGER NOT NULL,
	greatest_id INTEGER NOT NULL, -- of this shelf and all before it
	keys BLOB NOT NULL, -- hashes of the keys on it, ascending, 4 bytes each: most shelves need no second look
	PRIMARY KEY (holds, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE shelved (
	holds TEXT NOT NULL,
	shelf INTEGER NOT NULL,
	key TEXT NOT NULL, -- w and a webhook's id, p and a property's, m and a manager's, t and a type
	ids BLOB NOT NULL, -- ascending, 8 bytes each, most significant first
	PRIMARY KEY (holds, shelf, key)
) STRICT, WITHOUT ROWID;
