"""Cases from the field: URLs that lead inward (SSRF). No packet may reach what the policy refuses."""

import pytest
from harness.dns import NameServer, use_name_server
from harness.process import attempts_of, small_world, wait_state
from harness.receiver import Receiver, reply
from harness.waiting import never_during, wait_for

NUMERIC_V4 = [
    "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0x7f.1/",
    "http://2852039166/", "http://0251.00376.000251.0000376/", "http://0/", "http://0.0.0.0/", "http://127.0.0.1./",
    "http://localhost/", "http://LOCALHOST./", "http://x.localhost/", "http://100.64.0.1/", "http://192.0.0.192/",
    "http://224.0.0.1/", "http://255.255.255.255/", "http://10.1.2.3/", "http://172.16.0.1/", "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/", "http://168.63.129.16/", "http://192.0.2.1/", "http://198.18.0.1/", "http://240.0.0.1/",
]  # fmt: skip
MAPPED_V6 = [
    "http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:ffff:7f00:1]/", "http://[::ffff:169.254.169.254]/", "http://[fe80::1]/",
    "http://[febf::1]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/", "http://[ff02::1]/", "http://[fec0::1]/",
    "http://[::ffff:10.0.0.5]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[2001:db8::1]/", "http://[::7f00:1]/",
]  # fmt: skip
PUB = "93.184.216.34"
PARSER_SPLIT = {
    "backslash": f"http://127.0.0.1:6666\\@{PUB}/",
    "user": f"http://{PUB}@127.0.0.1/",
    "fragment": f"http://{PUB}#@127.0.0.1/",
    "query": f"http://{PUB}?@127.0.0.1/",
    "two at": "http://a:b@c@127.0.0.1/",
    "tab": f"http://{PUB}\t.evil/",
    "crlf": f"http://{PUB}/\r\nX-Injected: 1",
    "leading blank": f" http://{PUB}/",
    "three slashes": "http:///127.0.0.1/",
    "no slashes": "http:127.0.0.1",
    "open bracket": "http://[::1",
    "port 99999": f"http://{PUB}:99999/",
    "port 0": f"http://{PUB}:0/",
    "circled l": "http://ⓛocalhost/",
    "ideographic dots": "http://127。0。0。1/",
    "circled digits": "http://①②⑦.0.0.1/",
    "percent": "http://%6c%6fcalhost/",
    "nul": f"http://{PUB}\0.evil/",
    "long": f"http://{PUB}/" + "a" * 65536,
    "file": "file:///etc/passwd",
    "gopher": f"gopher://{PUB}/",
    "no scheme": PUB,
    "empty": "",
    "port 22": f"http://{PUB}:22/",
    "port 25": f"http://{PUB}:25/",
}


@pytest.fixture
def guarded(install):
    """The engine in its default policy: nothing private is allowed."""
    return small_world(install(settings={"allow": None}).start())


def refused_at_save(site, url):
    problem = site.post("/v1/webhooks", json={"manager_id": "7", "url": url}).problem(422)
    assert problem["code"] in ("target_refused", "invalid_field"), problem
    assert site.get("/v1/webhooks?manager_id=7").ok()["data"] == []
    return problem


def test_ssrf_numeric_v4(guarded):
    """ssrf-numeric-v4: it is the binary address that is judged, in whatever spelling it comes."""
    for url in NUMERIC_V4:
        assert refused_at_save(guarded, url)["code"] == "target_refused", url


def test_ssrf_mapped_v6(guarded):
    """ssrf-mapped-v6: IPv6 ranges, and IPv4 addresses wrapped in IPv6."""
    for url in MAPPED_V6:
        assert refused_at_save(guarded, url)["code"] == "target_refused", url


@pytest.mark.parametrize("url", PARSER_SPLIT.values(), ids=PARSER_SPLIT.keys())
def test_ssrf_parser_split(guarded, url):
    """ssrf-parser-split: where two parsers could see two hosts, the URL is refused."""
    if url == f"http://{PUB}?@127.0.0.1/":
        # Nothing here is hidden: the host is PUB for every parser, and the rest is its query.
        answer = guarded.post("/v1/webhooks", json={"manager_id": "7", "url": url})
        assert answer.status in (201, 422)
        return
    if url.startswith(" "):
        # Our decision: blanks around a pasted URL are cut off before anything looks at it, so there is one text for all.
        assert guarded.webhook(url)["url"] == url.strip()
        return
    refused_at_save(guarded, url)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "[::1]"])
def test_ssrf_at_send(install, host):
    """
    ssrf-numeric-v4, ssrf-mapped-v6: what stands in the store is judged again at the moment of connecting.

    The webhook is saved while the policy allows it, then the engine starts anew in its default policy. A final failure that
    names the rule; the listener hears no connection.
    """
    bellhop = install(settings={"allow": "127.0.0.0/8,0.0.0.0/8,::1,::ffff:0:0/96,localhost"}).start()
    site = small_world(bellhop)
    listener = v6_receiver() if host == "[::1]" else Receiver()
    try:
        webhook = site.webhook(f"http://{host}:{listener.port}/hook")
        bellhop.stop()
        bellhop.settings["allow"] = None
        bellhop.start()
        site = bellhop.site

        event = site.send()
        delivery = wait_state(site, event, "exhausted")[0]
        [attempt] = attempts_of(site, delivery["id"])
        assert attempt["cause"] == "guard" and attempt["sentence"]
        site.post(f"/v1/webhooks/{webhook['id']}/test").ok(202)
        wait_for(lambda: site.get(f"/v1/deliveries?webhook_id={webhook['id']}&state=exhausted").ok()["data"][1:], "the test to end")
        assert listener.connections == 0
    finally:
        listener.stop()


