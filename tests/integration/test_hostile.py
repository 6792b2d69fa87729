"""What people with bad intentions, and clumsy ones, try: each test was once a fault."""

import contextlib
import socket

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
