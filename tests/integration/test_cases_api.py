"""Cases from the field: the API. Who may see what, repeats of a call, paging, and secrets that must not show."""

import base64
import concurrent.futures
import json
import re
import statistics
import time
import urllib.parse

import pytest
from harness.api import Api
from harness.process import attempts_of, deliveries_of, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import answers, dead_port, reply
from harness.secrets import assert_nowhere
from harness.waiting import wait_for

# --- api-cross-owner ----------------------------------------------------------------------------


@pytest.fixture
def two_managers(site, receiver):
    """Managers 7 and 8, each with a webhook, an event and a delivery; and the API as manager 7 sees it."""

    class Scene:
        pass

    scene = Scene()
    scene.site, scene.receiver = site, receiver
    scene.seven = site.manager_key("7")
    scene.eight = site.manager_key("8")
    scene.mine = site.webhook(receiver.url("/7"), manager="7")
    scene.theirs = site.webhook(receiver.url("/8"), manager="8")
    scene.my_event = site.send("booking_added", {"property_uid": 12, "contract_uid": 1})
    scene.their_event = site.send("booking_added", {"property_uid": 21, "contract_uid": 1})
    scene.my_delivery = wait_state(site, scene.my_event, "delivered")[0]["id"]
    scene.their_delivery = wait_state(site, scene.their_event, "delivered")[0]["id"]
    return scene


def absent(id):
    """An id of the same form that does not exist."""
    return id[:-4] + ("zzzz" if not id.endswith("zzzz") else "yyyy")


def routes(webhook, event, delivery):
    change = {"json": {"name": "taken over", "url": "http://127.0.0.1:1/"}}
    return [
        ("GET", f"/v1/webhooks/{webhook}", {}),
        ("PATCH", f"/v1/webhooks/{webhook}", change),
        ("DELETE", f"/v1/webhooks/{webhook}", {}),
        ("POST", f"/v1/webhooks/{webhook}/test", {}),
        ("GET", f"/v1/webhooks/{webhook}/secret", {}),
        ("POST", f"/v1/webhooks/{webhook}/secret/rotate", {"json": {"overlap": "1h"}}),
        ("GET", f"/v1/events/{event}", {}),
        ("GET", f"/v1/events/{event}/verdicts", {}),
        ("GET", f"/v1/deliveries/{delivery}", {}),
        ("GET", f"/v1/deliveries/{delivery}/attempts", {}),
        ("POST", f"/v1/deliveries/{delivery}/retry", {}),
        ("POST", f"/v1/deliveries/{delivery}/cancel", {}),
    ]


def test_api_cross_owner(two_managers):
    """
    api-cross-owner: for another manager's things every route answers as for a thing that does not exist, and does nothing.
    """
    scene = two_managers
    before = scene.site.get(f"/v1/webhooks/{scene.theirs['id']}").ok()
    theirs = routes(scene.theirs["id"], scene.their_event, scene.their_delivery)
    nobodys = routes(absent(scene.theirs["id"]), absent(scene.their_event), absent(scene.their_delivery))
    for (method, path, more), (_, other_path, _) in zip(theirs, nobodys):
        real, fake = scene.seven.request(method, path, **more), scene.seven.request(method, other_path, **more)
        real.problem(404, "not_found")
        fake.problem(404, "not_found")
        mask = re.compile(rb"(whk|evt|dlv)_[0-9a-z]{13}")
        assert mask.sub(b"ID", real.body) == mask.sub(b"ID", fake.body), (method, path)

    assert scene.site.get(f"/v1/webhooks/{scene.theirs['id']}").ok() == before
    assert len(scene.receiver.of(scene.their_event)) == 1
    assert [row["id"] for row in scene.site.get("/v1/deliveries").ok()["data"]] == [scene.their_delivery, scene.my_delivery]


