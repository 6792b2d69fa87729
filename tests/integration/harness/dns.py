"""A tiny name server for tests that run in a network of their own, and the resolv.conf that points to it."""

import ipaddress
import socket
import struct
import subprocess
import threading

A, AAAA = 1, 28
TYPES = {A: "A", AAAA: "AAAA"}
NXDOMAIN, SERVFAIL, SILENT = "NXDOMAIN", "SERVFAIL", "SILENT"


class NameServer:
    """
    `table`: name -> list of answers, given in turn, round and round. An answer is a list of addresses (v4 and v6 mixed), or
    NXDOMAIN, SERVFAIL, SILENT. A turn is one look-up: its A query moves on to the next answer, AAAA follows.
    A name that is not in the table does not exist.
    """

    def __init__(self, table, address="127.0.0.53"):
        self.table, self.address = table, address
        self.turns, self.queries = {}, []
        self.lock = threading.Lock()

    def __enter__(self):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for address in ("198.51.100.7/32",):
            subprocess.run(["ip", "addr", "add", address, "dev", "lo"], check=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.close()

    def asked(self, name, kind):
        with self.lock:
            return self.queries.count((name, kind))

    def _serve(self):
        while True:
            try:
                query, sender = self.socket.recvfrom(4096)
            except OSError:
                return
            answer = self._answer(query)
            if answer:
                self.socket.sendto(answer, sender)

    def _answer(self, query):
        name, end = read_name(query, 12)
        kind, _ = struct.unpack("!HH", query[end : end + 4])
        question = query[12 : end + 4]
        with self.lock:
            self.queries.append((name, TYPES.get(kind, str(kind))))
            answers = self.table.get(name)
            if answers is None:
                result = NXDOMAIN
            else:
                turn = self.turns.get(name, 0)
                if kind == A:
                    self.turns[name] = turn + 1
                else:
                    turn = max(0, turn - 1)
                result = answers[turn % len(answers)]
        if result == SILENT:
            return None
        code = {NXDOMAIN: 3, SERVFAIL: 2}.get(result, 0) if isinstance(result, str) else 0
        records = b""
        count = 0
        for text in result if not code else []:
            address = ipaddress.ip_address(text)
            if (address.version == 4) == (kind == A) and kind in (A, AAAA):
                records += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(address.packed)) + address.packed
                count += 1
        return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, count, 0, 0) + question + records


def read_name(data, at):
    labels = []
    while data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]].decode("latin-1"))
        at += 1 + data[at]
    return ".".join(labels).lower(), at + 1


def use_name_server(server, folder):
    """Lays a resolv.conf over the machine's, in this mount namespace alone."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = folder / "resolv.conf"
    ours.write_text(f"nameserver {server.address}\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", str(ours), "/etc/resolv.conf"], check=True)
