"""Cases from the field: receivers that speak HTTP/2, and what a sender must make of GOAWAY, refused streams and the like."""

import subprocess
import threading

import pytest
from harness.certificates import Certificate
from harness.http2 import Http2Receiver
from harness.process import attempts_of, small_world, the_delivery, wait_attempts, wait_state

MANY = 10
REFUSED_STREAM, HTTP_1_1_REQUIRED = 7, 13


@pytest.fixture
def authority(tmp_path):
    return Certificate(tmp_path / "pki", authority=True)


@pytest.fixture
def site(install, authority):
    return small_world(install(settings={"ca_file": authority.file}).start())


@pytest.fixture
def make_http2(authority, tmp_path):
    made = []

    def make(script=lambda stream: stream.answer(), protocols=("h2", "http/1.1"), names="IP:127.0.0.1", **more):
        certificate = Certificate(tmp_path / "pki", issuer=authority, names=names)
        made.append(Http2Receiver(certificate.context(protocols), script, **more))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


class Holding:
    """Answers at once until `hold` is set; then collects streams and hands `count` of them to `release` together."""

    def __init__(self, release, count=MANY):
        self.release, self.count = release, count
        self.hold = False
        self.held = []
        self.lock = threading.Lock()

    def __call__(self, stream):
        with self.lock:
            self.held.append(stream)
            if self.hold and len(self.held) < self.count:
                return
            held, self.held = self.held, []
        if self.hold:
            self.hold = False
            self.release(held)
        else:
            stream.answer()


def answer_all(streams):
    for stream in streams:
        stream.answer()
        stream.connection.flush()


def known_webhooks(site, receiver):
    """Ten webhooks to the receiver, of which the sender knows already that it speaks HTTP/2, over one connection."""
    site.webhook(receiver.url("/0"))
    for _ in range(2):
        wait_state(site, site.send(), "delivered")
    for n in range(1, MANY):
        site.webhook(receiver.url(f"/{n}"))
    assert receiver.connections == 1


def one_attempt_each(site, event):
    for delivery in wait_state(site, event, "delivered"):
        made = attempts_of(site, delivery["id"])
        assert len(made) == 1, [(attempt["status"], attempt["cause"], attempt["sentence"]) for attempt in made]
        [attempt] = made
        assert (attempt["outcome"], attempt["status"]) == ("delivered", 200), attempt
        yield attempt


def test_many_requests_share_one_connection(site, make_http2):
    script = Holding(answer_all)
    receiver = make_http2(script)
    known_webhooks(site, receiver)
    script.hold = True

    attempts = list(one_attempt_each(site, site.send()))

    assert len(attempts) == MANY and {attempt["http_version"] for attempt in attempts} == {"2"}
    assert receiver.connections == 1, "all ten were open on it at the same time"


def test_h2_goaway(site, make_http2):
    """h2-goaway: GOAWAY with ten open, of which the first three were looked at: all arrive once, none is logged as a failure."""

    def leave(streams):
        streams.sort(key=lambda stream: stream.number)
        answer_all(streams[:3])
        streams[0].connection.go_away(last=streams[2].number)
        served.extend(stream.headers[":path"] for stream in streams[:3])

    served = []
    script = Holding(leave)
    receiver = make_http2(lambda stream: (script(stream), served.append(stream.headers[":path"]) if stream.connection.number > 1 else None))
    known_webhooks(site, receiver)
    script.hold = True

    attempts = list(one_attempt_each(site, site.send()))

    assert len(attempts) == MANY
    assert sorted(served) == sorted(f"/{n}" for n in range(MANY)), "each was served once"
    assert receiver.connections <= 1 + 7, "at most one more for each that was refused"


def test_h2_goaway_refused_stream(site, make_http2):
    """h2-goaway: REFUSED_STREAM says that nothing was done, so it is tried again at once and nobody hears of it."""
    refused = set()

    def script(stream):
        if stream.headers[":path"] in refused:
            stream.answer()
        else:
            refused.add(stream.headers[":path"])
            stream.reset(REFUSED_STREAM)

    receiver = make_http2(script)
    site.webhook(receiver.url("/0"))

    [attempt] = one_attempt_each(site, site.send())

    assert attempt["http_version"] == "2"
    assert len(receiver.ids) == 2 and receiver.connections <= 2


def http1(arrived):
    def serve(sock):
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        arrived.append(data)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    return serve


def leave_for_http1(stream):
    stream.connection.go_away(last=0, code=HTTP_1_1_REQUIRED)


def only_http1(stream):
    stream.reset(HTTP_1_1_REQUIRED)


def garbage(stream):
    stream.connection.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    stream.connection.sock.close()


@pytest.mark.parametrize("script", [leave_for_http1, only_http1, garbage])
def test_h2_goaway_http_1_1_required(site, make_http2, script):
    """h2-goaway: HTTP_1_1_REQUIRED, and HTTP/2 that was offered and does not work, lead to one try over HTTP/1.1."""
    arrived = []
    receiver = make_http2(script, other=http1(arrived))
    site.webhook(receiver.url())

    [attempt] = one_attempt_each(site, site.send())

    assert attempt["http_version"] == "1.1"
    assert len(arrived) == 1
    assert receiver.connections <= 6, receiver.agreed
    before = receiver.connections
    [attempt] = one_attempt_each(site, site.send())
    assert attempt["http_version"] == "1.1"
    assert receiver.connections <= before + 1, "what it speaks is remembered"


@pytest.mark.parametrize("code", [REFUSED_STREAM, HTTP_1_1_REQUIRED])
def test_h2_goaway_always(site, make_http2, code):
    """h2-goaway: who always refuses costs a handful of connections, and a failed attempt."""
    receiver = make_http2(lambda stream: stream.reset(code), protocols=("h2",))
    webhook = site.webhook(receiver.url(), enabled=True)
    event = site.send()
    delivery = the_delivery(site, event)

    first = wait_attempts(site, delivery["id"], 1)[0]
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": False}).ok()

    assert (first["outcome"], first["status"]) == ("failed", None)
    assert first["sentence"].endswith(".")
    assert len(receiver.agreed) <= 12, "of one or two attempts"


@pytest.mark.own_namespace("mount")
def test_h2_goaway_from_several_addresses(install, authority, make_http2, tmp_path):
    """h2-goaway: who always refuses, and then breaks off the handshake, costs a failed attempt, however many addresses it has."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 two.test\n127.0.0.2 two.test\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    site = small_world(install(settings={"ca_file": authority.file, "allow": "127.0.0.0/8"}).start())
    receiver = make_http2(lambda stream: stream.reset(REFUSED_STREAM), protocols=("h2",), names="DNS:two.test", secured_max=4, at="0.0.0.0")
    webhook = site.webhook(f"https://two.test:{receiver.port}/hook")
    event = site.send()
    delivery = the_delivery(site, event)

    first = wait_attempts(site, delivery["id"], 1)[0]
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": False}).ok()

    assert (first["outcome"], first["status"], first["cause"]) == ("failed", None, "tls")
    assert receiver.agreed == ["h2"] * 4