def test_api_cross_owner_lists(two_managers):
    """api-cross-owner: lists, filters, managers and properties show his own only; a filter by another's id finds nothing."""
    scene = two_managers
    seven = scene.seven
    assert [row["id"] for row in seven.get("/v1/webhooks").ok()["data"]] == [scene.mine["id"]]
    assert [row["id"] for row in seven.get("/v1/events").ok()["data"]] == [scene.my_event]
    assert [row["id"] for row in seven.get("/v1/deliveries").ok()["data"]] == [scene.my_delivery]
    assert [row["id"] for row in seven.get("/v1/managers").ok()["data"]] == ["7"]
    assert [row["id"] for row in seven.get("/v1/properties").ok()["data"]] == ["12", "13"]
    for path in [
        f"/v1/deliveries?webhook_id={scene.theirs['id']}",
        f"/v1/deliveries?event_id={scene.their_event}",
        "/v1/events?property_id=21",
        "/v1/webhooks?manager_id=8",
        "/v1/properties?manager_id=8",
    ]:
        answer = seven.get(path)
        assert answer.status in (200, 404) and (answer.status == 404 or answer.ok()["data"] == []), (path, answer.body)
    for path in ["/v1/managers/8", "/v1/managers/nobody", "/v1/properties/21", "/v1/properties/nothing"]:
        seven.get(path).problem(404, "not_found")


def test_api_cross_owner_may_not_widen(two_managers):
    """api-cross-owner: a manager's key makes webhooks for him only, changes no directory and makes no keys."""
    scene = two_managers
    seven, url = scene.seven, scene.receiver.url()
    assert seven.post("/v1/webhooks", json={"url": url, "manager_id": "8"}).status in (404, 422)
    assert seven.patch(f"/v1/webhooks/{scene.mine['id']}", json={"manager_id": "8"}).status in (404, 422)
    made = seven.post("/v1/webhooks", json={"url": url}).ok(201)
    assert made["manager_id"] == "7"
    for method, path, body in [
        ("PUT", "/v1/managers/7", {"name": "x", "role": "super"}),
        ("DELETE", "/v1/managers/8", None),
        ("PUT", "/v1/properties/21", {"name": "x", "managers": ["7"]}),
        ("DELETE", "/v1/properties/21", None),
        ("POST", "/v1/keys", {"role": "site"}),
        ("GET", "/v1/keys", None),
        ("GET", "/v1/audit", None),
        ("PUT", "/v1/event-types/own", {"description": "x"}),
        ("POST", "/v1/events", {"type": "booking_added", "data": {"property_uid": 21}}),
    ]:
        seven.request(method, path, json=body).problem(403, "role_not_allowed")


def test_api_cross_owner_site_webhooks_are_untouchable(two_managers):
    """A webhook of the site is nobody's but the site's."""
    scene = two_managers
    sites = scene.site.webhook(scene.receiver.url("/site"), manager=None)
    assert sites["manager_id"] is None
    for method, path, more in routes(sites["id"], scene.my_event, scene.my_delivery)[:6]:
        scene.seven.request(method, path, **more).problem(404, "not_found")
    event = scene.site.send("booking_added", {"property_uid": 12, "contract_uid": 2})
    wait_state(scene.site, event, "delivered")
    assert {row["webhook_id"] for row in scene.seven.get(f"/v1/deliveries?event_id={event}").ok()["data"]} == {scene.mine["id"]}
    assert {row["webhook_id"] for row in scene.seven.get(f"/v1/events/{event}/verdicts").ok()["data"]} == {scene.mine["id"]}


def test_api_cross_owner_after_the_property_was_taken_away(two_managers):
    """api-cross-owner: whose property is gone sees its events no more, and is told of no new ones."""
    scene = two_managers
    scene.site.property("12", "8")
    scene.seven.get("/v1/properties/12").problem(404)
    assert scene.seven.get("/v1/events?property_id=12").ok()["data"] == []
    event = scene.site.send("booking_added", {"property_uid": 12, "contract_uid": 3})
    wait_state(scene.site, event, "delivered")
    assert [row["webhook_id"] for row in deliveries_of(scene.site, event)] == [scene.theirs["id"]]


def test_api_cross_owner_super_manager(site, receiver):
    """api-cross-owner: a super manager owns no webhook, and a receptionist neither."""
    site.manager("90", role="super")
    site.manager("50", role="receptionist")
    for id in ("90", "50"):
        problem = site.post("/v1/webhooks", json={"manager_id": id, "url": receiver.url()}).problem(403)
        assert problem["code"] == "super_manager_cannot_own_webhooks"


def test_api_cross_owner_takes_the_same_time(two_managers):
    """api-cross-owner: what is another's and what is not there cannot be told apart by the clock."""
    scene = two_managers
    real, fake = [], []
    for _ in range(60):
        real.append(scene.seven.get(f"/v1/deliveries/{scene.their_delivery}").took)
        fake.append(scene.seven.get(f"/v1/deliveries/{absent(scene.their_delivery)}").took)
    assert abs(statistics.median(real) - statistics.median(fake)) < 0.005


