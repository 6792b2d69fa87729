"""Cases from the field: TLS with something wrong, and certificates of a webhook's own."""

import socket
import ssl
import time

import pytest
from harness.certificates import Certificate
from harness.process import attempts_of, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import Receiver, reply
from harness.waiting import wait_for


class TlsReceiver(Receiver):
    """A receiver behind TLS. What does not come through the handshake never becomes a request."""

    def __init__(self, context, **more):
        self.context = context
        super().__init__(**more)

    def url(self, path="/hook"):
        return f"https://{self.address}{path}"

    def _serve(self, sock, number):
        sock.settimeout(10)
        tls = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        try:
            tls.do_handshake()
        except (OSError, ssl.SSLError):
            let_alert_through(tls)
            return
        super()._serve(tls, number)


def let_alert_through(tls):
    """A close with unread data would be a reset, and the alert be lost on its way."""
    try:
        socket.socket.shutdown(tls, socket.SHUT_WR)
        while socket.socket.recv(tls, 4096):
            pass
    except OSError:
        pass
    tls.close()


@pytest.fixture
def pki(tmp_path):
    return tmp_path / "pki"


@pytest.fixture
def authority(pki):
    return Certificate(pki, authority=True)


@pytest.fixture
def site(install, authority):
    return small_world(install(settings={"ca_file": authority.file, "tls_timeout": "2s"}).start())


@pytest.fixture
def serve():
    made = []

    def start(context, **more):
        made.append(TlsReceiver(context, **more))
        return made[-1]

    yield start
    for receiver in made:
        receiver.stop()


def old_versions(certificate):
    context = certificate.context()
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return context


def wanting_client(certificate, authority, version):
    context = certificate.context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    context.maximum_version = version
    return context


BAD = {
    "expired": (lambda pki, ca: Certificate(pki, ca, days=(-9, -2)).context(), "expired on "),
    "not yet valid": (lambda pki, ca: Certificate(pki, ca, days=(2, 9)).context(), "only valid from "),
    "self-signed": (lambda pki, ca: Certificate(pki).context(), "self-signed"),
    "other name": (lambda pki, ca: Certificate(pki, ca, names="DNS:other.example").context(), 'another name than "127.0.0.1"'),
    "missing intermediate": (lambda pki, ca: Certificate(pki, Certificate(pki, ca, authority=True)).context(), "intermediate"),
    "SHA-1": (lambda pki, ca: Certificate(pki, ca, digest="sha1").context(), "SHA-1"),
    "TLS 1.0 and 1.1 only": (lambda pki, ca: old_versions(Certificate(pki, ca)), "older than 1.2"),
    "client certificate wanted, 1.2": (lambda pki, ca: wanting_client(Certificate(pki, ca), ca, ssl.TLSVersion.TLSv1_2), "client certificate"),
    "client certificate wanted, 1.3": (lambda pki, ca: wanting_client(Certificate(pki, ca), ca, ssl.TLSVersion.TLSv1_3), "client certificate"),
}  # fmt: skip


@pytest.mark.parametrize("make,says", BAD.values(), ids=BAD.keys())
def test_tls_bad_cert(site, serve, pki, authority, make, says):
    """tls-bad-cert: a failed attempt that is tried again, each with its own reason; no byte of the request goes out before."""
    receiver = serve(make(pki, authority))
    site.webhook(receiver.url())
    event = site.send()

    made = wait_attempts(site, the_delivery(site, event)["id"], 2)

    for attempt in made:
        assert (attempt["outcome"], attempt["cause"]) == ("failed", "tls")
        assert says in attempt["sentence"], attempt["sentence"]
    assert receiver.requests == []


def test_tls_bad_cert_expired_names_its_date(site, serve, pki, authority):
    certificate = Certificate(pki, authority, days=(-9, -2))
    receiver = serve(certificate.context())
    site.webhook(receiver.url())
    [attempt, *_] = wait_attempts(site, the_delivery(site, site.send())["id"], 1)
    assert time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * 86400)) in attempt["sentence"]


