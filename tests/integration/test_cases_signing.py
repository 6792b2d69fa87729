"""Cases from the field: signatures and the headers around them."""

import base64

import pytest
from harness.process import ROOT, attempts_of, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import answers, per_delivery, reply
from harness.signing import assert_signed, sign, signature_of
from harness.waiting import wait_for

PADDED_SECRET = "whsec_+yBFao+02f4jSG2St9wBJktwlbrfBClOc5i94gcsUXY="
UNPADDED_SECRET = "whsec_Aw4ZJC86RVBbZnF8h5KdqLO+ydTf6vUA"
VECTOR_BODY = '{"data":{"property_uid":7,"note":"café \\u001B \\/ end","contract_uid":41},"task":"booking_added"}'.encode()

AWKWARD_DATA = '{ "property_uid" : 12,"note":"café \\u001B \\/ end",\t"contract_uid":41 , "a":1.50}'


def test_our_checker_reproduces_the_known_signatures():
    assert len(VECTOR_BODY) == 97
    assert sign(PADDED_SECRET, "msg_bh0001", 1767225600, VECTOR_BODY) == "v1,I+UbLcG4IGZopB4aoMpqSJV6Tmsxyf1An+tSoNjAqWI="
    assert sign(UNPADDED_SECRET, "msg_bh0001", 1767225600, VECTOR_BODY) == "v1,5IxnP2nP2cHhqL5dCqCNFQPBpFQjCQOGYXwGq+rTr10="


@pytest.mark.smoke
@pytest.mark.parametrize("shape", ["standard", "jomres"])
@pytest.mark.parametrize("method", ["none", "basic"])
def test_sig_exact_bytes(site, receiver, method, shape):
    """
    sig-exact-bytes: the signature covers the bytes that went out.

    Senders that sign one serialisation and send another (other spaces, other key order, other escapes) can be verified
    by nobody. So the data is as awkward as JSON allows, and the check reads the raw bytes.
    """
    settings = {"url": receiver.url()}
    if method == "basic":
        settings |= {"basic_username": "u", "basic_password": "p"}
    webhook = site.post("/v1/webhooks", json={"manager_id": "7", "method": method, "settings": settings, "shape": shape}).ok(201)

    event = site.send("booking_added", AWKWARD_DATA)
    delivery = wait_state(site, event, "delivered")[0]

    request = receiver.of(event)[0]
    assert_signed(request, webhook["secret"])
    assert int(request.one("content-length")) == len(request.body)
    inner = AWKWARD_DATA if shape == "standard" else AWKWARD_DATA.strip().removesuffix("}").rstrip()
    assert inner.encode() in request.body, request.body
    assert attempts_of(site, delivery["id"])[0]["request_body"].encode() == request.body


def test_sig_exact_bytes_of_a_body_that_a_script_wrote(install, make_receiver, tmp_path):
    """sig-exact-bytes: what a method script sends in place of the event's body is signed too, as it goes out."""
    methods = tmp_path / "methods"
    methods.mkdir()
    for file in (ROOT / "methods").glob("*.lua"):
        (methods / file.name).write_bytes(file.read_bytes())
    (methods / "own.lua").write_text(
        """return {
  title = "Own body",
  fields = { { key = "url", format = "url", title = "URL", required = true } },
  deliver = function(event, settings, remote)
    return remote.post(settings.url, { body = '{"z":1, "a":"caf\\u{e9} \\\\u001B \\\\/"}' })
  end,
}
"""
    )
    site = small_world(install(settings={"methods_dir": str(methods)}).start())
    receiver = make_receiver()
    webhook = site.webhook(receiver.url(), method="own")

    event = site.send()
    wait_state(site, event, "delivered")

    request = receiver.of(event)[0]
    assert request.body == '{"z":1, "a":"café \\u001B \\/"}'.encode()
    assert_signed(request, webhook["secret"])


def test_sig_retry_timestamp(install, make_receiver):
    """
    sig-retry-timestamp: each attempt is signed anew: its own timestamp, the same id, the same body.

    The engine is restarted between the first and the second attempt, and the last attempt is asked for by hand after
    the schedule has run out: neither may change the id or a byte of the body.
    """
    bellhop = install(settings={"retry_schedule": "2s,1s"}).start()
    site = small_world(bellhop)
    receiver = make_receiver(answers(reply(500), reply(500), reply(500), reply(200)))
    webhook = site.webhook(receiver.url())

    event = site.send("booking_added", AWKWARD_DATA)
    wait_attempts(site, the_delivery(site, event)["id"], 1)
    bellhop.restart()
    site = bellhop.site
    exhausted = wait_state(site, event, "exhausted")[0]
    site.post(f"/v1/deliveries/{exhausted['id']}/retry").ok(202)
    wait_state(site, event, "delivered")

    requests = receiver.requests
    assert [request.id for request in requests] == [event] * 4
    assert len({request.body for request in requests}) == 1
    stamps = [int(request.one("webhook-timestamp")) for request in requests]
    assert stamps[0] < stamps[1] < stamps[2] <= stamps[3]
    for request, stamp in zip(requests, stamps):
        assert abs(stamp - request.wall) <= 2
        assert_signed(request, webhook["secret"])
    assert len({request.one("webhook-signature") for request in requests[:3]}) == 3


