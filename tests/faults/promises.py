"""
What must always hold, whenever the engine dies: looked up in the store, in the receiver's log and in the callers' answers.

    check_store    in what a killed engine left, and at the end: no batch is half there
    check_history  at the end: nothing accepted is lost, nothing final is sent again, each copy is explained
    check_lives    starts are clean and quick, and no life had anything to complain about
"""

import collections
import json
import re
import sqlite3

from harness.process import SANITIZER_SAYS
from world import START_AT_MOST, name_of, rows

STATES = {2: "pending", 3: "delivered", 4: "held", 5: "gone", 6: "exhausted", 7: "coalesced", 8: "cancelled"}
FOR_GOOD = {"delivered", "gone", "coalesced", "cancelled"}  # nothing leads out of these
NEVER_ARRIVED = {"connect", "dns", "tls", "guard", "script", "proxy"}  # causes of attempts that the receiver did not see
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
DUE_BLOCKED = 2**63 - 1  # a due time that never comes: an earlier one of the same order key is first


def id_text(kind, number):
    digits = ""
    for _ in range(13):
        digits, number = ALPHABET[number & 31] + digits, number >> 5
    return f"{kind}_{digits}"


def id_number(text):
    number = 0
    for digit in text[4:]:
        number = number * 32 + ALPHABET.index(digit)
    return number


def columns(database, table):
    return {row["name"] for row in rows(database, f"PRAGMA table_info({table})")}


# --- The store ----------------------------------------------------------------------------------