def test_without_a_key_nothing_is_told(bellhop, site):
    for key in [None, "", "bhk_wrong", "bhk_" + "A" * 43, "Basic x"]:
        for method, path in [("GET", "/v1/webhooks"), ("POST", "/v1/events"), ("GET", "/v1/managers/7"), ("DELETE", "/v1/managers/7"), ("GET", "/v1/nothing")]:
            answer = Api(bellhop.url, key).request(method, path)
            answer.problem(401, "unauthorized")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert site.get("/v1/managers/7").status == 200


def test_a_revoked_key_opens_nothing(site):
    made = site.post("/v1/keys", json={"role": "manager", "manager_id": "7"}).ok(201)
    key = site.with_key(made["key"])
    key.get("/v1/webhooks").ok()
    site.delete(f"/v1/keys/{made['id']}").ok(200, 204)
    key.get("/v1/webhooks").problem(401)


def test_an_emitter_hands_over_and_does_nothing_else(site):
    emitter = site.emit_key()
    emitter.send()
    for method, path in [("GET", "/v1/events"), ("GET", "/v1/webhooks"), ("GET", "/v1/managers"), ("PUT", "/v1/managers/9"), ("GET", "/v1/deliveries")]:
        body = {"name": "x", "role": "manager"} if method == "PUT" else None
        emitter.request(method, path, json=body).problem(403, "role_not_allowed")


# --- api-idempotency ----------------------------------------------------------------------------

BODY = '{"type":"booking_added","data":{"property_uid":12,"contract_uid":41}}'


@pytest.mark.smoke
def test_api_idempotency(bellhop, site, receiver):
    """api-idempotency: twenty callers with one key and one body make one event, also after a restart and after kill -9."""
    site.webhook(receiver.url())

    def post(api=site, body=BODY, key="order-41"):
        return api.post("/v1/events", body=body, headers={"Idempotency-Key": key})

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        found = [future.result() for future in [pool.submit(post) for _ in range(20)]]
    assert {answer.status for answer in found} == {202}
    assert len({answer.body for answer in found}) == 1
    replayed = [answer.headers.get("Idempotent-Replayed") for answer in found]
    assert replayed.count(None) == 1 and replayed.count("true") == 19
    event = found[0].json["id"]

    post(body=BODY.replace("41", "42")).problem(409, "idempotency_conflict")
    other = post(api=site.emit_key()).ok(202)["id"]
    assert other != event, "the key of another caller is another key"

    bellhop.restart()
    assert post(bellhop.site).json["id"] == event
    bellhop.kill()
    bellhop.start()
    again = post(bellhop.site)
    assert (again.status, again.json["id"], again.headers["Idempotent-Replayed"]) == (202, event, "true")
    post(bellhop.site, body=BODY.replace("41", "42")).problem(409, "idempotency_conflict")

    wait_state(bellhop.site, event, "delivered")
    wait_state(bellhop.site, other, "delivered")
    assert sorted(receiver.ids) == sorted([event, other])
    assert len(bellhop.site.get("/v1/events").ok()["data"]) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "schlüssel", "a\tb"], ids=["empty", "256", "blank", "umlaut", "tab"])
def test_api_idempotency_bad_keys(site, key):
    """api-idempotency: a key of no or too many characters, or of other than visible ASCII, is a 400."""
    headers = {"Idempotency-Key": key.encode().decode("latin-1")}
    site.post("/v1/events", body=BODY, headers=headers).problem(400, "invalid_idempotency_key")
    if key and key.isascii() and "\t" not in key:
        member = json.dumps({"type": "booking_added", "id": key, "data": {"property_uid": 12}})
        assert site.post("/v1/events", body=member).status in (400, 422)
    assert site.get("/v1/events").ok()["data"] == []


def test_api_idempotency_huge_key(site):
    """api-idempotency: a hundred thousand characters are refused by the limit on headers, and cost nothing else."""
    answer = site.post("/v1/events", body=BODY, headers={"Idempotency-Key": "x" * 100_000})
    assert answer.status in (400, 413, 431)
    site.get("/v1/events").ok()
    site.post("/v1/events", body=BODY, headers={"Idempotency-Key": "x" * 255}).ok(202)


