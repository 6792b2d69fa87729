"""What people with bad intentions, and clumsy ones, try: each test was once a fault."""

import contextlib
import socket

import pytest
from harness.process import attempts_of, small_world, the_delivery, wait_attempts, wait_state
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