@pytest.mark.parametrize("step", [lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), lambda sock: sock.close()], ids=["plain HTTP", "closed"])
def test_tls_bad_cert_no_handshake(site, make_receiver, step):
    """tls-bad-cert: plain HTTP on the TLS port, and a handshake that is closed."""

    def on_connect(sock):
        sock.recv(4096)
        step(sock)
        return True

    receiver = make_receiver(on_connect=on_connect)
    site.webhook(receiver.url().replace("http:", "https:"))
    [attempt, *_] = wait_attempts(site, the_delivery(site, site.send())["id"], 1)
    assert (attempt["outcome"], attempt["cause"]) == ("failed", "tls")
    assert "TLS" in attempt["sentence"]


def test_tls_bad_cert_own_authority(site, serve, pki):
    """tls-bad-cert: a webhook's own authority makes the self-signed one pass, and no other; nobody else is affected."""
    own, other = Certificate(pki), Certificate(pki)
    pinned, unpinned = serve(own.context()), serve(other.context())
    site.webhook(pinned.url(), tls={"ca": own.text})
    site.webhook(unpinned.url(), tls={"ca": own.text})
    site.webhook(pinned.url("/without"))

    event = site.send()

    by_url = {}
    for delivery in wait_for(lambda: all_tried(site, event), "each to be tried"):
        webhook = site.get(f"/v1/webhooks/{delivery['webhook_id']}").ok()
        by_url[webhook["url"]] = attempts_of(site, delivery["id"])[0]
    assert by_url[pinned.url()]["outcome"] == "delivered"
    assert by_url[unpinned.url()]["cause"] == "tls" and "own TLS settings" in by_url[unpinned.url()]["sentence"]
    assert by_url[pinned.url("/without")]["cause"] == "tls"
    assert {request.target for request in pinned.requests} == {"/hook"} and unpinned.requests == []


def all_tried(site, event):
    found = site.get(f"/v1/deliveries?event_id={event}").ok()["data"]
    return found if len(found) == 3 and all(attempts_of(site, delivery["id"]) for delivery in found) else None


def test_client_certificates_of_two_webhooks_to_one_host(site, serve, pki, authority):
    """Each is seen with its own, and the one without with none, whatever connections are kept."""
    clients = Certificate(pki, authority=True)
    ann = Certificate(pki, clients, names="DNS:ann.example")
    context = Certificate(pki, authority).context()
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(clients.file)
    seen = []

    def script(exchange):
        subject = dict(entry[0] for entry in (exchange.sock.getpeercert() or {}).get("subject", ()))
        seen.append((exchange.request.target, subject.get("commonName")))
        exchange.send(reply(200))

    receiver = serve(context, script=script)
    site.webhook(receiver.url("/ann"), tls={"certificate": ann.text, "key": ann.key.read_text()})
    site.webhook(receiver.url("/none"))
    for n in range(5):
        wait_state(site, site.send("booking_added", {"property_uid": 12, "contract_uid": n}), "delivered")

    assert sorted(set(seen), key=str) == [("/ann", ann.name), ("/none", None)]
    assert len(seen) == 10


@pytest.mark.parametrize("status", [401, 413, 410, 429, 200])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_http_early_response(site, serve, make_receiver, pki, authority, status, tls):
    """http-early-response: an answer to the headers alone counts, though the body was not read and the end is a reset."""
    answer = reply(status, b"no", [("Retry-After", "3")])

    def on_connect(sock):
        if tls:
            sock = Certificate(pki, authority).context().wrap_socket(sock, server_side=True)
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(1024)
        sock.sendall(answer)
        sock.close()
        return True

    receiver = make_receiver(on_connect=on_connect)
    site.webhook(receiver.url().replace("http:", "https:") if tls else receiver.url())
    event = site.send("booking_added", '{"property_uid":12,"fill":"' + "x" * 250_000 + '"}')

    first = wait_attempts(site, the_delivery(site, event)["id"], 1)[0]

    assert first["status"] == status, first["sentence"]
    state = {200: "delivered", 410: "gone"}.get(status, "pending")
    assert the_delivery(site, event)["state"] == state
