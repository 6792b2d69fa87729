"""Every Lua block of docs/methods.md is run: what the page shows is what happens."""

import hashlib
import hmac
import json
import re
import subprocess
import time

import pytest
from harness.process import BINARY, ROOT, attempts_of, environment, small_world, wait_attempts, wait_state
from harness.receiver import reply
from harness.waiting import wait_for

PAGE = (ROOT / "docs" / "methods.md").read_text()
BLOCKS = [(mark.strip(), text) for mark, text in re.findall(r"^```lua([^\n]*)\n(.*?)^```$", PAGE, re.M | re.S)]
METHODS = {mark.removesuffix(".lua"): text for mark, text in BLOCKS if mark.endswith(".lua")}
SCRIPTS = {mark.removeprefix("script: "): text for mark, text in BLOCKS if mark.startswith("script: ")}
NAMED_PARTS = {mark.removeprefix("part: "): text for mark, text in BLOCKS if mark.startswith("part: ")}
PARTS = [text for mark, text in BLOCKS if mark == "part"]
EXPRESSIONS = [text for mark, text in BLOCKS if mark == "expressions"]
DATA = {"property_uid": 12, "contract_uid": 41}


def test_every_block_says_what_it_is():
    """So that none is left out: the tests below name each of them."""
    counted = len(METHODS) + len(SCRIPTS) + len(NAMED_PARTS) + len(PARTS) + len(EXPRESSIONS)
    assert counted == len(BLOCKS), [mark for mark, _ in BLOCKS]
    assert set(METHODS) == {"acme", "form", "bookings", "hmac", "odd_oauth", "rest", "upsert", "discord", "ntfy"}
    assert set(SCRIPTS) == {"big_bookings", "no_guests", "weekends"}
    assert set(NAMED_PARTS) == {"tokens", "lookup"}
    assert (len(PARTS), len(EXPRESSIONS)) == (2, 2)


# --- A page, a Bellhop and a receiver -------------------------------------------------------------


def deliver_of(part):
    """A part of the page, which stands in a `deliver`, as a whole file."""
    fields = "".join(
        f'{{ key = "{key}", format = "{format}", title = "{key}" }}, '
        for key, format in (("url", "url"), ("token_url", "url"), ("client_id", "input"), ("client_secret", "password"))
    )
    return f'return {{ title = "Part", fields = {{ {fields} }}, deliver = function(event, settings, remote)\n{part}end }}\n'


class Reader:
    """Somebody who tries what he reads."""

    def __init__(self, install, receiver, folder):
        self.receiver = receiver
        self.methods = folder / "methods"
        self.methods.mkdir()
        (self.methods / "none.lua").write_bytes((ROOT / "methods" / "none.lua").read_bytes())
        for name, text in METHODS.items():
            (self.methods / f"{name}.lua").write_text(text)
        for name, text in [*NAMED_PARTS.items(), *((f"part{i}", text) for i, text in enumerate(PARTS)), ("sums", sums()[1])]:
            (self.methods / f"{name}.lua").write_text(deliver_of(text))
        self.bellhop = install(settings={"methods_dir": str(self.methods)}).start()
        self.site = small_world(self.bellhop)

    def answers(self, *steps):
        """A status, or (status, JSON), for each request in turn."""
        left = list(steps)

        def script(exchange):
            step = left.pop(0)
            status, body = step if isinstance(step, tuple) else (step, None)
            exchange.send(reply(status, b"" if body is None else json.dumps(body).encode()))

        self.receiver.script = script

    def webhook(self, method="none", script=None, path="/hook", shape="standard", **settings):
        body = {"manager_id": "7", "method": method, "settings": {"url": self.receiver.url(path), **settings}, "shape": shape, "full_payload": True}
        if script:
            body["script"] = script
        return self.site.post("/v1/webhooks", json=body).ok(201)

    def sends(self, type="booking_added", data=None, state="delivered", **members):
        """The requests that arrive, and the delivery."""
        first = len(self.receiver.requests)
        event = self.site.send(type, data or DATA, **members)
        delivery = wait_state(self.site, event, state)[0]
        return list(self.receiver.requests)[first:], delivery

    def last_attempt(self, delivery):
        return attempts_of(self.site, delivery["id"])[-1]


@pytest.fixture
def reader(install, receiver, tmp_path):
    return Reader(install, receiver, tmp_path)


def command(*arguments, expect=0):
    done = subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, text=True, timeout=60, env=environment())
    assert done.returncode == expect, done.stdout + done.stderr
    return done


