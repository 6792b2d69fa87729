"""
What a method and a script cost: CPU of the engine's process for each delivery, against the same delivery by method `none`.

One engine, one sink, one token service; each kind has a manager, a property and webhooks of its own. In each round every kind gets the same
number of events, in turn, with a run of `none` between every two; each is compared with the mean of `none` before it and after it, so that the
noise of the machine falls on all alike. The figure is the median of the rounds' ratios. `none` itself is one of the kinds: what it is off from 1
is the noise that is left.

Once with one webhook an event, as `fanout1`, and once with ten, as `fanout10`: there taking the event in is a tenth of it, and a method's share
is plainer to see.
"""

import http.server
import json
import statistics
import threading
import time

from engine import Bellhop, allow, drive, free_port, wait_for

ROUNDS = 21
EVENTS = {1: 2000, 10: 300}  # a round, by fan-out
WARM = 300
SCRIPT_TRANSFORM = """
return {
  transform = function(event)
    local data = event.data
    data.contract_uid = data.contract_uid + 1000000
    data.guest = "hidden"
    return { type = event.type, id = event.id, data = data }
  end,
}
"""
SCRIPT_ACCEPTS = """
return {
  accepts = function(event)
    return event.data.contract_uid > 0
  end,
}
"""


class TokenService(http.server.BaseHTTPRequestHandler):
    """Client credentials in, a token for an hour out."""

    protocol_version = "HTTP/1.1"
    requests = 0

    def do_POST(self):
        TokenService.requests += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"access_token": f"bench-token-{self.requests}", "token_type": "Bearer", "expires_in": 3600}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Kind:
    """`proof` looks at the request as it went out: is this kind really what is measured?"""

    def __init__(self, name, title, goal=None, method="none", settings=None, script=None, proof=None, url_field="url"):
        self.name, self.title, self.goal, self.method, self.script = name, title, goal, method, script
        self.settings, self.url_field = settings or {}, url_field
        self.proof = proof or (lambda head, body: "Authorization" not in head)


def kinds(token_port):
    oauth = {"token_url": f"http://127.0.0.1:{token_port}/token", "client_id": "bench", "client_secret": "secret-of-bench"}
    return [
        Kind("none", "none"),
        Kind("none_again", "none, once more"),
        Kind("basic", "basic", 1.05, "basic", {"basic_username": "bench", "basic_password": "secret"}, proof=lambda head, _: "Authorization: " in head),
        Kind("oauth", "oauth, token at hand", 1.05, "oauth", oauth, proof=lambda head, _: "Authorization: " in head),
        Kind("transform", "own script, transform", 1.3, script=SCRIPT_TRANSFORM, proof=lambda _, body: json.loads(body)["data"]["guest"] == "hidden"),
        Kind("accepts", "own script, accepts", script=SCRIPT_ACCEPTS),
        Kind("slack", "slack", method="slack", settings={"template": "Booking {contract_uid} seq={seq}"}, url_field="webhook_url", proof=lambda _, body: "seq=0" in json.loads(body)["text"]),
    ]  # fmt: skip


def set_up(b, kind, property, sink_port, fanout):
    b.call("PUT", f"/v1/managers/{kind.name}", {"name": kind.name})
    b.call("PUT", f"/v1/properties/{property}", {"name": kind.name, "managers": [kind.name]})
    for i in range(fanout):
        webhook = {"manager_id": kind.name, "name": kind.name, "method": kind.method, "events": ["*"]}
        webhook["settings"] = {kind.url_field: f"http://127.0.0.1:{sink_port}/{kind.name}/{i}", **kind.settings}
        if kind.script:
            webhook["script"] = kind.script
        kind.webhook_id = b.call("POST", "/v1/webhooks", webhook)["id"]


def check(tools, b, kind, property, sink_port, fanout):
    """A first event, looked at closely, and some more that warm up."""
    before = delivered(b)
    drive(tools, b, sink_port, "--events", 1, "--fanout", fanout, "--property", property, "--connections", 1)
    wait_until_recorded(b, before + fanout)
    delivery = b.call("GET", f"/v1/deliveries?webhook_id={kind.webhook_id}&limit=1")["data"][0]
    attempts = b.call("GET", f"/v1/deliveries/{delivery['id']}/attempts")["data"]
    sent = attempts[0]
    if len(attempts) != 1 or not kind.proof(sent["request"], sent["request_body"]):
        raise SystemExit(f"bench: method {kind.name} does not do what is to be measured: {sent}")
    drive(tools, b, sink_port, "--events", WARM, "--fanout", fanout, "--property", property)
    wait_until_recorded(b, before + fanout * (WARM + 1))


