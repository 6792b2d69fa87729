"""The receivers of docs/signatures.md, run as they stand there: what people copy has to work."""

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from harness.process import ROOT, environment, wait_state
from harness.receiver import dead_port
from harness.waiting import wait_for

PAGE = (ROOT / "docs" / "signatures.md").read_text()
NPM = ROOT / "tests" / "npm"
DATA = '{"property_uid":12,"note":"café \\u001B \\/ end €","contract_uid":41,"n":12345678901234567890}'


def code(language):
    """The one receiver in this language."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, f"{len(blocks)} receivers in {language}"
    return blocks[0]


def replaced(text, old, new):
    assert text.count(old) == 1, f"{old!r} in {text}"
    return text.replace(old, new)


def php(folder, port):
    (folder / "receiver.php").write_text(code("php"))
    return [shutil.which("php"), "-d", "display_errors=stderr", "-S", f"127.0.0.1:{port}", str(folder / "receiver.php")]


def python(folder, port):
    (folder / "receiver.py").write_text(replaced(code("python"), '("", 8000)', f'("127.0.0.1", {port})'))
    return [sys.executable, "-u", str(folder / "receiver.py")]


def node(folder, port):
    (folder / "receiver.js").write_text(replaced(code("js"), ".listen(8000)", f'.listen({port}, "127.0.0.1")'))
    return [shutil.which("node") or shutil.which("nodejs"), str(folder / "receiver.js")]


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def post(url, headers, body):
    """The status that a request gets which is not Bellhop's."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.mark.parametrize("language", [php, python, node], ids=lambda language: language.__name__)
def test_the_receiver_takes_what_is_genuine_and_nothing_else(bellhop, site, make_receiver, language, tmp_path):
    port = dead_port()
    command = language(tmp_path, port)
    assert command[0], f"{language.__name__} is not installed: ./dev test does that"
    recorder = make_receiver()
    recorded = site.webhook(recorder.url(), manager="7")
    webhook = site.webhook(f"http://127.0.0.1:{port}/hook")
    secret = bellhop.run("webhook", "secret", webhook["id"]).stdout.strip()
    bellhop.run("webhook", "rotate", recorded["id"], "--secret", secret, "--overlap", "0s")

    log = tmp_path / "log"
    with open(log, "w") as out:
        env = {**environment(), "WEBHOOK_SECRET": secret, "NODE_PATH": str(NPM / "node_modules")}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=env, cwd=tmp_path)
    try:
        wait_for(lambda: process.poll() is not None or listens(port), "the receiver to listen")
        assert process.poll() is None, log.read_text()
        event = site.send("booking_added", DATA)
        wait_state(site, event, "delivered")
        wait_for(lambda: f"{event} booking_added" in log.read_text(), f"the receiver to tell of {event}: {log.read_text()}")

        bellhop.run("webhook", "rotate", webhook["id"], "--overlap", "1h")  # two signatures; the receiver has the old secret
        wait_state(site, site.send("booking_added", DATA), "delivered")

        genuine = recorder.of(event)[0]
        headers = {name: genuine.one(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
        url = f"http://127.0.0.1:{port}/"
        assert post(url, headers, genuine.body) == 200
        old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 301)}
        other = {**headers, "webhook-id": "evt_0000000000000"}
        none = {name: value for name, value in headers.items() if name != "webhook-signature"}
        for wrong, body in [(headers, genuine.body.replace(b"41", b"42")), (old, genuine.body), (other, genuine.body), (none, genuine.body), ({}, b"")]:
            assert post(url, wrong, body) == 400
    finally:
        process.terminate()
        process.wait(10)
    assert not re.search(r"Warning|Notice|Deprecated|Fatal|Traceback|Error:", log.read_text()), log.read_text()
