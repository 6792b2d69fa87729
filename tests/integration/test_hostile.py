"""What people with bad intentions, and clumsy ones, try: each test was once a fault."""

import base64
import contextlib
import shutil
import socket
import urllib.parse

import pytest
from harness.process import ROOT, attempts_of, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import answers, reply
from harness.waiting import never_during, wait_for


def test_a_cancelled_delivery_is_not_sent_when_its_time_comes(site, make_receiver):
    """It waits in a lane's memory for its second attempt, and being cancelled must reach it there."""
    receiver = make_receiver(answers(reply(500), reply(200)))
    site.webhook(receiver.url())
    event = site.send()
    delivery = the_delivery(site, event)["id"]
    wait_attempts(site, delivery, 1)

    site.post(f"/v1/deliveries/{delivery}/cancel").ok(200)

    never_during(lambda: len(receiver.requests) > 1, "a cancelled delivery was sent", 1.5)
    assert site.get(f"/v1/deliveries/{delivery}").ok()["state"] == "cancelled"


def test_strangers_connections_leave_deliveries_their_sockets(install, make_receiver):
    """Whoever needs no key to connect took every file that the process may open, and attempts were spent on that."""

    def slow(exchange):
        exchange.pause(0.5)
        exchange.send(reply(200))

    bellhop = install(wrapper=["prlimit", "--nofile=200:200"], settings={"in_flight_max": "20"}).start()
    site = small_world(bellhop)
    receivers = [make_receiver(slow) for _ in range(10)]
    for receiver in receivers:
        site.webhook(receiver.url())
    host, port = site.address.split(":")

    with contextlib.ExitStack() as strangers, socket.create_connection((host, int(port))) as ours:
        ours.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ours.recv(4096).startswith(b"HTTP/1.1 200")
        for _ in range(250):
            strangers.enter_context(socket.create_connection((host, int(port))))
        body = b'{"type":"booking_added","data":{"property_uid":12,"contract_uid":1}}'
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bellhop.key}\r\nContent-Type: application/json\r\n"
        ours.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert ours.recv(4096).startswith(b"HTTP/1.1 202")
        wait_for(lambda: all(receiver.requests for receiver in receivers), "every receiver to be asked")

    [event] = site.get("/v1/events").ok()["data"]
    for delivery in wait_state(site, event["id"], "delivered"):
        assert delivery["attempts"] == 1, attempts_of(site, delivery["id"])
    assert "connections_max is lowered" in bellhop.log


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 68\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 68",
        "Content-Length : 68",
        "Content-Length: 68\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: x",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    ],
)
def test_a_request_whose_end_is_not_clear_ends_the_connection(site, framing):
    """A proxy may see another end than we do: what follows would be a request in somebody else's name."""
    body = b'{"type":"booking_added","data":{"property_uid":12,"contract_uid":1}}'
    assert len(body) == 68
    smuggled = b"GET /v1/keys HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.key}\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    host, port = site.address.split(":")

    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(head.encode() + body + smuggled)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while more := sock.recv(65536):
                answer += more

    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert b"Where the request ends is not clear" in answer
    assert site.get("/v1/events").ok()["data"] == []


TALKATIVE = """
return {
  title = "Puts its key where no key belongs",
  fields = {
    { key = "url", format = "url", title = "URL", required = true },
    { key = "key", format = "password", title = "Key", required = true },
  },
  deliver = function(event, settings, remote)
    return remote.post(settings.url .. "?key=" .. settings.key:gsub("/", "%%2F"), {
      body = "key=" .. settings.key,
      headers = { ["Content-Type"] = "text/" .. settings.key, Authorization = remote.basic("user", settings.key) },
    })
  end,
}
"""


def test_credentials_that_a_receiver_echoes_are_not_kept(install, make_receiver, tmp_path):
    """Error pages show requests, and a script may put a key anywhere: neither attempts nor the database may tell it."""
    methods = tmp_path / "methods"
    shutil.copytree(ROOT / "methods", methods)
    (methods / "talkative.lua").write_text(TALKATIVE)
    bellhop = install(settings={"methods_dir": str(methods), "retry_schedule": ""})
    site = small_world(bellhop.start())

    def echo(exchange):
        exchange.send(reply(500, exchange.request.raw, headers=[("X-Echo", exchange.request.target)]))

    receiver = make_receiver(echo)
    password, key, token = "s3cr3t/basic", "s3cr3t/talk", "s3cr3t/header"
    site.webhook(receiver.url(), method="basic", settings={"basic_username": "user", "basic_password": password})
    site.webhook(receiver.url(), method="talkative", settings={"key": key})
    site.webhook(receiver.url(), headers={"X-Token": token, "Authorization": f"Bearer {token}", "X-Stage": "test"})

    event = site.send()

    kept = "".join(str(attempts_of(site, delivery["id"])) for delivery in wait_state(site, event, "exhausted"))
    bellhop.stop()
    kept += "".join(file.read_bytes().decode("latin-1") for file in bellhop.data.glob("bellhop.db*"))
    assert len(receiver.requests) == 3
    assert "X-Stage: test" in kept, "what is no secret is shown"
    for secret in (password, key, token):
        coded = base64.b64encode(f"user:{secret}".encode()).decode()
        for form in (secret, urllib.parse.quote(secret, safe=""), coded):
            assert form not in kept, form
