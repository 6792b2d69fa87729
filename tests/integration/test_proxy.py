"""The setting `proxy`: everything goes through it, and its faults are not the receivers'."""

import base64
import socket
import threading

import pytest
from harness.certificates import Certificate
from harness.process import attempts_of, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import Receiver


class Proxy:
    """An HTTP proxy that knows CONNECT and one login; `refuse`: the status that it answers instead."""

    def __init__(self, login=None):
        self.login, self.refuse = login, None
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            more = sock.recv(4096)
            if not more:
                return
            head += more
        self.asked.append(head.decode("latin-1"))
        expected = "Proxy-Authorization: Basic " + base64.b64encode((self.login or "").encode()).decode()
        if self.refuse or (self.login and expected not in self.asked[-1]):
            sock.sendall(f"HTTP/1.1 {self.refuse or 407} No\r\nContent-Length: 0\r\n\r\n".encode())
            sock.close()
            return
        host, port = self.asked[-1].split(" ")[1].rsplit(":", 1)
        behind = socket.create_connection((host, int(port)))
        sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        threading.Thread(target=pump, args=(sock, behind), daemon=True).start()
        pump(behind, sock)


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for each in (source, sink):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


@pytest.fixture
def proxy():
    made = Proxy(login="ann:s3cret")
    yield made
    made.stop()


def test_everything_goes_through_the_proxy(install, receiver, proxy, tmp_path):
    from test_cases_tls import TlsReceiver

    authority = Certificate(tmp_path / "pki", authority=True)
    secure = TlsReceiver(Certificate(tmp_path / "pki", authority).context())
    bellhop = install(settings={"proxy": f"http://ann:s3cret@127.0.0.1:{proxy.port}", "ca_file": authority.file}).start()
    site = small_world(bellhop)
    try:
        for each in (receiver, secure):
            site.webhook(each.url())
        event = site.send()
        for delivery in wait_state(site, event, "delivered"):
            [attempt] = attempts_of(site, delivery["id"])
            assert attempt["address"] in (receiver.address, secure.address)
        assert sorted(head.split(" ")[1] for head in proxy.asked) == sorted([receiver.address, secure.address])
        assert not any(event in head or "webhook-" in head for head in proxy.asked)
    finally:
        secure.stop()
    assert "s3cret" not in bellhop.log


@pytest.mark.parametrize("status", [407, 502, 503])
def test_a_fault_of_the_proxy_is_said_to_be_its_own(install, receiver, proxy, status):
    bellhop = install(settings={"proxy": f"http://ann:s3cret@127.0.0.1:{proxy.port}"}).start()
    site = small_world(bellhop)
    proxy.refuse = status
    site.webhook(receiver.url())
    event = site.send()
    first = wait_attempts(site, the_delivery(site, event)["id"], 1)[0]
    proxy.refuse = None

    wait_state(site, event, "delivered")

    assert (first["outcome"], first["cause"]) == ("failed", "proxy")
    assert f"127.0.0.1:{proxy.port}" in first["sentence"] and "s3cret" not in first["sentence"]
    assert "s3cret" not in bellhop.log and len(receiver.requests) == 1


def test_a_login_in_the_setting_is_not_shown(install):
    bellhop = install()
    for setting in ("http://ann:s3cret@proxy.example:3128", "socks5://ann:s3cret@proxy.example:1080"):
        shown = bellhop.run("config", "--set", f"proxy={setting}").stdout
        assert "s3cret" not in shown and "***@proxy.example" in shown
    wrong = bellhop.run("config", "--set", "proxy=ftp://ann:s3cret@proxy.example:21", check=False)
    assert wrong.returncode != 0 and "s3cret" not in wrong.stderr + wrong.stdout
