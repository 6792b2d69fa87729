"""Cases from the field: what a payload may hold."""

import json

import pytest
from harness.process import attempts_of, the_delivery, wait_state

BIG_NUMBERS = (
    '{"property_uid":12,"a":9007199254740993,"b":7615917337495251231,"c":18446744073709551615,'
    '"d":-9223372036854775808,"e":412.50,"f":1E400,"g":0.1000000000000000055511151231257827}'
)


@pytest.mark.parametrize("shape", ["standard", "jomres"])
def test_json_big_int(site, receiver, shape):
    """json-big-int: every digit survives, at the receiver, in the attempt and in the event: nothing passes through a double."""
    site.webhook(receiver.url(), shape=shape)
    event = site.send("booking_added", BIG_NUMBERS)
    delivery = wait_state(site, event, "delivered")[0]

    inner = BIG_NUMBERS.removeprefix("{").removesuffix("}").encode()
    assert inner in receiver.of(event)[0].body
    assert inner.decode() in attempts_of(site, delivery["id"])[0]["request_body"]
    assert inner in site.get(f"/v1/events/{event}").body


@pytest.mark.parametrize("second", ['"property_uid"', '"property\\u005fuid"'])
def test_json_duplicate_keys(site, receiver, second):
    """
    json-duplicate-keys: router and receiver must not read two different properties out of one text.

    The second spelling is the same name written with an escape.
    """
    site.webhook(receiver.url(), manager="7")
    site.webhook(receiver.url("/8"), manager="8")
    refused = site.hand_over("booking_added", f'{{"property_uid":12,{second}:21,"contract_uid":1}}')
    problem = refused.problem(400, "invalid_json")
    assert second.strip('"') in problem["detail"], "the member is named as it was written"
    assert problem["line"] == 1 and problem["column"] > 1

    good = site.send()
    wait_state(site, good, "delivered")
    assert receiver.ids == [good]


DEEP = {
    "open brackets": "[" * 100_000,
    "closed brackets": "[" * 100_000 + "]" * 100_000,
    "open objects": '{"a":' * 100_000,
    "closed objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "sixty-five": "[" * 65 + "]" * 65,
}


@pytest.mark.smoke
@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_json_deep_nesting(site, receiver, text):
    """json-deep-nesting: a hundred thousand brackets are a 400 (or too large, 413), and never the end of the process."""
    site.webhook(receiver.url())
    for answer in [
        site.post("/v1/events", body=text),
        site.hand_over("booking_added", f'{{"property_uid":12,"deep":{text}}}'),
        site.post("/v1/events", body=text, content_type="application/x-ndjson"),
        site.put("/v1/managers/9", body=text),
        site.post("/v1/webhooks", body=f'{{"manager_id":"7","settings":{text}}}'),
    ]:
        assert answer.status in (400, 413, 422), (answer.status, answer.body)
        answer.problem(answer.status)

    event = site.send()
    wait_state(site, event, "delivered")
    assert receiver.ids == [event]


def test_nesting_of_sixty_levels_is_carried(site, receiver):
    site.webhook(receiver.url())
    deep = "[" * 60 + "]" * 60
    event = site.send("booking_added", f'{{"property_uid":12,"deep":{deep}}}')
    wait_state(site, event, "delivered")
    assert deep.encode() in receiver.of(event)[0].body


def test_json_nul_escape(site, receiver):
    """json-nul-escape: the escape goes through as it came; no value is cut short where a C string would end."""
    site.webhook(receiver.url())
    data = '{"property_uid":12,"note":"before\\u0000after","na\\u0000me":1,"actor":"x"}'
    event = site.send("booking_added", data)
    wait_state(site, event, "delivered")

    assert data.encode() in receiver.of(event)[0].body
    assert data.encode() in site.get(f"/v1/events/{event}").body
    delivery = the_delivery(site, event)
    assert "before\\u0000after" in attempts_of(site, delivery["id"])[0]["request_body"]


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"booking\\u0000_added","data":{"property_uid":12}}',
        '{"type":"booking_added","data":{"property_uid":"12\\u0000"}}',
        '{"type":"booking_added","id":"a\\u0000b","data":{"property_uid":12}}',
        '{"type":"booking_added","manager_id":"7\\u0000","data":{"property_uid":12}}',
        '{"type":"booking_added","actor":"7\\u0000","data":{"property_uid":12}}',
    ],
)
def test_json_nul_escape_where_we_read_the_value_is_refused(site, text):
    """json-nul-escape: in what routes, a clean refusal that names the field."""
    answer = site.post("/v1/events", body=text)
    problem = answer.problem(answer.status)
    assert answer.status in (400, 422)
    assert problem.get("pointer") or problem.get("line")