def test_api_idempotency_id_with_a_full_stop(site, receiver):
    """
    api-idempotency: an id with a full stop would make the signed text ambiguous. Ours is the webhook-id,
    so the caller's may be what it likes.
    """
    site.webhook(receiver.url())
    event = site.send("booking_added", id="a.1767225600")
    again = site.hand_over("booking_added", id="a.1767225600")
    assert again.ok(202)["id"] == event and again.headers["Idempotent-Replayed"] == "true"
    wait_state(site, event, "delivered")
    assert "." not in receiver.ids[0] and receiver.ids[0].startswith("evt_")
    assert site.get(f"/v1/events/{event}").ok()["caller_id"] == "a.1767225600"


def test_a_call_of_many_is_repeated_as_a_whole(site, receiver):
    site.webhook(receiver.url())
    body = "[" + ",".join('{"type":"booking_added","data":{"property_uid":12,"contract_uid":%d}}' % n for n in range(5)) + "]"
    headers = {"Idempotency-Key": "burst 1".replace(" ", "-")}
    first = site.post("/v1/events", body=body, headers=headers)
    again = site.post("/v1/events", body=body, headers=headers)
    assert first.ok(202) == again.ok(202) and again.headers["Idempotent-Replayed"] == "true"
    assert first.body == again.body
    wait_for(lambda: len(receiver.requests) == 5, "five requests")


def test_exact_duplicates_in_one_call_count_once(site, receiver):
    site.webhook(receiver.url())
    one = '{"type":"booking_added","data":{"property_uid":12,"contract_uid":1}}'
    two = one.replace(":1}", ":2}")
    answer = site.post("/v1/events", body=f"[{one},{two},{one}]").ok(202)["events"]
    assert [entry["duplicate"] for entry in answer] == [False, False, True]
    assert answer[0]["id"] == answer[2]["id"] != answer[1]["id"]
    wait_state(site, answer[1]["id"], "delivered")
    wait_state(site, answer[0]["id"], "delivered")
    assert sorted(receiver.ids) == sorted({entry["id"] for entry in answer})


# --- api-pagination-ties ------------------------------------------------------------------------


@pytest.mark.smoke
def test_api_pagination_ties(site, receiver):
    """api-pagination-ties: thirty deliveries of one moment, seven a page, while new ones come in: each exactly once."""
    webhooks = [site.webhook(receiver.url(f"/{n}"))["id"] for n in range(30)]
    event = site.send()
    wait_state(site, event, "delivered", within=30)

    for path in (f"/v1/deliveries?event_id={event}", "/v1/deliveries?state=delivered"):
        rows, cursor = [], None
        while True:
            page = site.get(f"{path}&limit=7" + (f"&cursor={urllib.parse.quote(cursor)}" if cursor else "")).ok()
            rows += page["data"]
            cursor = page["next"]
            if cursor is None:
                break
            site.send("booking_added", {"property_uid": 21, "contract_uid": len(rows)})
        mine = [row for row in rows if row["event_id"] == event]
        assert sorted(row["webhook_id"] for row in mine) == sorted(webhooks)
        assert len({row["id"] for row in rows}) == len(rows)


def test_api_pagination_ties_of_every_list(site, receiver):
    """api-pagination-ties: every list walks to its end, page by page, without loss or repeat."""
    for n in range(20):
        site.manager(f"m{n:02}")
        site.property(f"p{n:02}", "7")
        site.webhook(receiver.url(f"/{n}"), enabled=False)
        site.post("/v1/keys", json={"role": "emit", "name": str(n)}).ok(201)
    for n in range(20):
        site.send("booking_added", {"property_uid": 12, "contract_uid": n})
    for path, least in [("/v1/managers", 22), ("/v1/properties", 23), ("/v1/webhooks", 20), ("/v1/keys", 21), ("/v1/events", 20),
                        ("/v1/deliveries", 400), ("/v1/event-types", 63), ("/v1/audit", 60)]:  # fmt: skip
        rows = site.walk(path, limit=7 if least < 100 else 90)
        keys = [row.get("id") or row.get("name") for row in rows] if path != "/v1/audit" else [json.dumps(row) for row in rows]
        assert len(rows) >= least and len(set(keys)) == len(rows), path


