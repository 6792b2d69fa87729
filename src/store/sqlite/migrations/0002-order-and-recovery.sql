-- Order, coalescing, pacing and TLS of a webhook, loops, runs of failures, recoveries. What ordinary deliveries do not have is
-- NULL in their rows, and the new indexes leave them out.

ALTER TABLE webhook ADD COLUMN order_by TEXT; -- property, or a field of data
ALTER TABLE webhook ADD COLUMN coalesce INTEGER NOT NULL DEFAULT 0; -- microseconds; 0: off
ALTER TABLE webhook ADD COLUMN coalesce_fields TEXT; -- JSON array
ALTER TABLE webhook ADD COLUMN rate_requests INTEGER NOT NULL DEFAULT 0; -- at most so many in rate_per microseconds; 0: no limit
ALTER TABLE webhook ADD COLUMN rate_per INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN tls_ca TEXT; -- PEM, as the next one
ALTER TABLE webhook ADD COLUMN tls_certificate TEXT;
ALTER TABLE webhook ADD COLUMN tls_key TEXT; -- PEM, sealed
ALTER TABLE webhook ADD COLUMN tls_ca_expires_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN tls_certificate_expires_at INTEGER NOT NULL DEFAULT 0;

ALTER TABLE event ADD COLUMN hops INTEGER; -- NULL: 0

-- delivery.is_test from here on: 0 no test; else 1 + what its success brings about (bh_test_then).
-- delivery.at of a pending one that waits for an earlier one of its order key: 9223372036854775807.
ALTER TABLE delivery ADD COLUMN order_key TEXT;
ALTER TABLE delivery ADD COLUMN coalesce_key TEXT;
ALTER TABLE delivery ADD COLUMN sequence INTEGER; -- 1, 2, 3 ... within the webhook, of those with an order key
ALTER TABLE delivery ADD COLUMN superseded_by INTEGER; -- coalesced: the newer one
-- Of a pending one with a key: 1 if it waits for an earlier one of its order key, else 0. NULL for all others, so that what becomes of
-- an ordinary delivery touches no column of the indexes below, and SQLite leaves them alone.
ALTER TABLE delivery ADD COLUMN waits INTEGER;

-- The first of an order key is the one that may be sent; those that wait for it follow in the order of their ids.
CREATE INDEX delivery_ordered ON delivery (webhook_id, order_key, waits) WHERE order_key IS NOT NULL AND waits IS NOT NULL;
CREATE INDEX delivery_coalescing ON delivery (webhook_id, coalesce_key) WHERE coalesce_key IS NOT NULL;

CREATE TABLE webhook_sequence (
	webhook_id INTEGER PRIMARY KEY,
	last INTEGER NOT NULL -- the sequence number given last
) STRICT;

-- The present run of failures of a webhook; none: the last attempt went well.
CREATE TABLE streak (
	webhook_id INTEGER PRIMARY KEY,
	failing_since INTEGER NOT NULL,
	first_exhausted INTEGER NOT NULL,
	last_exhausted INTEGER NOT NULL,
	warned INTEGER NOT NULL, -- bits
	warned_at INTEGER NOT NULL -- when the owner was told that it will be disabled; 0: he was not
) STRICT;

CREATE TABLE recovery (
	id INTEGER PRIMARY KEY,
	webhook_id INTEGER NOT NULL,
	since INTEGER NOT NULL,
	total INTEGER NOT NULL,
	recovered INTEGER NOT NULL,
	per_second INTEGER NOT NULL,
	after_id INTEGER NOT NULL, -- the last delivery looked at
	up_to INTEGER NOT NULL, -- the newest delivery that belongs to it
	state INTEGER NOT NULL, -- 1 running, 2 done, 3 cancelled
	created_at INTEGER NOT NULL,
	ended_at INTEGER NOT NULL, -- 0: it runs
	who TEXT NOT NULL
) STRICT;
CREATE INDEX recovery_by_webhook ON recovery (webhook_id);
CREATE UNIQUE INDEX recovery_running ON recovery (webhook_id) WHERE state = 1;