def delivered(b):
    return b.metric('bellhop_deliveries_total{state="delivered"}')


def wait_until_recorded(b, count):
    """Arrived is not over: a delivery's record is part of what it costs."""
    wait_for("deliveries to be recorded", lambda: delivered(b) >= count or time.sleep(0.02))


def one_slice(tools, b, property, sink_port, fanout, events):
    recorded = delivered(b)
    before = b.cpu_exactly()
    result = drive(tools, b, sink_port, "--events", events, "--fanout", fanout, "--property", property, "--connections", 16)
    wait_until_recorded(b, recorded + events * fanout)
    after = b.cpu_exactly()
    if result["lost"] or result["copies"] or result["deliveries"] != events * fanout:
        raise SystemExit(f"bench: not every delivery arrived exactly once: {result}")
    return (after - before) / result["deliveries"] * 1e6


def measure(tools, fanout, events):
    tokens = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenService)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    TokenService.requests = 0
    sink_port, token_port = free_port(), tokens.server_address[1]
    all_kinds = kinds(token_port)
    b = Bellhop(tools.binary, f"allow=127.0.0.1:{sink_port},127.0.0.1:{token_port}").start()
    try:
        return take_rounds(tools, b, all_kinds, sink_port, fanout, events)
    finally:
        b.stop()
        tokens.shutdown()
        tokens.server_close()


def take_rounds(tools, b, all_kinds, sink_port, fanout, events):
    property_of = {kind.name: 100 + i for i, kind in enumerate(all_kinds)}
    for kind in all_kinds:
        set_up(b, kind, property_of[kind.name], sink_port, fanout)
        check(tools, b, kind, property_of[kind.name], sink_port, fanout)
    asked = TokenService.requests
    measured = {kind.name: [] for kind in all_kinds}
    none = all_kinds[0].name
    take = lambda name: one_slice(tools, b, property_of[name], sink_port, fanout, events)
    for i in range(ROUNDS):
        before = take(none)
        for kind in all_kinds[1:]:
            cost, after = take(kind.name), take(none)
            measured[kind.name].append((cost, (before + after) / 2))
            before = after
            measured[none].append((after, after))
    if TokenService.requests != asked or asked not in (0, fanout):
        raise SystemExit(f"bench: {asked} tokens for {fanout} webhooks, then {TokenService.requests - asked} more: they were not at hand")
    return {kind.name: summary(kind, measured[kind.name]) for kind in all_kinds}


def summary(kind, pairs):
    ratios = sorted(cost / none for cost, none in pairs)
    quarter = len(ratios) // 4
    ratio = statistics.median(ratios)
    return {
        "title": kind.title,
        "cpu_us": round(statistics.median(cost for cost, _ in pairs), 1),
        "ratio": round(ratio, 3),
        "spread": [round(ratios[quarter], 3), round(ratios[-1 - quarter], 3)],
        "goal": kind.goal,
        "met": None if kind.goal is None else ratio <= kind.goal,
    }


def part_methods(tools, scale):
    result = {f"fanout{fanout}": measure(tools, fanout, max(100, int(events * scale))) for fanout, events in EVENTS.items()}
    result["missed"] = [
        f"{fanout}: {f['title']} costs {f['ratio']} times the CPU of none; goal {f['goal']}"
        for fanout, by_kind in result.items()
        for f in by_kind.values()
        if f["met"] is False
    ]
    return result


def show_methods(r, row):
    for fanout, by_kind in r.items():
        if fanout == "missed":
            continue
        for f in by_kind.values():
            goal = "" if f["goal"] is None else f"goal {f['goal']}: {'met' if f['met'] else 'MISSED'}"
            low, high = f["spread"]
            row(f"{fanout}: {f['title']}, CPU to that of none", f["ratio"], f"{goal:<16} {f['cpu_us']} us, half of the rounds {low} .. {high}")
    for missed in r["missed"]:
        print(f"  GOAL MISSED: {missed}")
