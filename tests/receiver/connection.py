"""One connection: reads and sends exactly what the steps of its rules say, and reports what happened."""

import base64
import select
import socket
import ssl
import struct
import time

HEAD_MAX = 1 << 20
OK = ("reply", (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",))


class Over(Exception):
    """The connection is done with; the text says by whom."""


class Connection:
    def __init__(self, server, sock, number, peer):
        self.server, self.sock, self.number = server, sock, number
        self.data = b""  # received and not read by a step yet
        self.received = self.sent = 0
        self.peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer)
        self.request = None

    def run(self):
        self.server.report("connection", connection=self.number, peer=self.peer)
        try:
            self._follow(self.server.rule_for_connection())
            while True:
                self._serve_one()
        except Over as over:
            how = str(over)
        except (ConnectionResetError, BrokenPipeError):
            how = "reset by the sender"
        except ssl.SSLError as error:
            how = "tls: " + (error.reason or str(error))
        except OSError as error:
            how = str(error)
        finally:
            close_quietly(self.sock)
        self.server.report("closed", connection=self.number, how=how, received=self.received, sent=self.sent, unread=len(self.data))

    # --- Requests ------------------------------------------------------------------------------

    def _serve_one(self):
        self.request = request = Request(self._read_head())
        self.server.number(request, self.number)
        rule = self.server.rule_for(request)
        request.rule = rule.line if rule else None
        steps = rule.steps if rule else [OK]
        if steps and steps[0][0] == "read":
            self.server.report("head", **request.head_shown())
        else:
            self._read_body()
        self._follow(steps)
        self.server.report("answered", connection=self.number, request=request.number)
        self._read_body()
        self.request = None

    def _read_head(self):
        while b"\r\n\r\n" not in self.data:
            if len(self.data) > HEAD_MAX:
                raise Over("the head of the request is too long")
            self._more()
        return self._take(self.data.index(b"\r\n\r\n") + 4)

    def _read_body(self):
        request = self.request
        if request is None or request.whole:
            return
        while len(request.body) < request.length:
            if not self.data:
                self._more()
            request.body += self._take(request.length - len(request.body))
        request.whole = True
        self.server.report("request", **request.shown())

    def _read(self, what):
        if what == "all":
            while True:
                self._take(len(self.data))
                self._more()
        elif what == "head":
            if self.request is None:
                self._read_head()
        elif what in ("body", "request"):
            if self.request is None:
                self.request = Request(self._read_head())
                self.server.number(self.request, self.number)
            self._read_body()
        else:
            # Of a request, what is read counts as its body; else they are just bytes.
            while len(self.data) < what:
                self._more()
            taken = self._take(what)
            if self.request:
                self.request.body += taken

    def _take(self, count):
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def _more(self):
        while not self._readable(0.05):
            if self.server.stopping.is_set():
                raise Over("the receiver was stopped")
        more = self.sock.recv(65536)
        if not more:
            raise Over("closed by the sender")
        self.received += len(more)
        self.data += more

    def _readable(self, within):
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return True
        return bool(select.select([self.sock], [], [], within)[0])

    # --- Steps ---------------------------------------------------------------------------------

    def _follow(self, steps):
        turns = 0
        at = 0
        while at < len(steps):
            name, arguments = steps[at]
            at += 1
            if name == "again":
                turns += 1
                if arguments[0] is None or turns <= arguments[0]:
                    at = 0
            else:
                getattr(self, "do_" + name.replace("-", "_"))(*arguments)

    def do_read(self, what):
        self._read(what)

    def do_reply(self, answer):
        self._send(answer)

    def do_send(self, *parts):
        for part in parts:
            self._send(part)

    def do_dribble(self, rate, text):
        for n in range(len(text)):
            self._send(text[n : n + 1])
            if n + 1 < len(text):
                self._pause(1 / rate)

    def do_flood(self, text):
        text = text * max(1, 65536 // len(text))
        while True:
            self._send(text)
            if self.server.stopping.is_set():
                raise Over("the receiver was stopped")

    def do_wait(self, least, most):
        self._pause(self.server.chance.uniform(least, most))

    def do_hold(self):
        while True:
            self._pause(3600)

    def do_half_close(self):
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock = self.sock.unwrap()
        self.sock.shutdown(socket.SHUT_WR)

    def do_close(self):
        raise Over("closed")

    def do_reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Over("reset")

    def do_tls(self, options):
        assert not self.data, "TLS begins before anything was read"
        self.sock.settimeout(30)
        self.sock = self.server.tls(options).wrap_socket(self.sock, server_side=True)
        certificate = self.sock.getpeercert(binary_form=True)
        self.server.report(
            "tls", connection=self.number, version=self.sock.version(), alpn=self.sock.selected_alpn_protocol(),
            client_certificate=base64.b64encode(certificate).decode() if certificate else None,
        )  # fmt: skip

    def do_refuse(self, seconds):
        self.server.refuse(seconds)

    def do_ignore(self, seconds):
        self.server.ignore(seconds)

    def do_accept(self):
        self.server.accept_again()

    def _send(self, data):
        self.sock.settimeout(30)
        self.sock.sendall(data)
        self.sent += len(data)

    def _pause(self, seconds):
        """Waits, or less when the sender hangs up or the receiver is stopped; what comes meanwhile stays unread."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.server.stopping.is_set():
                raise Over("the receiver was stopped")
            if self._hung_up(min(left, 0.05)):
                raise Over("closed by the sender")

    def _hung_up(self, within):
        plain = self.sock.fileno()
        if not select.select([plain], [], [], within)[0]:
            return False
        with socket.socket(fileno=plain) as borrowed:
            try:
                ended = borrowed.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                ended = False
            finally:
                borrowed.detach()
        if not ended:
            time.sleep(within)  # it has sent more: that is no end, and not asked for yet
        return ended


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = (lines[0].split(" ", 2) + ["", ""])[:3]
        self.headers = [tuple(part.strip() for part in line.partition(":")[::2]) for line in lines[1:] if line]
        self.length = int(self.header("content-length") or 0)
        self.body, self.whole = b"", False
        self.at, self.wall = time.monotonic(), time.time()
        self.number = self.connection = self.rule = None

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)

    def head_shown(self):
        return {
            "connection": self.connection, "request": self.number, "rule": self.rule, "at": self.at, "wall": self.wall,
            "method": self.method, "target": self.target, "version": self.version, "headers": [list(pair) for pair in self.headers],
        }  # fmt: skip

    def shown(self):
        return {**self.head_shown(), **body_shown(self.body)}


def body_shown(body):
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body": None, "body_base64": base64.b64encode(body).decode()}


def close_quietly(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()