BAD_TEXTS = {
    "not UTF-8": b'{"type":"booking_added","data":{"note":"\xff"}}',
    "NaN": b'{"type":"booking_added","data":{"a":NaN}}',
    "trailing comma": b'{"type":"booking_added","data":{"a":1,}}',
    "two texts": b'{"type":"booking_added","data":{}} {}',
    "lone surrogate": b'{"type":"booking_added","data":{"a":"\\ud800"}}',
    "overlong": b'{"type":"booking_added","data":{"a":"\xc0\x80"}}',
    "single quotes": b"{'type':'booking_added'}",
    "empty": b"",
    "byte order mark": b'\xef\xbb\xbf{"type":"booking_added","data":{}}',
    "control character": b'{"type":"booking_added","data":{"a":"\x01"}}',
    "leading zero": b'{"type":"booking_added","data":{"a":01}}',
}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_what_is_no_json_is_refused_with_line_and_column(site, text):
    problem = site.post("/v1/events", body=b"\n" + text).problem(400, "invalid_json")
    assert problem["line"] >= 1 and problem["column"] >= 1
    assert site.get("/v1/events").ok()["data"] == []


def test_a_bad_line_of_many_refuses_them_all_and_is_named(site):
    lines = [json.dumps({"type": "booking_added", "data": {"property_uid": 12, "contract_uid": n}}) for n in range(5)]
    lines[3] = '{"type":"booking_added","data":{"property_uid":12,}}'
    problem = site.post("/v1/events", body="\n".join(lines), content_type="application/x-ndjson").problem(400, "invalid_json")
    assert problem["line"] == 4
    lines[3] = '{"type":"no_such_type","data":{"property_uid":12}}'
    problem = site.post("/v1/events", body="\n".join(lines), content_type="application/x-ndjson").problem(422)
    assert problem["code"] == "unknown_event_type" and problem["pointer"].startswith("/3")
    assert site.get("/v1/events").ok()["data"] == []


def test_limits_of_an_event_and_of_a_call(site):
    fill = "x" * (256 * 1024)
    site.hand_over("booking_added", json.dumps({"property_uid": 12, "fill": fill})).problem(413, "too_large")
    site.hand_over("booking_added", json.dumps({"property_uid": 12, "fill": fill[:250_000]})).ok(202)
    line = json.dumps({"type": "booking_added", "data": {"property_uid": 12, "fill": fill[:200_000]}})
    site.post("/v1/events", body="\n".join([line] * 45), content_type="application/x-ndjson").problem(413, "too_large")
    small = '{"type":"booking_added","data":{"property_uid":12,"n":%d}}'
    too_many = "\n".join(small % n for n in range(10_001))
    site.post("/v1/events", body=too_many, content_type="application/x-ndjson").problem(413, "too_large")


def test_a_sensitive_field_is_gone_before_anybody_sees_it(bellhop, site, receiver):
    """A new account's password travels in user_created: never stored, logged or sent; the rest is kept as it came."""
    site.webhook(receiver.url(), manager=None, shape="jomres")
    event = site.send("user_created", '{"cms_user_id":5,"name":"Anna","password":"hunter2-secret","username":"anna","email":"a@example.org"}')
    wait_state(site, event, "delivered")
    assert receiver.of(event)[0].body == (
        b'{"data":{"cms_user_id":5,"name":"Anna","username":"anna","email":"a@example.org","task":"user_created"}}'
    )
    assert b"hunter2" not in site.get(f"/v1/events/{event}").body
    bellhop.stop()
    assert "hunter2" not in bellhop.log
    for file in bellhop.data.iterdir():
        assert b"hunter2" not in file.read_bytes(), file