def test_api_pagination_ties_attempts(install, make_receiver):
    """api-pagination-ties: the attempts of one delivery page by their number."""
    site = small_world(install().start())
    receiver = make_receiver(answers(reply(500), reply(500), reply(500), reply(200)))
    site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]["id"]
    rows = site.walk(f"/v1/deliveries/{delivery}/attempts", limit=1)
    assert [row["number"] for row in rows] == [1, 2, 3, 4]


def test_api_pagination_ties_bad_cursors(two_managers):
    """api-pagination-ties: an altered cursor, another's, one of another list: 400, and never page one again in silence."""
    scene = two_managers
    for n in range(9):
        scene.site.send("booking_added", {"property_uid": 12, "contract_uid": 100 + n})
        scene.site.send("booking_added", {"property_uid": 21, "contract_uid": 100 + n})
    cursor = scene.seven.get("/v1/events?limit=2").ok()["next"]
    assert cursor
    quoted = urllib.parse.quote(cursor)
    scene.seven.get(f"/v1/events?limit=2&cursor={quoted}").ok()
    for position in (0, len(cursor) // 2, len(cursor) - 2):
        other = cursor[:position] + ("A" if cursor[position] != "A" else "B") + cursor[position + 1 :]
        scene.seven.get(f"/v1/events?limit=2&cursor={urllib.parse.quote(other)}").problem(400, "invalid_parameter")
    scene.eight.get(f"/v1/events?limit=2&cursor={quoted}").problem(400, "invalid_parameter")
    scene.seven.get(f"/v1/deliveries?limit=2&cursor={quoted}").problem(400, "invalid_parameter")
    scene.seven.get(f"/v1/events?type=booking_added&limit=2&cursor={quoted}").problem(400, "invalid_parameter")
    for bad in ["x", "", "AAAA", "%00", "../../x"]:
        scene.seven.get(f"/v1/events?cursor={bad}").problem(400, "invalid_parameter")


@pytest.mark.parametrize("limit", ["0", "-1", "1e9", "101", "abc", "", "1000000000", "99999999999999999999", "1.5"])
def test_api_pagination_ties_bad_limits(site, limit):
    """api-pagination-ties: a limit outside 1 to 100 is a 400 that says so."""
    for path in ("/v1/events", "/v1/deliveries", "/v1/webhooks", "/v1/managers"):
        assert "100" in site.get(f"{path}?limit={limit}").problem(400, "invalid_parameter")["detail"]


# --- log-redaction ------------------------------------------------------------------------------

SECRETS = {"basic": "pass-w0rd/s3cr3t+1", "header": "s3cr3t-token-1"}


def spellings(secret):
    raw = secret.encode()
    yield raw
    yield urllib.parse.quote(secret, safe="").encode()
    for pad in range(3):  # base64 in whatever position of a longer text
        coded = base64.b64encode(b"\0" * pad + raw + b"\0" * ((3 - (pad + len(raw)) % 3) % 3))
        yield coded[4:-4]


def test_log_redaction(bellhop, site, receiver):
    """
    log-redaction: passwords, signing secrets and the values of own headers are in no log, list, attempt or file.

    At the most verbose log, after a delivery, failures and retries; looked for plain, URL-encoded and in base64.
    """
    receiver.script = answers(reply(500, b"no", [("X-Echo", "y")]), reply(200))
    settings = {"url": receiver.url(), "basic_username": "user", "basic_password": SECRETS["basic"]}
    body = {"manager_id": "7", "method": "basic", "settings": settings, "headers": {"X-Figma-Token": SECRETS["header"]}}
    created = site.post("/v1/webhooks", json=body)
    webhook = created.ok(201)
    signing = webhook["secret"]
    refused = site.webhook(f"http://127.0.0.1:{dead_port()}/", manager="8", headers={"Authorization": f"Bearer {SECRETS['header']}"})
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]
    other = site.send("booking_added", {"property_uid": 21})
    wait_attempts(site, the_delivery(site, other)["id"], 1)
    assert receiver.requests[0].one("x-figma-token") == SECRETS["header"]
    manager_key = site.manager_key("7")

    shown = [created.body.replace(signing.encode(), b"")]
    for id in (webhook["id"], refused["id"]):
        shown.append(site.get(f"/v1/webhooks/{id}").body)
        shown.append(site.patch(f"/v1/webhooks/{id}", json={"name": "renamed", "headers": {"X-Figma-Token": "***"} if id == webhook["id"] else {"Authorization": "***"}}).body)
    for path in ["/v1/webhooks", "/v1/audit", "/v1/events", f"/v1/deliveries/{delivery['id']}/attempts", "/v1/deliveries", "/metrics",
                 f"/v1/deliveries/{the_delivery(site, other)['id']}/attempts", "/v1/keys", "/v1/methods"]:  # fmt: skip
        shown.append(site.get(path).body)
        shown.append(manager_key.get(path).body)
    later = site.send("booking_added", {"property_uid": 12, "contract_uid": 2})
    wait_state(site, later, "delivered")
    assert receiver.of(later)[0].one("x-figma-token") == SECRETS["header"], "a masked value given back keeps the old one"
    assert receiver.of(later)[0].one("authorization").startswith("Basic ")

    bellhop.stop()
    keys = [bellhop.key, manager_key.key]
    files = {file.name: file.read_bytes() for file in bellhop.data.iterdir() if file.name != "site.key"}
    for secret in [*SECRETS.values(), signing, signing.removeprefix("whsec_"), *keys]:
        assert_nowhere(secret, shown, bellhop)
    raw_key = base64.b64decode(signing.removeprefix("whsec_"))
    assert all(raw_key not in content for content in files.values())