def check_store(database, world):
    if not database.exists():
        return  # killed before there was one
    assert rows(database, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    if not columns(database, "delivery"):
        return  # killed before it had a schema
    check_events(database)
    check_attempts(database)
    check_audit(database)
    check_batches(database, world)
    check_order(database)
    check_superseded(database)


def findings_of(database):
    """(event, delivery) as the verdicts name them; a delivery that was not made is left out."""
    for row in rows(database, "SELECT id, findings FROM event"):
        for word in row["findings"].split():
            webhook, _, delivery = word.split(":")[:3]
            if delivery != "0":
                yield row["id"], int(delivery), int(webhook)


def check_events(database):
    """An event, its verdicts and its deliveries are there together or not at all."""
    named = sorted(findings_of(database))
    made = sorted((row["event_id"], row["id"], row["webhook_id"]) for row in rows(database, "SELECT id, event_id, webhook_id FROM delivery"))
    assert named == made, f"verdicts name {set(named) - set(made)} that are not there, and there are {set(made) - set(named)} without a verdict"
    lost = rows(database, "SELECT id, event_id FROM delivery WHERE event_id NOT IN (SELECT id FROM event)")
    assert not lost, f"deliveries without their event: {lost}"


def check_attempts(database):
    made = collections.defaultdict(list)
    for row in rows(database, "SELECT delivery_id, number FROM attempt ORDER BY delivery_id, number"):
        made[row["delivery_id"]].append(row["number"])
    for row in rows(database, "SELECT id, attempts FROM delivery"):
        numbers = made.pop(row["id"], [])
        assert numbers == list(range(1, row["attempts"] + 1)), f"delivery {row['id']} says {row['attempts']} attempts and has {numbers}"
    assert not made, f"attempts without their delivery: {dict(made)}"


def check_audit(database):
    """A change and its line in the audit log are there together or not at all."""
    lines = collections.Counter(row["what"] for row in rows(database, "SELECT what FROM audit"))
    for row in rows(database, "SELECT id, revision FROM webhook"):
        told = lines[f"webhook.put {id_text('whk', row['id'])}"]
        assert told == row["revision"], f"webhook {row['id']} is in its revision {row['revision']}, and the audit log has {told} changes"
    for table, kind in (("manager", "manager"), ("property", "property")):
        for row in rows(database, f"SELECT id FROM {table}"):
            assert lines[f"{kind}.put {row['id']}"], f"{kind} {row['id']} without a line in the audit log"
    for row in rows(database, "SELECT id FROM api_key"):
        assert lines[f"key.put {id_text('key', row['id'])}"], f"key {row['id']} without a line in the audit log"


def check_superseded(database):
    """What was coalesced names the newer one that goes in its place."""
    for row in rows(database, "SELECT id, webhook_id, superseded_by FROM delivery WHERE state = 7"):
        newer = rows(database, "SELECT id, webhook_id FROM delivery WHERE id = ?", row["superseded_by"])
        assert newer and newer[0]["id"] > row["id"] and newer[0]["webhook_id"] == row["webhook_id"], f"{row} was coalesced into {newer}"


def check_batches(database, world):
    there = {row["caller_id"] for row in rows(database, "SELECT caller_id FROM event WHERE caller_id IS NOT NULL")}
    for keys in world.batches:
        kept = there & set(keys)
        assert kept in (set(), set(keys)), f"of {keys}, only {kept} were kept"


def check_order(database):
    """Of an order key exactly one of those that wait may be sent, and the numbers of a webhook have no gap."""
    unblocked, numbers = collections.Counter(), collections.defaultdict(list)
    for row in rows(database, "SELECT webhook_id, order_key, sequence, state, at FROM delivery WHERE order_key IS NOT NULL"):
        numbers[row["webhook_id"]].append(row["sequence"])
        if STATES[row["state"]] == "pending":
            unblocked[row["webhook_id"], row["order_key"]] += row["at"] != DUE_BLOCKED
    assert set(unblocked.values()) <= {1}, f"of each order key, so many may be sent: {unblocked}"
    for webhook, given in numbers.items():
        assert sorted(given) == list(range(1, len(given) + 1)), f"webhook {webhook} has the numbers {sorted(given)}"


# --- What happened --------------------------------------------------------------------------------


class Delivery:
    def __init__(self, row, names):
        self.id, self.event, self.state, self.attempts = row["id"], row["event_id"], STATES[row["state"]], row["attempts"]
        self.webhook, self.reason, self.is_test = names.get(row["webhook_id"], row["webhook_id"]), row["reason"], bool(row["is_test"])

    def __repr__(self):
        return f"<{id_text('dlv', self.id)} of {id_text('evt', self.event)} for {self.webhook}: {self.state}, {self.attempts} attempts, {self.reason}>"


def deliveries_in(database, world):
    if not database.exists() or not columns(database, "delivery"):
        return {}
    names = {id_number(id): name for name, id in world.webhooks.items()}
    found = rows(database, "SELECT id, event_id, webhook_id, state, attempts, reason, is_test FROM delivery")
    return {row["id"]: Delivery(row, names) for row in found}


def check_history(world, scenario):
    database = world.engine.data / "bellhop.db"
    deliveries = deliveries_in(database, world)
    check_answers(database, world)
    for delivery in deliveries.values():
        allowed = scenario.ends(world, delivery)
        assert delivery.state in allowed, f"{delivery} should be {' or '.join(sorted(allowed))}"
    check_requests(database, world, deliveries)
    check_identity(world)
    for death in world.deaths:
        check_final_stays(death, world, deliveries)


def check_answers(database, world):
    """What was answered with 202 is there."""
    there = {row["id"] for row in rows(database, "SELECT id FROM event")}
    for key, answer in world.answers.items():
        for event in [entry["id"] for entry in answer.get("events", [])] or [answer[k] for k in ("id", "event_id") if k in answer]:
            assert id_number(event) in there, f"{key} was answered with {event}, which is lost"


def check_requests(database, world, deliveries):
    """
    As many requests arrived as attempts are on record; one more or less only for an attempt whose end nobody saw, which
    says so, and was under way at a death.
    """
    arrived = collections.Counter((name_of(request), id_number(request.id)) for request in world.receiver.requests)
    seen, unknown = collections.Counter(), collections.Counter()
    for row in rows(database, "SELECT delivery_id, number, facts FROM attempt"):
        outcome, cause = row["facts"].split(" ")[:2]
        delivery = deliveries[row["delivery_id"]]
        pair = delivery.webhook, delivery.event
        if outcome != "unknown":
            seen[pair] += cause not in NEVER_ARRIVED
            continue
        assert cause == "crash", row
        unknown[pair] += 1
        under_way = sum(delivery.id in death.flight for death in world.deaths)
        assert unknown[pair] <= under_way, f"{delivery} has {unknown[pair]} attempts of unknown end, and was under way at {under_way} deaths"
    for pair in arrived.keys() | seen.keys():
        more = arrived[pair] - seen[pair]
        assert 0 <= more <= unknown[pair], (
            f"{pair}: {arrived[pair]} requests arrived, {seen[pair]} attempts are on record, and {unknown[pair]} of unknown end"
        )


def check_identity(world):
    """The webhook-id of a happening never changes, and the same bytes come under it at each try."""
    ids, bodies = {}, {}
    for request in world.receiver.requests:
        body = json.loads(request.body)
        data = body["data"]
        if "contract_uid" in data:
            assert ids.setdefault(data["contract_uid"], request.id) == request.id, f"booking {data} came under two ids"
        kept = {key: value for key, value in body.items() if key != "sequence"}
        assert bodies.setdefault((name_of(request), request.id), kept) == kept, f"{request.id} came with two bodies"


def check_final_stays(death, world, deliveries):
    """What had ended for good when the engine died is as it was: no attempt more, and so no request more."""
    for id, before in deliveries_in(death.database, world).items():
        after = deliveries.get(id)
        assert after, f"{before} was there at the death, and is lost"
        if before.state in FOR_GOOD:
            assert (after.state, after.attempts) == (before.state, before.attempts), f"{before} was final, and is {after} now"


# --- The lives ------------------------------------------------------------------------------------


def check_lives(world):
    log = world.engine.log
    said = SANITIZER_SAYS.search(log)
    assert not said, log[max(0, said.start() - 200) : said.start() + 6000]
    errors = re.findall(r"^\S+Z error .*$", log, re.MULTILINE)
    assert not errors, "\n".join(errors[:20])
    slow = [took for took in world.started_in if took > START_AT_MOST]
    assert not slow, f"it took {max(slow):.1f} s until a restarted engine was ready"
