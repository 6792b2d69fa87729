"""
A remote service that the test controls byte by byte.

It listens on a port that the kernel picks, keeps every request exactly as it came over the wire, and answers with
the bytes that its script says: a script is called with an Exchange, once per request, in the connection's own thread.

    receiver.script = answers(reply(500), reply(200))         # the second request, and all after it, get 200
    receiver.script = per_delivery(reply(503), reply(200))    # counted for each webhook-id on its own
    receiver.script = lambda exchange: exchange.reset()
"""

import socket
import struct
import threading
import time

HEAD_MAX = 1 << 20


class Request:
    def __init__(self, head, body, connection, number):
        self.head, self.body = head, body
        self.raw = head + body
        self.connection = connection  # 1, 2, 3 ... in the order of arrival
        self.number = number  # of all requests, from 1
        self.at = time.monotonic()
        self.wall = time.time()
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "") for line in lines[1:] if line]

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name):
        values = self.all(name)
        assert len(values) == 1, f"expected one header {name}, got {values} in {self.head!r}"
        return values[0]

    @property
    def id(self):
        return self.one("webhook-id")

    def __repr__(self):
        return f"<request {self.number} on connection {self.connection}: {self.line} {self.body[:80]!r}>"


class Exchange:
    """One request and the connection that it came on."""

    def __init__(self, receiver, sock, request):
        self.receiver, self.sock, self.request = receiver, sock, request
        self.closed = False

    def send(self, *parts):
        """Sends each part in a write of its own. Quiet when the other side is gone: that is its right."""
        try:
            for part in parts:
                self.sock.sendall(part)
            return True
        except OSError:
            self.close()
            return False

    def close(self):
        """Says goodbye properly: FIN."""
        self.closed = True
        close_quietly(self.sock)

    def reset(self):
        """Drops the connection with RST."""
        self.closed = True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def pause(self, seconds):
        """Waits, or less if the receiver is stopped or the sender hangs up. True: the sender is still there."""
        until = time.monotonic() + seconds
        while not self.receiver.stopping.is_set() and time.monotonic() < until:
            if hung_up(self.sock, min(0.05, max(0.0, until - time.monotonic()))):
                return False
        return True

    def hold(self):
        """Says nothing until the sender hangs up or the receiver is stopped."""
        self.pause(3600)
        self.close()


class Receiver:
    def __init__(self, host="127.0.0.1", port=0, script=None, on_connect=None):
        self.script = script or answers(reply(200))
        self.on_connect = on_connect  # called with the socket before anything is read; True: it has dealt with it
        self.idle_seconds = None  # closes a connection that was idle for so long
        self.requests, self.connections = [], 0
        self.open_connections = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = []
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=self.family, backlog=512)
        self.host, self.port = self.listener.getsockname()[:2]
        self._start(self._accept)

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def url(self, path="/hook"):
        return f"http://{self.address}{path}"

    @property
    def ids(self):
        return [request.id for request in list(self.requests)]

    @property
    def bodies(self):
        return [request.body for request in list(self.requests)]

    def of(self, event_id):
        return [request for request in list(self.requests) if request.id == event_id]

    def stop(self):
        """Refuses connections from now on; the port stays the receiver's to start again on."""
        self.stopping.set()
        close_quietly(self.listener)
        for thread in self.threads:
            thread.join(5)

    def start_again(self):
        self.stopping = threading.Event()
        self.listener = socket.create_server((self.host, self.port), family=self.family, backlog=512)
        self._start(self._accept)

    def _start(self, run, *arguments):
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        listener, stopping = self.listener, self.stopping
        while not stopping.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                number = self.connections
            self._start(self._serve, sock, number)

    def _serve(self, sock, number):
        with self.lock:
            self.open_connections += 1
        try:
            if self.on_connect and self.on_connect(sock):
                return
            while not self.stopping.is_set():
                request = self._read(sock, number)
                if request is None:
                    break
                exchange = Exchange(self, sock, request)
                self.script(exchange)
                if exchange.closed:
                    return
        except OSError:
            pass
        finally:
            close_quietly(sock)
            with self.lock:
                self.open_connections -= 1

    def _read(self, sock, number):
        data = b""
        idle_since = time.monotonic()
        while b"\r\n\r\n" not in data:
            sock.settimeout(0.05)
            try:
                more = sock.recv(65536)
            except TimeoutError:
                if self.stopping.is_set():
                    return None
                if self.idle_seconds is not None and not data and time.monotonic() - idle_since > self.idle_seconds:
                    return None
                continue
            if not more:
                return None
            data += more
            assert len(data) < HEAD_MAX
        sock.settimeout(30)
        end = data.index(b"\r\n\r\n") + 4
        head, body = data[:end], data[end:]
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            more = sock.recv(65536)
            if not more:
                return None
            body += more
        with self.lock:
            request = Request(head, body, number, len(self.requests) + 1)
            self.requests.append(request)
        return request


def reply(status, body=b"", headers=(), reason="Status", close=False):
    """The bytes of an answer that keeps the connection, or a step that also closes it."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if close:
        lines.append("Connection: close")
    data = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
    if not close:
        return data

    def step(exchange):
        exchange.send(data)
        exchange.close()

    return step


def perform(step, exchange):
    if callable(step):
        step(exchange)
    else:
        exchange.send(step)


def answers(*steps):
    """One step per request, over all connections; the last one goes on for ever."""
    lock = threading.Lock()
    left = list(steps)

    def script(exchange):
        with lock:
            step = left.pop(0) if len(left) > 1 else left[0]
        perform(step, exchange)

    return script


def per_delivery(*steps):
    """As `answers`, counted for each webhook-id on its own."""
    lock = threading.Lock()
    seen = {}

    def script(exchange):
        with lock:
            turn = seen.get(exchange.request.id, 0)
            seen[exchange.request.id] = turn + 1
        perform(steps[min(turn, len(steps) - 1)], exchange)

    return script


def by_path(table):
    """A step per request target; each may be a script of its own."""

    def script(exchange):
        perform(table[exchange.request.target], exchange)

    return script


def hung_up(sock, within):
    """Did the other side close? Waits at most `within` seconds. Data that came is left alone."""
    sock.settimeout(within or 0.001)
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def close_quietly(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


def dead_port():
    """A port of this machine where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