def test_log_redaction_of_urls(bellhop, site, receiver):
    """A URL may hold a token in its query or path: the log names the webhook, not the URL's secret parts."""
    site.webhook(receiver.url("/hook?token=s3cr3t-in-query"))
    wait_state(site, site.send(), "delivered")
    assert "s3cr3t-in-query" not in bellhop.log


def test_the_secret_is_shown_to_its_owner_on_request(two_managers):
    scene = two_managers
    path = f"/v1/webhooks/{scene.mine['id']}/secret"
    assert scene.seven.get(path).ok()["secret"] == scene.mine["secret"]
    assert scene.site.get(path).ok()["secret"] == scene.mine["secret"]
    scene.eight.get(path).problem(404, "not_found")


# --- the rest of the contract -------------------------------------------------------------------


def test_credentials_are_asked_for_again_when_the_host_changes(site, make_receiver):
    first, second = make_receiver(), make_receiver()
    settings = {"url": first.url(), "basic_username": "u", "basic_password": "p"}
    webhook = site.post("/v1/webhooks", json={"manager_id": "7", "method": "basic", "settings": settings}).ok(201)
    assert webhook["settings"]["basic_password"] == {"set": True}
    path = f"/v1/webhooks/{webhook['id']}"
    host = second.url().replace("127.0.0.1", "localhost")
    problem = site.patch(path, json={"settings": {"url": host}})
    assert problem.status == 422
    moved = site.patch(path, json={"settings": {"url": first.url("/other")}}).ok(200)
    assert moved["settings"]["basic_password"] == {"set": True}, "another path of the same host keeps them"


def test_a_change_seen_against_an_old_revision_is_refused(site, receiver):
    webhook = site.webhook(receiver.url())
    path = f"/v1/webhooks/{webhook['id']}"
    assert site.get(path).headers["ETag"] == f'"{webhook["revision"]}"'
    site.patch(path, json={"name": "one"}, headers={"If-Match": f'"{webhook["revision"]}"'}).ok(200)
    site.patch(path, json={"name": "two"}, headers={"If-Match": f'"{webhook["revision"]}"'}).problem(409, "conflict")
    assert site.get(path).ok()["name"] == "one"


def test_webhook_test_sends_even_when_disabled_and_is_not_retried(site, receiver):
    receiver.script = answers(reply(500))
    webhook = site.webhook(receiver.url(), enabled=False)
    made = site.post(f"/v1/webhooks/{webhook['id']}/test").ok(202)
    delivery = wait_state(site, made["event_id"], "exhausted")[0]
    assert delivery["id"] == made["delivery_id"] and delivery["test"] is True and delivery["attempts"] == 1
    assert json.loads(receiver.requests[0].body)["type"] == "bellhop.test"


