"""The misbehaving receiver itself: what a test asks of it happens on the wire, byte by byte."""

import json
import socket
import ssl
import subprocess
import sys
import time

import pytest
from harness.process import ROOT
from harness.waiting import wait_for

sys.path.insert(0, str(ROOT))

from tests.receiver import scenario  # noqa: E402

pytestmark = pytest.mark.stdlib

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def connect(receiver, within=5):
    return socket.create_connection((receiver.host, receiver.port), timeout=within)


def post(sock, path="/hook", body=b"{}", headers=()):
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *headers]
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)


def answer(sock):
    """One answer with Content-Length: its status."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(1)
        if not more:
            return None
        data += more
    return int(data.split(b" ")[1])


def statuses(receiver, count, path="/hook", headers=()):
    with connect(receiver) as sock:
        found = []
        for _ in range(count):
            post(sock, path, headers=headers)
            found.append(answer(sock))
        return found


# --- The language -------------------------------------------------------------------------------


def test_a_rule_is_conditions_and_steps():
    rules = scenario.parse(
        "# a comment\n"
        "connection 2-: read 3; reset   # another\n"
        "path /a* request 1-5 per 2s: reply 200 \"X-Colon: yes; no\" body \"a\\r\\n\\x41\\\"\"\n"
        "path /b:c:\n"
        "\tread head\n"
        "\tsend 3 * \"ab\" \"c\"; wait 100ms..2s; again 2\n"
    )
    assert [(rule.kind, rule.line) for rule in rules] == [("connection", 2), ("request", 3), ("request", 4)]
    assert rules[0].nth == (2, float("inf")) and rules[0].steps == [("read", (3,)), ("reset", ())]
    assert rules[1].path == "/a*" and rules[1].nth == (1, 5) and rules[1].per == 2.0
    assert rules[1].steps == [("reply", (b'HTTP/1.1 200 Status\r\nContent-Length: 5\r\nX-Colon: yes; no\r\n\r\na\r\nA"',))]
    assert rules[2].path == "/b:c"
    assert rules[2].steps == [("read", ("head",)), ("send", (b"ababab", b"c")), ("wait", (0.1, 2.0)), ("again", (2,))]


@pytest.mark.parametrize(
    "source, says",
    [
        ("request reply 200", "colon"),
        (" reply 200", "without a rule"),
        ("request: explode", "no such step: explode"),
        ("wish: close", "no such condition: wish"),
        ("request: reply", "status"),
        ("request: reply 2000", "three digits"),
        ("request: wait", "span"),
        ("request: wait 3", "span"),
        ("request: send hello", "double quotes"),
        ('request: send "\\q"', "escape"),
        ('request: send "open', "cannot read"),
        ("request: read much", "not a whole number"),
        ('request: dribble 4 "x"', "RATE"),
        ("request: close now", "nothing"),
        ("request x-y: close", "no such condition: x-y"),
        ("connection: tls key=a", "cert="),
        ("connection: tls sni=a", "tls takes"),
        ("\n\nrequest: explode", "line 3"),
        ("path", "colon"),
        ("path: close", "needs a path"),
    ],
)
def test_a_wrong_scenario_is_refused_with_its_line(source, says):
    with pytest.raises(scenario.ScenarioError) as raised:
        scenario.parse(source)
    assert says in str(raised.value) and str(raised.value).startswith("line ")


def test_the_program_refuses_a_wrong_scenario_and_explains_itself():
    program = [sys.executable, str(ROOT / "tests" / "receiver")]
    wrong = subprocess.run([*program, "-e", "request: explode"], capture_output=True, text=True, timeout=20)
    assert wrong.returncode == 2 and "line 1: no such step: explode" in wrong.stderr
    helped = subprocess.run([*program, "--help"], capture_output=True, text=True, timeout=20)
    assert helped.returncode == 0 and "dribble RATE TEXT" in helped.stdout and "JSON" in helped.stdout


# --- Requests -----------------------------------------------------------------------------------


def test_without_rules_all_is_well_and_what_arrived_is_told(scripted):
    receiver = scripted()
    with connect(receiver) as sock:
        post(sock, body='{"ü":1}'.encode(), headers=["webhook-id: evt_1", "X-Empty:"])
        assert answer(sock) == 200
        post(sock, body=b"\xff\x00")
        assert answer(sock) == 200
    wait_for(lambda: receiver.of_kind("closed"), "the end to be told")
    first, second = receiver.requests
    assert (first.number, first.connection, first.method, first.target, first.version) == (1, 1, "POST", "/hook", "HTTP/1.1")
    assert first.id == "evt_1" and first.one("x-empty") == "" and first.json == {"ü": 1}
    assert abs(first.at - time.monotonic()) < 60 and abs(first.wall - time.time()) < 60
    assert (second.number, second.connection, second.body) == (2, 1, b"\xff\x00")
    [closed] = receiver.of_kind("closed")
    assert closed["how"] == "closed by the sender" and closed["sent"] == 2 * len(OK)
    assert receiver.connections == 1 and receiver.open_connections == 0


def test_rules_are_chosen_by_count_path_id_and_header(scripted):
    receiver = scripted(
        'path /counted request 2: reply 500\npath /counted request 3: reply 501\npath /counted: reply 201\n'
        "path /each request 1 per id: reply 503\npath /each: reply 202\n"
        'header x-kind "odd": reply 400\nmethod GET: reply 405\n'
        "path /long* request 1 per connection: reply 299\n"
    )
    assert statuses(receiver, 5, "/counted") == [201, 500, 501, 201, 201]
    assert statuses(receiver, 2, "/each", ["webhook-id: a"]) == [503, 202]
    assert statuses(receiver, 2, "/each", ["webhook-id: b"]) == [503, 202]
    assert statuses(receiver, 1, headers=["X-Kind: odd"]) == [400]
    assert statuses(receiver, 1, headers=["X-Kind: even"]) == [200]
    assert statuses(receiver, 2, "/longer") == [299, 200]
    assert statuses(receiver, 2, "/longest") == [299, 200]
    assert [request.rule for request in receiver.requests[:2]] == [3, 1]


def test_a_quota_per_span_opens_again(scripted):
    receiver = scripted('request 1-3 per 1s: reply 200\nrequest: reply 429 "Retry-After: 1"')
    with connect(receiver) as sock:

        def window_turned():
            post(sock)
            return answer(sock) == 429

        wait_for(window_turned, "the quota to be used up")

        def opened():
            post(sock)
            return answer(sock) == 200

        wait_for(opened, "the next window")
        got = []
        for _ in range(3):
            post(sock)
            got.append(answer(sock))
        assert got.count(200) <= 3


def test_bytes_go_out_as_the_scenario_says(scripted):
    receiver = scripted(
        'path /torn: read head; send "HTTP/1.1 200 OK\\r\\nContent-Le"; close\n'
        'path /slow: dribble 50/s "HTTP/1.1 204 N\\r\\n\\r\\n"\n'
        'path /early: read head; reply 413; close\n'
        'path /some: read head; read 3; reply 200; close\n'
        'path /half: send "HTTP/1.0 200 OK\\r\\n\\r\\nbody"; half-close; read all\n'
        "path /reset: reset\n"
        'path /again: send "1"; again 2; close\n'
    )

    def all_of(path, body=b"hello"):
        with connect(receiver) as sock:
            post(sock, path, body)
            data = b""
            while more := sock.recv(100):
                data += more
            return data

    assert all_of("/torn") == b"HTTP/1.1 200 OK\r\nContent-Le"
    assert all_of("/half") == b"HTTP/1.0 200 OK\r\n\r\nbody"
    assert all_of("/again") == b"111"
    assert all_of("/early").startswith(b"HTTP/1.1 413 ")
    assert all_of("/some").startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ConnectionResetError):
        all_of("/reset")
    started = time.monotonic()
    with connect(receiver) as sock:
        post(sock, "/slow")
        assert answer(sock) == 204
    assert time.monotonic() - started >= 17 / 50
    assert {head.target for head in receiver.heads} == {"/torn", "/early", "/some"}
    assert {closed["how"] for closed in receiver.of_kind("closed")} >= {"closed", "reset", "closed by the sender"}


def test_hold_and_flood_last_until_the_sender_hangs_up(scripted):
    receiver = scripted('path /hold: hold\npath /flood: send "HTTP/1.1 200 OK\\r\\n\\r\\n"; flood "x"\n')
    with connect(receiver) as sock:
        post(sock, "/hold")
        wait_for(lambda: receiver.requests, "the request")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    with connect(receiver) as sock:
        post(sock, "/flood")
        count = 0
        while count < 1_000_000:
            count += len(sock.recv(65536))
    wait_for(lambda: len(receiver.of_kind("closed")) == 2, "both to be closed")


def test_connections_have_rules_of_their_own(scripted):
    receiver = scripted('connection 1: reset\nconnection 2: send "HTTP/1.1 408 Early\\r\\n\\r\\n"; close\n')
    with pytest.raises(ConnectionResetError), connect(receiver) as sock:  # perhaps while it connects
        sock.recv(1)
    with connect(receiver) as sock:
        assert answer(sock) == 408
    assert statuses(receiver, 2) == [200, 200]


# --- The listener -------------------------------------------------------------------------------


def test_connections_can_be_refused_and_ignored_for_a_while(scripted):
    receiver = scripted("start: refuse")
    with pytest.raises(ConnectionRefusedError):
        connect(receiver)
    receiver.say("accept")
    assert statuses(receiver, 1) == [200]
    receiver.say("ignore")
    with pytest.raises(TimeoutError):
        connect(receiver, within=0.3)
    receiver.say("accept")
    assert statuses(receiver, 1) == [200]
    receiver.say("refuse 100ms")

    def open_again():
        try:
            return statuses(receiver, 1) == [200]
        except ConnectionRefusedError:
            return False

    wait_for(open_again, "the time to pass")


def test_a_request_can_take_the_receiver_down(scripted):
    receiver = scripted("request 1: refuse; reset")
    with connect(receiver) as sock:
        post(sock)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(receiver)


def test_rules_change_while_it_runs(scripted):
    receiver = scripted("request: reply 500")
    assert statuses(receiver, 1) == [500]
    receiver.say("path /hook request 1: reply 404")
    assert statuses(receiver, 2) == [404, 500]
    receiver.say("forget")
    assert statuses(receiver, 1) == [200]


def test_it_takes_its_scenario_from_stdin_too():
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.receiver", "-"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    program.stdin.write("request: reply 418\n")
    program.stdin.close()
    host, port = json.loads(program.stdout.readline())["address"].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        post(sock)
        assert answer(sock) == 418
    program.terminate()
    program.wait(10)
    program.stdout.close()


# --- TLS ----------------------------------------------------------------------------------------


def test_tls_with_a_certificate_and_a_client_certificate(scripted, tmp_path):
    for name in ("server", "client"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", tmp_path / f"{name}.key",
             "-out", tmp_path / f"{name}.crt", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True, capture_output=True,
        )  # fmt: skip
    receiver = scripted(
        f"connection 1: tls cert={tmp_path}/server.crt key={tmp_path}/server.key alpn=h2,http/1.1\n"
        f"connection 2: tls cert={tmp_path}/server.crt key={tmp_path}/server.key ca={tmp_path}/client.crt max=1.2\n"
    )
    context = ssl.create_default_context(cafile=tmp_path / "server.crt")
    context.set_alpn_protocols(["http/1.1"])
    with context.wrap_socket(connect(receiver), server_hostname="127.0.0.1") as sock:
        post(sock)
        assert answer(sock) == 200
    context.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")
    with context.wrap_socket(connect(receiver), server_hostname="127.0.0.1") as sock:
        assert sock.version() == "TLSv1.2"
        post(sock)
        assert answer(sock) == 200
    first, second = wait_for(lambda: len(receiver.of_kind("tls")) == 2 and receiver.of_kind("tls"), "both handshakes")
    assert first["alpn"] == "http/1.1" and first["client_certificate"] is None
    assert second["version"] == "TLSv1.2" and second["client_certificate"]