# --- The first method -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_each_method_of_the_page_passes_its_check(tmp_path, name):
    file = tmp_path / f"{name}.lua"
    file.write_text(METHODS[name])
    title = re.search(r'title = "([^"]*)"', METHODS[name])[1]
    assert title in command("method", "check", file).stdout


def test_the_first_method_is_tried_dropped_in_and_used(reader, tmp_path):
    file = tmp_path / "acme.lua"
    file.write_text(METHODS["acme"])
    tried = command(
        "method", "try", file, "--event", "booking_added", "--set", "url=https://acme.example/in", "--set", "api_key=k123-of-acme", "--answer", "401",
        expect=1,
    ).stdout  # fmt: skip
    assert "https://acme.example/in" in tried and "X-Acme-Key" in tried and "401" in tried
    assert "k123-of-acme" not in tried

    reader.webhook("acme", api_key="k123-of-acme")
    [request], _ = reader.sends()
    assert request.one("x-acme-key") == "k123-of-acme"
    assert json.loads(request.body)["data"] == DATA


def test_the_mistake_of_the_page_is_named_as_the_page_says(tmp_path):
    [told] = re.findall(r"\(`(acme\.lua:\d+: [^`]*)`\)", PAGE)
    file = tmp_path / "acme.lua"
    file.write_text(METHODS["acme"].replace('"password"', '"pasword"'))
    assert told in command("method", "check", file, expect=1).stderr