def v6_receiver():
    try:
        return Receiver(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")


def test_the_engine_is_no_target_of_its_own(bellhop, site):
    """Its own listener is refused even where the policy allows the host."""
    problem = site.post("/v1/webhooks", json={"manager_id": "7", "url": bellhop.url + "/v1/events"}).problem(422, "target_refused")
    assert problem["detail"]


def test_https_only_refuses_http(install, receiver):
    site = small_world(install(settings={"https_only": "yes"}).start())
    site.post("/v1/webhooks", json={"manager_id": "7", "url": receiver.url()}).problem(422)


@pytest.mark.own_namespace("net", "mount")
def test_ssrf_rebinding(install, make_receiver, tmp_path):
    """
    ssrf-rebinding: a name that is a permitted address at one look-up and 127.0.0.1 at the next.

    In a network of its own: 198.51.100.7 plays the permitted address. When the webhooks are saved the names do not exist
    yet, and nothing speaks against them. Each attempt looks once, and connects to nothing but an address that was
    checked: the listener on 127.0.0.1 hears nothing.
    """
    answers = [["198.51.100.7"], ["127.0.0.1"]]
    table = {f"hooks{n}.example.com": answers if n % 2 else answers[::-1] for n in range(6)}
    with NameServer({}) as names:
        use_name_server(names, tmp_path)
        public = make_receiver(reply_and_close, host="198.51.100.7", port=8080)
        inner = make_receiver(host="127.0.0.1", port=8080)
        site = small_world(install(settings={"allow": "198.51.100.0/24"}).start())
        webhooks = [site.webhook(f"http://{name}:8080/hook") for name in table]
        assert all(warning_codes(webhook) == ["name_not_resolved"] for webhook in webhooks)
        names.table.update(table)
        for webhook in webhooks:
            site.post(f"/v1/webhooks/{webhook['id']}/test").ok(202)

        events = [site.send("booking_added", {"property_uid": 12, "contract_uid": n}) for n in range(10)]
        ended = []
        for event in events:
            ended += wait_for(lambda: ended_deliveries(site, event), f"{event} to end", within=60)

        assert {delivery["state"] for delivery in ended} == {"delivered", "exhausted"}, "both answers of the name server were met"
        for delivery in ended:
            attempts = attempts_of(site, delivery["id"])
            if delivery["state"] == "exhausted":
                assert attempts[-1]["cause"] == "guard"
            for attempt in attempts:
                if attempt["address"]:
                    assert attempt["address"].startswith("198.51.100.7:"), attempt
        never_during(lambda: inner.connections, "the engine connected to 127.0.0.1", 0.5)
        assert {request.one("host") for request in public.requests} <= {f"{name}:8080" for name in table}
        made = sum(delivery["attempts"] for delivery in ended) + len(table)
        saved = len(table)
        assert sum(names.asked(name, "A") for name in table) <= made + saved + len(table), "one look-up per attempt at most"


def warning_codes(webhook):
    return [warning["code"] for warning in webhook["warnings"]]


def reply_and_close(exchange):
    exchange.send(reply(200, headers=[("Connection", "close")]))
    exchange.close()


def ended_deliveries(site, event):
    found = site.get(f"/v1/deliveries?event_id={event}").ok()["data"]
    return found if found and all(delivery["state"] not in ("pending", "held") for delivery in found) else None


@pytest.mark.own_namespace("net", "mount")
def test_ssrf_mapped_v6_by_name(install, make_receiver, tmp_path):
    """ssrf-mapped-v6: a name whose only address is ::ffff:127.0.0.1 or another inward one is refused at save and at send."""
    table = {"mapped.example.com": [["::ffff:127.0.0.1"]], "ten.example.com": [["10.0.0.5"]], "loop.example.com": [["127.0.0.1"]],
             "ula.example.com": [["fd00::1"]]}  # fmt: skip
    with NameServer({}) as names:
        use_name_server(names, tmp_path)
        inner = make_receiver(host="127.0.0.1", port=8080)
        site = small_world(install(settings={"allow": None}).start())
        for name in table:
            site.webhook(f"http://{name}:8080/hook")
        names.table.update(table)
        for name in table:
            refused = site.post("/v1/webhooks", json={"manager_id": "7", "url": f"http://{name}:8080/hook"}).problem(422, "target_refused")
            assert refused["pointer"] == "/url" and name in refused["detail"]
        event = site.send()
        for delivery in wait_state(site, event, "exhausted"):
            [attempt] = attempts_of(site, delivery["id"])
            assert attempt["cause"] == "guard", attempt
        assert inner.connections == 0
