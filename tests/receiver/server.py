"""The listener, and the choice of the rule that a connection or a request is treated by."""

import pathlib
import random
import socket
import ssl
import threading
import time

from .connection import Connection, close_quietly

VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
BACKLOG = 512


class Server:
    """`report` is called with a dict for each thing that happened, from any thread, one at a time."""

    def __init__(self, rules, report, host="127.0.0.1", port=0, folder=".", seed=None):
        self.rules, self._report = list(rules), report
        self.folder = pathlib.Path(folder)
        self.chance = random.Random(seed)
        self.started = time.monotonic()
        self.stopping = threading.Event()
        self.lock = threading.RLock()
        self.reporting = threading.Lock()
        self.connections = self.requests = 0
        self.contexts, self.plugs = {}, []
        self.timer = None
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = None
        self.host, self.port = host, port
        self._listen()
        for rule in [rule for rule in self.rules if rule.kind == "start"]:
            for name, arguments in rule.steps:
                {"refuse": self.refuse, "ignore": self.ignore, "accept": self.accept_again}[name](*arguments)

    def report(self, event, **more):
        with self.reporting:
            self._report({"event": event, "at": time.monotonic(), **more})

    def stop(self):
        self.stopping.set()
        self.refuse(None)

    # --- Listening -----------------------------------------------------------------------------

    def _listen(self):
        with self.lock:
            if self.listener is not None:
                return
            self.listener = socket.create_server((self.host, self.port), family=self.family, backlog=BACKLOG)
            self.host, self.port = self.listener.getsockname()[:2]
            threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                sock, peer = listener.accept()
            except OSError:
                return  # nobody listens any more
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=Connection(self, sock, number, peer).run, daemon=True).start()

    def refuse(self, seconds=None):
        with self.lock:
            listener, self.listener = self.listener, None
            if listener is not None:
                close_quietly(listener)
            self._unplug()
            self._again_in(seconds)

    def ignore(self, seconds=None):
        """A full queue that nobody empties: the kernel then drops whoever wants to connect."""
        with self.lock:
            self.refuse(None)
            deaf = socket.create_server((self.host, self.port), family=self.family, backlog=1)
            self.plugs.append(deaf)
            for _ in range(4):
                plug = socket.socket(self.family)
                plug.setblocking(False)
                plug.connect_ex((self.host, self.port))
                self.plugs.append(plug)
            self._again_in(seconds)

    def accept_again(self):
        with self.lock:
            self._unplug()
            self._again_in(None)
            if not self.stopping.is_set():
                self._listen()

    def _unplug(self):
        while self.plugs:
            self.plugs.pop().close()

    def _again_in(self, seconds):
        if self.timer:
            self.timer.cancel()
        self.timer = threading.Timer(seconds, self.accept_again) if seconds is not None else None
        if self.timer:
            self.timer.daemon = True
            self.timer.start()

    # --- Rules ---------------------------------------------------------------------------------

    def put_first(self, rules):
        with self.lock:
            self.rules = [*rules, *self.rules]

    def forget_rules(self):
        with self.lock:
            self.rules = []

    def number(self, request, connection):
        with self.lock:
            self.requests += 1
            request.number, request.connection = self.requests, connection

    def rule_for_connection(self):
        with self.lock:
            # All are asked, also after one that fits: each counts for itself.
            fitting = [rule for rule in self.rules if rule.kind == "connection" and self._in_time(rule) and self._nth(rule, None)]
            return fitting[0].steps if fitting else []

    def rule_for(self, request):
        with self.lock:
            fitting = [rule for rule in self.rules if rule.kind == "request" and self._fits(rule, request)]
            return fitting[0] if fitting else None

    def _fits(self, rule, request):
        """The count comes last: it is of the requests that fit everything else."""
        if not fits_pattern(rule.path, request.target) or rule.method not in (None, request.method):
            return False
        if rule.header:
            name, wanted = rule.header
            value = request.header(name)
            if value is None or wanted not in (None, value):
                return False
        if not self._in_time(rule) or (rule.chance is not None and self.chance.random() >= rule.chance):
            return False
        return self._nth(rule, request)

    def _in_time(self, rule):
        return rule.after <= time.monotonic() - self.started < rule.before

    def _nth(self, rule, request):
        if rule.nth is None:
            return True
        if rule.per == "id":
            what = request.header("webhook-id")
        elif rule.per == "connection":
            what = request.connection
        elif rule.per is not None:
            what = (time.monotonic() - self.started) // rule.per
        else:
            what = None
        return rule.counts_in(*rule.nth, what)

    # --- TLS -----------------------------------------------------------------------------------

    def tls(self, options):
        key = tuple(sorted(options.items()))
        with self.lock:
            if key not in self.contexts:
                self.contexts[key] = self._make_context(options)
            return self.contexts[key]

    def _make_context(self, options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if options.get("max") in ("1.0", "1.1"):
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
        if "min" in options:
            context.minimum_version = VERSIONS[options["min"]]
        if "max" in options:
            context.maximum_version = VERSIONS[options["max"]]
        context.load_cert_chain(self.folder / options["cert"], self.folder / options.get("key", options["cert"]))
        if "ca" in options:
            context.load_verify_locations(self.folder / options["ca"])
            context.verify_mode = ssl.CERT_REQUIRED
        if "alpn" in options:
            context.set_alpn_protocols(options["alpn"].split(","))
        return context


def fits_pattern(pattern, text):
    if pattern is None:
        return True
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