def test_the_commands_of_the_page_exist():
    """Each is asked for its help, and each option is in it."""
    commands = re.findall(r"^bellhop ((?:[a-z-]+ ?)+)(.*)$", "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)), re.M)
    assert len(commands) >= 8
    for words, rest in commands:
        told = command("help", *words.split()[:2]).stdout
        for option in re.findall(r"(--[a-z-]+)", rest.split("#")[0]):
            assert option in told, f"bellhop {words}: {option}"


# --- Forms ----------------------------------------------------------------------------------------


def test_the_form_with_every_format(reader):
    formats = {field["format"] for field in reader.site.get("/v1/methods/form").ok()["fields"]}
    told = set(re.findall(r"^\| `([a-z]+)` \| .* \| .* \|$", PAGE.split("| format | the manager enters")[1].split("\n\n")[0], re.M))
    assert formats == told

    reader.webhook("form", urgent=True)
    [request], _ = reader.sends()
    assert json.loads(request.body) == {"batch": 10, "urgent": True}  # the list does not count in this mode


@pytest.mark.parametrize("given, says", [({}, "list_id"), ({"list_id": "what?"}, "digits and a to f"), ({"list_id": "ab1", "batch": 101}, "100")])
def test_the_form_refuses_what_the_page_says(reader, given, says):
    settings = {"url": reader.receiver.url(), "mode": "list", **given}
    problem = reader.site.post("/v1/webhooks", json={"manager_id": "7", "method": "form", "settings": settings}).problem(422)
    assert says in problem["detail"] + problem.get("pointer", ""), problem


def test_the_form_trims_and_takes_what_fits(reader):
    reader.webhook("form", mode="list", list_id="  ab1 ", batch=100)
    [request], _ = reader.sends()
    assert json.loads(request.body) == {"list": "ab1", "batch": 100, "urgent": False}


# --- Parts ----------------------------------------------------------------------------------------


def test_the_requests_of_the_page(reader):
    reader.webhook("part0")
    requests, _ = reader.sends()
    assert [request.method for request in requests] == ["POST", "PUT", "GET", "DELETE"]
    assert requests[0].one("x-source") == "Harbour House"


def test_the_409_of_the_page(reader):
    reader.webhook("part1")
    reader.answers(409)
    requests, delivery = reader.sends()
    assert len(requests) == 1
    assert "Acme had it already" in json.dumps(reader.last_attempt(delivery))


def token(value, **more):
    return (200, {"access_token": value, "token_type": "Bearer", "expires_in": 3600, **more})


def test_the_tokens_of_the_page(reader):
    reader.webhook("tokens", token_url=reader.receiver.url("/token"), client_id="me", client_secret="s3cret")
    reader.answers(token("one"), 200, 401, token("two"), 200)
    first, _ = reader.sends()
    assert [request.target for request in first] == ["/token", "/hook"]
    assert b"tenant=harbour" in first[0].body and b"scope=events.write" in first[0].body
    second, _ = reader.sends(data={**DATA, "contract_uid": 42})
    assert [request.target for request in second] == ["/hook", "/token", "/hook"]
    assert [request.all("authorization") for request in (first[1], second[0], second[2])] == [["Bearer one"], ["Bearer one"], ["Bearer two"]]


def test_the_lookup_of_the_page(reader):
    reader.webhook("lookup")
    [request], _ = reader.sends(details={"guest": {"email": "ada@example.org"}})
    assert json.loads(request.body) == {"email": "ada@example.org"}
    requests, delivery = reader.sends(data={**DATA, "contract_uid": 42})
    assert requests == [] and "no guest" in json.dumps(reader.last_attempt(delivery))


# --- accepts, transform and own scripts -----------------------------------------------------------


def test_the_bookings_as_text(reader):
    reader.webhook("bookings")
    [request], _ = reader.sends()
    assert (request.body, request.one("content-type")) == (b"booking_added: 41", "text/plain")
    requests, _ = reader.sends("guest_saved", {"property_uid": 12, "guest_uid": 3}, state="filtered")
    assert requests == []


@pytest.mark.parametrize(
    "details, state",
    [({"total": 500}, "delivered"), ({"total": "499.99"}, "filtered"), ({"total": 12345678901234567890123}, "delivered"), ({}, "delivered"), (None, "delivered")],
)
def test_the_big_bookings(reader, details, state):
    reader.webhook(script=SCRIPTS["big_bookings"])
    requests, _ = reader.sends(state=state, **({} if details is None else {"details": details}))
    assert len(requests) == (state == "delivered")


def test_the_dry_run_of_the_page(reader, tmp_path):
    webhook = reader.webhook()
    events = [reader.sends(details={"total": total}, data={**DATA, "contract_uid": total})[1]["event_id"] for total in (400, 600)]
    arrived = len(reader.receiver.requests)
    file = tmp_path / "big_bookings.lua"
    file.write_text(SCRIPTS["big_bookings"])
    told = reader.bellhop.run("webhook", "dry-run", webhook["id"], "--script", f"@{file}", "--type", "booking_added", "--json", json_output=True)
    assert {row["event_id"]: row["verdict"] for row in told["data"]} == dict(zip(events, ("filtered", "sent")))
    assert len(reader.receiver.requests) == arrived

    tried = command("method", "try", ROOT / "methods" / "none.lua", "--script", file, "--event", "booking_added", "--details", '{"total":620}',
                    "--set", "url=https://acme.example/in", "--answer", "200").stdout  # fmt: skip
    assert "acme.example" in tried
    tried = command("method", "try", ROOT / "methods" / "none.lua", "--script", file, "--event", "booking_added", "--details", '{"total":420}',
                    "--set", "url=https://acme.example/in", "--answer", "200").stdout  # fmt: skip
    assert "filtered" in tried.lower()


def test_the_guests_data_stays_in_the_house(reader):
    reader.webhook(script=SCRIPTS["no_guests"])
    data = '{"property_uid":12,"contract_uid":9007199254740993,"note":"late","price":412.50}'
    [request], _ = reader.sends(data=data, details={"guest": {"email": "ada@example.org"}, "nights": 3})
    body = json.loads(request.body)
    assert body["data"] == {"property_uid": 12, "contract_uid": 9007199254740993, "price": 412.5}
    assert body["details"] == {"nights": 3} and body["type"] == "booking_added" and body["id"] == request.id


@pytest.mark.parametrize(
    "arrival, total, state",
    [("2026-11-27", 301, "delivered"), ("2026-11-28", 301, "delivered"), ("2026-11-27", "300.00", "filtered"), ("2026-11-26", 900, "filtered")],
)
def test_the_expensive_weekends(reader, arrival, total, state):
    """27 November 2026 is a Friday."""
    reader.webhook(script=SCRIPTS["weekends"])
    reader.sends(state=state, details={"arrival": arrival, "total": total})


def test_the_script_of_the_first_webhook(reader):
    [script] = re.findall(r"^```lua script: first\n(.*?)^```$", (ROOT / "docs" / "first-webhook.md").read_text(), re.M | re.S)
    reader.webhook(script=script)
    reader.sends(data={**DATA, "contract_uid": 41}, state="filtered")
    [request], _ = reader.sends(data={**DATA, "contract_uid": 42})
    assert json.loads(request.body) == {"text": "Booking 42: booking_added"}


# --- Libraries ------------------------------------------------------------------------------------


def expressions(block):
    found = re.findall(r"^(.*?)\s+--> (.*)$", block, re.M)
    assert len(found) == len([line for line in block.splitlines() if line])
    return found


def sums():
    """A method that posts what each expression of the page comes to, a line each."""
    pairs = [pair for block in EXPRESSIONS for pair in expressions(block)]
    lines = "".join(f"said[#said + 1] = tostring(({code}))\n" for code, _ in pairs)
    return pairs, f"local said = {{}}\n{lines}return remote.post(settings.url, {{ body = table.concat(said, '\\n') }})\n"


def test_each_expression_of_the_page_gives_what_it_says(reader):
    reader.webhook("sums")
    [request], _ = reader.sends()
    pairs, _ = sums()
    said = request.body.decode().split("\n")
    assert list(zip((code for code, _ in pairs), said)) == pairs


# --- The cookbook ---------------------------------------------------------------------------------


def test_the_hmac_of_another_service(reader):
    reader.webhook("hmac", key="another key")
    [request], _ = reader.sends()
    stamp = request.one("x-timestamp")
    assert abs(int(stamp) - time.time()) < 60
    expected = hmac.new(b"another key", stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.one("x-signature") == "sha256=" + expected


def odd(reader):
    return reader.webhook("odd_oauth", token_url=reader.receiver.url("/token"), client_id="me", client_secret="s3cret")


def test_the_odd_oauth_replaces_a_token_that_is_over(reader):
    odd(reader)
    reader.answers(token("one"), (200, {"error": "token_expired"}), token("two"), (200, {"ok": True}))
    requests, _ = reader.sends()
    assert [request.target for request in requests] == ["/token", "/hook", "/token", "/hook"]
    assert [request.one("x-access-token") for request in requests if request.target == "/hook"] == ["one", "two"]
    assert b"account=hotels" in requests[0].body and b"client_secret=s3cret" in requests[0].body


def test_the_odd_oauth_tells_of_other_trouble(reader):
    odd(reader)
    reader.answers(token("one"), (200, {"error": "no_such_account"}), (200, {"ok": True}))
    _, delivery = reader.sends()
    first = wait_attempts(reader.site, delivery["id"], 2)[0]
    assert first["outcome"] == "failed" and "no_such_account" in json.dumps(first)


def test_the_rest_collection(reader):
    reader.webhook("rest", path="/bookings")
    [put], _ = reader.sends()
    assert (put.method, put.target) == ("PUT", "/bookings/41")
    reader.answers(404)
    [gone], delivery = reader.sends("booking_cancelled")
    assert (gone.method, gone.target) == ("DELETE", "/bookings/41")
    assert "not there any more" in json.dumps(reader.last_attempt(delivery))


def test_two_calls_in_one_delivery(reader):
    reader.webhook("upsert", path="/contacts", key="k3y-of-crm")
    reader.answers((200, []), 201)
    guest = {"property_uid": 12, "guest_uid": 3}
    requests, _ = reader.sends("guest_saved", guest, details={"name": "Ada"})
    assert [(request.method, request.target) for request in requests] == [("GET", "/contacts?ref=3"), ("POST", "/contacts")]
    assert json.loads(requests[1].body) == {"ref": "3", "details": {"name": "Ada"}}
    reader.answers((200, [{"id": 77}]), 200)
    requests, _ = reader.sends("guest_updated", guest)
    assert [(request.method, request.target) for request in requests] == [("GET", "/contacts?ref=3"), ("PUT", "/contacts/77")]
    assert all(request.one("authorization") == "Bearer k3y-of-crm" for request in requests)


def test_discord(reader):
    reader.webhook("discord")
    reader.answers(204, 404)
    [request], _ = reader.sends()
    assert json.loads(request.body) == {"content": "booking_added at property 12", "allowed_mentions": {"parse": []}}
    _, delivery = reader.sends(data={**DATA, "contract_uid": 42}, state="exhausted")
    assert "make a new one" in json.dumps(reader.last_attempt(delivery))


def test_ntfy(reader):
    reader.webhook("ntfy", topic="harbour")
    [request], _ = reader.sends()
    body = json.loads(request.body)
    assert (body["topic"], body["priority"], body["title"], body["tags"]) == ("harbour", 3, "booking_added", ["bellhop_bell"])
    assert request.all("authorization") == []
    reader.site.patch(f"/v1/webhooks/{wait_for(lambda: reader.site.get('/v1/webhooks').ok()['data'], 'it')[0]['id']}",
                      json={"settings": {"token": "tk_abcdef"}}).ok()  # fmt: skip
    [request], _ = reader.sends(data={**DATA, "contract_uid": 42})
    assert request.one("authorization") == "Bearer tk_abcdef"