@pytest.mark.parametrize(
    "method,path,body,type,status,code",
    [
        ("POST", "/v1/events", "type=booking_added", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ("POST", "/v1/events", BODY, "text/plain", 415, "unsupported_media_type"),
        ("PUT", "/v1/events", BODY, "application/json", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", None, None, 404, "not_found"),
        ("GET", "/v1/events/evt_xyz", None, None, 404, "not_found"),
        ("GET", "/v1/events?colour=red", None, None, 400, "invalid_parameter"),
        ("GET", "/v1/deliveries?state=lost", None, None, 400, "invalid_parameter"),
        ("POST", "/v1/events", '{"type":"no_such","data":{}}', "application/json", 422, "unknown_event_type"),
        ("POST", "/v1/events", '{"typ":"booking_added","data":{}}', "application/json", 422, "invalid_field"),
        ("POST", "/v1/events", '{"type":"booking_added","data":[]}', "application/json", 422, "invalid_field"),
        ("POST", "/v1/events", '{"type":"booking_added"}', "application/json", 422, "invalid_field"),
        ("POST", "/v1/events", '{"type":"booking_added","data":{},"occurred_at":"yesterday"}', "application/json", 422, "invalid_field"),
        ("PUT", "/v1/managers/9", '{"name":"x","role":"king"}', "application/json", 422, "invalid_field"),
        ("PUT", "/v1/managers/9", '{"name":"x","colour":"red"}', "application/json", 422, "invalid_field"),
        ("POST", "/v1/webhooks", '{"manager_id":"7","url":"http://127.0.0.1:9/","events":["no_such"]}', "application/json", 422, "invalid_field"),
        ("POST", "/v1/webhooks", '{"manager_id":"7","url":"http://127.0.0.1:9/","timeout_seconds":2}', "application/json", 422, "invalid_field"),
        ("POST", "/v1/webhooks", '{"manager_id":"7","url":"http://127.0.0.1:9/","method":"no_such"}', "application/json", 422, "invalid_field"),
        ("POST", "/v1/webhooks", '{"manager_id":"7","method":"basic","settings":{"url":"http://127.0.0.1:9/"}}', "application/json", 422, "invalid_field"),
        ("POST", "/v1/keys", '{"role":"manager"}', "application/json", 422, "invalid_field"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(site, method, path, body, type, status, code):
    answer = site.request(method, path, body=body, content_type=type)
    problem = answer.problem(status, code)
    if status == 405:
        assert "POST" in answer.headers["Allow"]
    if code == "invalid_field":
        assert problem["pointer"].startswith("/"), problem


def test_curls_default_content_type_is_told_what_to_add(site):
    problem = site.post("/v1/events", body=BODY, content_type="application/x-www-form-urlencoded").problem(415)
    assert "Content-Type: application/json" in problem["detail"]


def test_health_readiness_and_metrics_need_no_key(bellhop):
    nobody = Api(bellhop.url)
    assert nobody.get("/healthz").ok() == {"status": "ok"}
    assert nobody.get("/readyz").ok()["store"] == "ok"
    metrics = nobody.get("/metrics")
    assert metrics.status == 200 and metrics.headers["Content-Type"].startswith("text/plain")
    for line in metrics.body.decode().splitlines():
        assert line.startswith("#") or re.fullmatch(r'[a-z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eE]+|[a-z_:]+(\{[^}]*\})? (NaN|\+Inf)', line), line


def test_the_metrics_count_what_ended_how(site, receiver, bellhop):
    site.webhook(receiver.url())
    for contract in range(3):
        wait_state(site, site.send("booking_added", {"property_uid": 12, "contract_uid": contract}), "delivered")

    def counted():
        lines = Api(bellhop.url).get("/metrics").body.decode().splitlines()
        return {line for line in lines if re.match("bellhop_(deliveries|attempts)_total", line) and not line.endswith(" 0")}

    expected = {'bellhop_deliveries_total{state="delivered"} 3', 'bellhop_attempts_total{outcome="delivered"} 3'}
    wait_for(lambda: counted() == expected, "the metrics to count three")


def test_head_answers_as_get_without_the_body(site):
    get, head = site.get("/v1/managers/7"), site.request("HEAD", "/v1/managers/7")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.smoke
def test_many_connections_at_once(site, receiver):
    """Sixty-four callers with an event each: all accepted, all delivered."""
    site.webhook(receiver.url())
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        started = time.monotonic()
        events = [f.result() for f in [pool.submit(site.send, "booking_added", {"property_uid": 12, "contract_uid": n}) for n in range(320)]]
    wait_for(lambda: set(events) == set(receiver.ids), "all to arrive", within=60)
    assert len(set(events)) == 320 and time.monotonic() - started < 60
    assert attempts_of(site, the_delivery(site, events[0])["id"])[0]["outcome"] == "delivered"