@pytest.mark.parametrize("secret", [PADDED_SECRET, UNPADDED_SECRET])
def test_sig_secret_decoding(site, receiver, secret):
    """sig-secret-decoding: the key is the decoded bytes after the prefix, `+`, `/` and `=` included."""
    site.webhook(receiver.url(), secret=secret)

    event = site.send()
    wait_state(site, event, "delivered")

    assert receiver.of(event)[0].one("webhook-signature") == signature_of(receiver.of(event)[0], secret)


def test_sig_secret_decoding_while_two_secrets_live(site, receiver):
    """sig-secret-decoding: in the overlap of a rotation both secrets sign, the newer first; afterwards only the new one."""
    webhook = site.webhook(receiver.url(), secret=PADDED_SECRET)
    rotate = f"/v1/webhooks/{webhook['id']}/secret/rotate"

    rotated = site.post(rotate, json={"overlap": "24h"}).ok(200)
    event = site.send()
    wait_state(site, event, "delivered")

    request = receiver.of(event)[0]
    assert rotated["secret"] != PADDED_SECRET and rotated["old_secret_until"]
    assert request.one("webhook-signature") == " ".join(
        [signature_of(request, rotated["secret"]), signature_of(request, PADDED_SECRET)]
    )

    site.post(rotate, json={"overlap": "0s", "secret": UNPADDED_SECRET}).ok(200)
    later = site.send()
    wait_state(site, later, "delivered")
    request = receiver.of(later)[0]
    assert request.one("webhook-signature") == signature_of(request, UNPADDED_SECRET)

    site.post(rotate, json={"overlap": "1s", "secret": PADDED_SECRET}).ok(200)

    def only_the_new_one_signs():
        event = site.send()
        wait_state(site, event, "delivered")
        request = receiver.of(event)[0]
        return request.one("webhook-signature") == signature_of(request, PADDED_SECRET)

    wait_for(only_the_new_one_signs, "the overlap of one second to be over", every=0.1)


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_AAAA", "whsec_" + base64.b64encode(bytes(65)).decode(), "whsec_not base64!"])
def test_a_signing_secret_that_is_none_is_refused(site, receiver, secret):
    problem = site.post("/v1/webhooks", json={"manager_id": "7", "url": receiver.url(), "secret": secret}).problem(422, "invalid_field")
    assert problem["pointer"] == "/secret"


BAD_HEADERS = {
    "signature": ("Webhook-Signature", "v1,AAAA"),
    "id": ("WEBHOOK-ID", "x"),
    "timestamp": ("webhook-timestamp", "1"),
    "length": ("content-length", "1"),
    "coding": ("Transfer-Encoding", "chunked"),
    "host": ("Host", "internal"),
    "connection": ("Connection", "close"),
    "space": ("X Space", "1"),
    "colon": ("X:Y", "1"),
    "empty": ("", "1"),
    "crlf": ("X-A", "a\r\nX-Injected: 1"),
    "lf": ("X-B", "a\nX-Injected: 1"),
    "nul": ("X-C", "a\0b"),
    "huge": ("X-D", "a" * 65536),
}


@pytest.mark.parametrize("name,value", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_hdr_custom_guard(site, receiver, name, value):
    """hdr-custom-guard: an owner's header may neither replace ours nor become a second line on the wire."""
    refused = site.post("/v1/webhooks", json={"manager_id": "7", "url": receiver.url(), "headers": {name: value}})
    problem = refused.problem(422, "invalid_field")
    assert problem["pointer"].startswith("/headers")
    if name:
        assert name.lower() in (problem["detail"] + problem["pointer"]).lower()
    assert site.get("/v1/webhooks?manager_id=7").ok()["data"] == []

    webhook = site.webhook(receiver.url(), headers={"X-Good": "fine"})
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"headers": {name: value}}).problem(422, "invalid_field")
    event = site.send()
    wait_state(site, event, "delivered")
    request = receiver.of(event)[0]
    assert request.one("x-good") == "fine"
    assert b"injected" not in request.head.lower()
    assert_signed(request, webhook["secret"])


def test_hdr_custom_guard_counts(site, receiver):
    """hdr-custom-guard: a hundred headers are too many."""
    headers = {f"X-{n}": "1" for n in range(100)}
    site.post("/v1/webhooks", json={"manager_id": "7", "url": receiver.url(), "headers": headers}).problem(422)


def test_the_request_is_a_plain_signed_post(site, receiver):
    webhook = site.webhook(receiver.url("/in?key=a&b=%20"), headers={"X-Own": "kept as it is"})
    event = site.send(headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    wait_state(site, event, "delivered")

    request = receiver.of(event)[0]
    assert request.line == "POST /in?key=a&b=%20 HTTP/1.1"
    assert request.one("content-type") == "application/json"
    assert request.one("user-agent").startswith("Bellhop/")
    assert request.one("x-own") == "kept as it is"
    assert request.one("traceparent") == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert not request.all("expect")
    assert {name for name, _ in request.headers if name.lower().startswith("webhook-")} == {
        "webhook-id", "webhook-timestamp", "webhook-signature",
    }
    assert_signed(request, webhook["secret"])


def test_deliveries_of_one_event_to_two_webhooks_carry_the_same_id(site, make_receiver):
    first, second = make_receiver(), make_receiver(per_delivery(reply(500), reply(200)))
    secrets = [site.webhook(first.url())["secret"], site.webhook(second.url())["secret"]]
    event = site.send()
    wait_state(site, event, "delivered")
    assert secrets[0] != secrets[1]
    assert first.ids == [event] and second.ids == [event, event]
