"""The commands of the binary, against a running Bellhop and without one."""

import datetime
import json
import os
import pty
import re
import select
import signal
import subprocess
import threading

import pytest
from harness.process import BINARY, ROOT, attempts_of, environment, wait_state
from harness.receiver import answers, dead_port, reply
from harness.waiting import wait_for

EXACT = '{"property_uid":12,"big":12345678901234567890,"price":412.50,"text":"caf\\u00e9 \\/"}'
DEAD = "\033[31m"


def without_server(*arguments, env=None, **more):
    """A command of the binary that is told of no data folder."""
    return subprocess.run([str(BINARY), *arguments], capture_output=True, text=True, timeout=60, env={**environment(), **(env or {})}, **more)


class Listener:
    """`bellhop listen`, whose standard output is read line by line."""

    def __init__(self, folder, *arguments):
        self.address_file = folder / "listen.address"
        self.process = subprocess.Popen(
            [str(BINARY), "listen", "--print-address", str(self.address_file), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )
        wait_for(lambda: self.process.poll() is not None or (self.address_file.exists() and self.address_file.read_text()), "listen to take requests")
        assert self.process.poll() is None, self.process.communicate()
        self.url = self.address_file.read_text()

    def ended(self):
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.ended()


@pytest.fixture
def listen(tmp_path):
    made = []

    def make(*arguments):
        made.append(Listener(tmp_path, *arguments))
        return made[-1]

    yield make
    for listener in made:
        if listener.process.poll() is None:
            listener.process.kill()
            listener.process.communicate()


# --- Finding the server -------------------------------------------------------------------------


def test_without_a_server_the_way_to_start_one_is_named(tmp_path):
    never = without_server("webhook", "list", cwd=tmp_path)
    assert never.returncode == 1 and "bellhop serve" in never.stderr and "var/address" in never.stderr
    gone = without_server("webhook", "list", "--url", f"http://127.0.0.1:{dead_port()}", "--key", "bhk_" + "x" * 43)
    assert gone.returncode == 1 and "Is bellhop serve running?" in gone.stderr and "cannot list the webhooks" in gone.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_of_somebody_else_is_called_so(bellhop, tmp_path):
    stranger = {"user": 65534, "group": 65534, "extra_groups": []}
    for folder in [bellhop.data.parents[i] for i in range(3)]:
        folder.chmod(0o755)  # so that only the data folder itself is closed
    done = without_server("webhook", "list", "--data", str(bellhop.data), cwd="/", **stranger)
    assert done.returncode == 1 and "you may not read in its data folder" in done.stderr


def test_the_key_of_a_folder_nobody_named_goes_to_no_other_machine(bellhop):
    """./var/site.key opens everything: a wrong --server must not get to see it."""
    done = without_server("webhook", "list", "--server", "http://192.0.2.1:8380", cwd=bellhop.folder)
    assert done.returncode == 1 and "cannot find a key" in done.stderr


def test_address_and_key_are_found_in_every_way(bellhop, tmp_path):
    key = tmp_path / "key"
    key.write_text(bellhop.key + "\n")
    for arguments, env, cwd in [
        ([], {}, bellhop.folder),
        (["--data-dir", str(bellhop.data)], {}, tmp_path),
        (["--data", str(bellhop.data)], {}, tmp_path),
        ([], {"BELLHOP_DATA_DIR": str(bellhop.data)}, tmp_path),
        (["--url", bellhop.url, "--key", bellhop.key], {}, tmp_path),
        (["--server", bellhop.url + "/", "--key", f"@{key}"], {}, tmp_path),
        ([], {"BELLHOP_URL": bellhop.url, "BELLHOP_KEY": bellhop.key, "http_proxy": "http://127.0.0.1:9"}, tmp_path),
    ]:
        done = without_server("manager", "list", *arguments, env=env, cwd=cwd)
        assert done.returncode == 0, (arguments, env, done.stderr)


def test_what_answers_and_is_no_bellhop_is_called_so(receiver):
    receiver.script = answers(reply(200, b"<html>" + DEAD.encode()))
    done = without_server("webhook", "list", "--url", f"http://{receiver.address}", "--key", "bhk_x")
    assert done.returncode == 1 and "is no JSON" in done.stderr and "\033" not in done.stderr
    receiver.script = answers(reply(502, b"<html>" + DEAD.encode()))
    done = without_server("webhook", "list", "--url", f"http://{receiver.address}", "--key", "bhk_x")
    assert done.returncode == 1 and "answered 502" in done.stderr and "\033" not in done.stderr
    receiver.script = answers(reply(200, b'{"data":[{"id":7,"name":{"a":[1]}},3,null],"next":7}'))
    done = without_server("webhook", "list", "--limit", "3", "--url", f"http://{receiver.address}", "--key", "bhk_x")
    assert done.returncode == 0, done.stderr


def test_a_wrong_key_says_what_to_do(bellhop):
    done = bellhop.run("webhook", "list", "--key", "bhk_" + "x" * 43, check=False)
    assert done.returncode == 1 and "401 unauthorized" in done.stderr and "--key" in done.stderr
    emitter = bellhop.run("key", "add", "--role", "emit", "--json", json_output=True)["key"]
    done = bellhop.run("webhook", "list", "--key", emitter, check=False)
    assert done.returncode == 1 and "403 role_not_allowed" in done.stderr
    done = bellhop.run("webhook", "list", "--key", "bhk_\r\nX: y", check=False)
    assert done.returncode == 2


# --- Usage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, meant",
    [
        (["webook", "list"], "bellhop webhook list"), (["webhook", "lst"], "bellhop webhook list"), (["webhook", "list", "--limt", "3"], "--limit"),
        (["list", "webhooks"], "bellhop webhook list"), (["webhook", "create"], "bellhop webhook add"),
    ],
)  # fmt: skip
def test_slips_are_answered_with_what_was_meant(words, meant):
    done = without_server(*words)
    assert done.returncode == 2 and "did you mean" in done.stderr and meant in done.stderr and not done.stdout


def test_what_is_missing_or_too_much_is_usage():
    for words in [["webhook", "show"], ["webhook", "show", "whk_1", "whk_2"], ["send"], ["webhook", "show", "evt_04f2k8m1q7zr0"], ["webhook"], [],
                  ["send", "a", "--file", "b"], ["send", "a", "--data", "{"], ["send", "a", "--id", "with blanks"], ["listen", "--port", "70000"]]:  # fmt: skip
        done = without_server(*words)
        assert done.returncode == 2, (words, done.stderr)
        assert done.stderr and not done.stdout, words


def test_output_that_does_not_arrive_is_a_failure():
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(BINARY), "help"], stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), timeout=60)
    assert done.returncode == 1 and "cannot write the output" in done.stderr


def on_a_terminal(*arguments, env=None):
    """What a command prints on a terminal of 80 columns."""
    leader, follower = pty.openpty()
    subprocess.run(["stty", "cols", "80"], stdin=follower, check=True)
    process = subprocess.Popen([str(BINARY), *arguments], stdout=follower, stderr=follower, env={**environment(), "TERM": "xterm", **(env or {})})
    os.close(follower)
    out = b""
    while select.select([leader], [], [], 30)[0]:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other end is closed: Linux says EIO
            break
        if not piece:
            break
        out += piece
    process.wait(30)
    os.close(leader)
    return out.decode()


def test_colours_are_for_terminals_that_want_them():
    assert "\033[" in on_a_terminal("help")
    assert "\033[" not in on_a_terminal("help", env={"NO_COLOR": "1"})
    assert "\033[" not in on_a_terminal("help", env={"TERM": "dumb"})
    assert "\033[" not in without_server("help").stdout


def test_help_fits_eighty_columns():
    for words in (["help"], ["webhook", "add", "--help"], ["listen", "--help"]):
        text = re.sub(r"\033\[\d*m", "", on_a_terminal(*words))
        prose = [line for line in text.splitlines() if not line.lstrip().startswith(("bellhop", "--set", "--field", "--timestamp"))]
        assert max(len(line) for line in prose) <= 80, max(prose, key=len)


def test_the_page_is_what_help_writes():
    assert without_server("help", "--markdown").stdout == (ROOT / "docs" / "cli.md").read_text()


# --- People, properties, keys, types ------------------------------------------------------------


def test_managers_and_properties_are_added_changed_and_removed(bellhop):
    assert "added manager 7" in bellhop.run("manager", "add", "7", "--name", "Ada", "--email", "ada@example.org").stdout
    bellhop.run("manager", "set", "7", "--name", "Ada L.")
    shown = bellhop.run("manager", "show", "7", "--json", json_output=True)
    assert (shown["name"], shown["email"], shown["role"]) == ("Ada L.", "ada@example.org", "manager")
    bellhop.run("property", "add", "12", "--name", "Sea View", "--manager", "7", "--manager", "8")
    bellhop.run("property", "set", "12", "--name", "Sea View Inn")
    assert bellhop.run("property", "show", "12", "--json", json_output=True)["managers"] == ["7", "8"]
    listed = bellhop.run("property", "list", "--manager", "7").stdout
    assert "Sea View Inn" in listed and "7, 8" in listed
    bellhop.run("property", "set", "12", "--no-manager")
    assert bellhop.run("property", "show", "12", "--json", json_output=True)["managers"] == []
    bellhop.run("property", "remove", "12")
    bellhop.run("manager", "remove", "7")
    gone = bellhop.run("manager", "show", "7", check=False)
    assert gone.returncode == 1 and "404 not_found" in gone.stderr


def test_ids_of_the_site_may_be_any_text(bellhop):
    for name in ["a/b?c#d", "..", "caf\u00e9 \u65e5\u672c", "100%"]:
        bellhop.run("manager", "add", name, "--name", "x")
        assert bellhop.run("manager", "show", name, "--json", json_output=True)["id"] == name
        bellhop.run("manager", "remove", name)


def test_lists_follow_the_pages(bellhop):
    for number in range(120):
        bellhop.site.manager(f"{number:03}")
    lines = bellhop.run("manager", "list", "--limit", "110").stdout.splitlines()
    assert len(lines) == 111 and lines[1].startswith("000") and lines[-1].startswith("109")
    short = bellhop.run("manager", "list", "--limit", "5")
    assert len(short.stdout.splitlines()) == 6 and "--limit 20" in short.stderr
    page = bellhop.run("manager", "list", "--limit", "5", "--json", json_output=True)
    following = bellhop.run("manager", "list", "--limit", "5", "--cursor", page["next"], "--json", json_output=True)
    assert following["data"][0]["id"] == "005"


def test_keys_are_shown_once_and_revoked(bellhop):
    made = bellhop.run("key", "add", "--role", "emit", "--name", "shop", "--json", json_output=True)
    assert made["key"] not in bellhop.run("key", "list").stdout
    bellhop.run("send", "booking_added", "--property", "12", "--key", made["key"])
    bellhop.run("key", "revoke", made["id"])
    assert bellhop.run("send", "booking_added", "--property", "12", "--key", made["key"], check=False).returncode == 1
    assert bellhop.run("key", "add", "--name", "x", check=False).returncode == 2


def test_event_types_of_the_site(bellhop, tmp_path):
    example = tmp_path / "example.json"
    example.write_text('{"property_uid":12,"total":412.50}\n')
    bellhop.run("type", "add", "invoice.paid", "--group", "invoice", "--field", "property_uid", "--field", "total", "--example", f"@{example}")
    shown = bellhop.run("type", "show", "invoice.paid").stdout
    assert "property_uid, total" in shown and '{"property_uid":12,"total":412.50}' in shown
    assert "invoice.paid" in bellhop.run("type", "list").stdout
    bellhop.run("type", "remove", "invoice.paid")
    assert bellhop.run("type", "show", "invoice.paid", check=False).returncode == 1
    assert bellhop.run("type", "add", "x", "--example", "{", check=False).returncode == 2


# --- Webhooks -----------------------------------------------------------------------------------


def test_a_webhook_from_first_to_last(bellhop, site, receiver):
    url = receiver.url()
    made = bellhop.run("webhook", "add", "--manager", "7", "--url", url, "--events", "booking_*, invoice", "--name", "Channel manager", "--timeout", "10s",
                       "--header", "X-A: b", "--property", "12", "--shape", "jomres")  # fmt: skip
    webhook = re.search(r"whk_\w+", made.stdout).group()
    assert url in made.stdout and "whsec_" in made.stdout and f"bellhop webhook test {webhook} --wait" in made.stderr
    shown = bellhop.run("webhook", "show", webhook, "--json", json_output=True)
    assert shown["events"] == ["booking_*", "invoice"] and shown["timeout_seconds"] == 10 and shown["headers"] == {"X-A": "***"}
    assert shown["properties"] == ["12"] and shown["shape"] == "jomres" and shown["manager_id"] == "7"

    secret = bellhop.run("webhook", "secret", webhook).stdout.strip()
    assert secret in made.stdout
    rotated = bellhop.run("webhook", "rotate", webhook, "--overlap", "1h", "--json", json_output=True)
    assert rotated["secret"] != secret and rotated["old_secret_until"]

    tested = bellhop.run("webhook", "test", webhook, "--wait")
    assert re.fullmatch(r"What was sent: bellhop delivery show dlv_\w+ --full\n", tested.stderr)
    assert "delivered" in tested.stdout and "200" in tested.stdout
    changed = bellhop.run("webhook", "set", webhook, "--events", "*", "--all-properties", "--remove-header", "X-A", "--disable").stdout
    assert re.search(r"enabled +no", changed) and re.search(r"events +\*\n", changed) and "X-A" not in changed
    bellhop.run("webhook", "set", webhook, "--enable", "--held", "none")
    assert webhook in bellhop.run("webhook", "list", "--manager", "7").stdout
    bellhop.run("webhook", "remove", webhook)
    assert bellhop.run("webhook", "show", webhook, check=False).returncode == 1


def test_passwords_come_from_files_or_standard_input(bellhop, site, receiver, tmp_path):
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    base = ["webhook", "add", "--manager", "7", "--url", receiver.url(), "--method", "basic", "--set", "basic_username=bellhop", "--json"]
    for given, more in [(f"@{password}", {}), ("-", {"input": "correct horse\n"})]:
        made = bellhop.run(*base, "--set", f"basic_password={given}", **more)
        assert "correct horse" not in made.stdout + made.stderr
        assert "history" not in made.stderr
        webhook = json.loads(made.stdout)["id"]
        bellhop.run("webhook", "test", webhook, "--wait")
        assert receiver.requests[-1].one("authorization") == "Basic YmVsbGhvcDpjb3JyZWN0IGhvcnNl"
    typed = bellhop.run(*base, "--set", "basic_password=visible")
    assert "history of your shell" in typed.stderr


def test_wrong_settings_are_named_before_anything_is_made(bellhop, site, receiver):
    base = ["webhook", "add", "--manager", "7", "--url", receiver.url()]
    for more, says in [(["--method", "basci"], "basic"), (["--method", "basic", "--set", "basic_user=x"], "basic_username"), (["--set", "nonsense"], "key=value")]:
        done = bellhop.run(*base, *more, check=False)
        assert done.returncode == 2 and says in done.stderr
    refused = bellhop.run("webhook", "add", "--url", "http://10.1.2.3/", check=False)
    assert refused.returncode == 1 and "target_refused" in refused.stderr and "/settings/url" in refused.stderr and "allow" in refused.stderr
    assert bellhop.run("webhook", "list", "--json", json_output=True)["data"] == []


# --- Events and deliveries ----------------------------------------------------------------------


def test_send_waits_for_what_becomes_of_it(bellhop, site, receiver):
    site.webhook(receiver.url(), name="Channel manager")
    done = bellhop.run("send", "booking_added", "--data", EXACT, "--wait")
    assert re.search(r"accepted evt_\w{13}\n", done.stdout) and "Channel manager" in done.stdout and "delivered" in done.stdout and " ms" in done.stdout
    assert EXACT.encode() in receiver.requests[0].body
    whole = bellhop.run("send", "booking_added", "--property", "12", "--wait", "--json", json_output=True)
    assert whole["settled"] is True and whole["data"][0]["delivery"]["state"] == "delivered" and whole["data"][0]["last_attempt"]["status"] == 200
    assert whole["accepted"]["id"] == whole["data"][0]["event_id"]


def test_send_tells_what_failed_and_ends_with_1(bellhop, site, receiver):
    receiver.script = answers(reply(500, b"no"), reply(410))
    site.webhook(receiver.url())
    done = bellhop.run("send", "booking_added", "--property", "12", "--wait", check=False)
    assert done.returncode == 1 and "gone" in done.stdout and "410" in done.stdout
    assert "attempt 1 failed" in done.stderr and "bellhop delivery show dlv_" in done.stderr


def test_send_does_not_wait_longer_than_it_was_told(install, make_receiver):
    bellhop = install(settings={"retry_schedule": "1h"}).start()
    bellhop.site.manager("7")
    bellhop.site.property("12", "7")
    bellhop.site.webhook(make_receiver(answers(reply(500))).url())
    done = bellhop.run("send", "booking_added", "--property", "12", "--wait", "--timeout", "500ms", check=False)
    assert done.returncode == 1 and "pending" in done.stdout and "next attempt in" in done.stdout


def test_send_says_when_nobody_is_told(bellhop, site, receiver):
    site.webhook(receiver.url(), events=["invoice"])
    done = bellhop.run("send", "booking_added", "--property", "12", "--wait")
    assert "type_not_selected" in done.stdout
    unknown = bellhop.run("send", "booking_added", "--property", "99", "--json", json_output=True)["id"]
    assert "bellhop property add 99" in bellhop.run("explain", unknown).stderr


def test_the_same_id_makes_one_event(bellhop):
    first = bellhop.run("send", "booking_added", "--property", "12", "--id", "k-1").stdout
    again = bellhop.run("send", "booking_added", "--property", "12", "--id", "k-1").stdout
    assert again.startswith("known already") and first.split()[-1] == again.split()[-1]
    other = bellhop.run("send", "booking_added", "--property", "13", "--id", "k-1", check=False)
    assert other.returncode == 1 and "idempotency_conflict" in other.stderr


def test_files_are_sent_whole_whatever_their_form(bellhop, tmp_path):
    line = '{"type":"booking_added","data":{"property_uid":12,"n":%d}}'
    file = tmp_path / "events"
    for text, count in [(line % 1, 1), ("[" + line % 2 + "," + line % 3 + "]", 2), (line % 4 + "\n\n" + line % 5 + "\n", 2)]:
        file.write_text(text)
        answer = bellhop.run("send", "--file", str(file), "--json", json_output=True)
        assert len(answer.get("events", [answer])) == count
        assert len(bellhop.run("send", "--file", "-", "--json", json_output=True, input=text).get("events", [answer])) == count
    file.write_text(line % 6 + "\n" + '{"type":"booking_added","data":[]}\n')
    broken = bellhop.run("send", "--file", str(file), check=False)
    assert broken.returncode == 1 and "422" in broken.stderr and "/1/data" in broken.stderr
    file.write_text("")
    assert "empty" in bellhop.run("send", "--file", str(file), check=False).stderr
    assert "cannot open" in bellhop.run("send", "--file", str(tmp_path / "none"), check=False).stderr


def test_a_long_file_goes_as_several_calls_and_can_be_repeated(bellhop, tmp_path):
    file = tmp_path / "events.ndjson"
    file.write_text("".join('{"type":"booking_added","data":{"property_uid":12,"n":%d}}\n' % n for n in range(10003)))
    done = bellhop.run("send", "--file", str(file), "--id", "import-1")
    assert done.stdout.startswith("accepted 10003 events")
    again = bellhop.run("send", "--file", str(file), "--id", "import-1")
    assert again.stdout.startswith("accepted 0 events")


def test_json_is_the_api_s_very_bytes(bellhop):
    event = bellhop.run("send", "booking_added", "--data", EXACT, "--json", json_output=True)["id"]
    shown = bellhop.run("event", "show", event, "--json").stdout
    assert shown.rstrip("\n") == bellhop.site.get(f"/v1/events/{event}").body.decode()
    assert EXACT in shown
    for_people = bellhop.run("event", "show", event).stdout
    assert EXACT in for_people and "booking_added" in for_people
    assert event in bellhop.run("event", "list", "--type", "booking_added", "--property", "12").stdout


def test_what_a_receiver_answers_cannot_act_on_the_terminal(bellhop, site, receiver):
    receiver.script = answers(reply(500, b"\033]0;owned\007" + "\u202e\x9b31m".encode() + b"\377"))
    site.webhook(receiver.url())
    event = site.send()
    delivery = wait_for(lambda: [d for d in site.get(f"/v1/deliveries?event_id={event}").ok()["data"] if d["attempts"] > 0], "an attempt")[0]
    shown = bellhop.run("delivery", "show", delivery["id"], "--full")
    assert "owned" in shown.stdout and "\\u001b]0;" in shown.stdout and "\\u202e" in shown.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown.stdout)


def test_deliveries_are_listed_retried_and_cancelled(install, receiver):
    bellhop = install(settings={"retry_schedule": "1h"}).start()
    bellhop.site.manager("7")
    bellhop.site.property("12", "7")
    receiver.script = answers(reply(500), reply(200))
    bellhop.site.webhook(receiver.url())
    event = bellhop.site.send()
    delivery = wait_for(lambda: [d for d in bellhop.site.get(f"/v1/deliveries?event_id={event}").ok()["data"] if d["attempts"] == 1], "an attempt")[0]["id"]
    assert delivery in bellhop.run("delivery", "list", "--state", "pending", "--event", event).stdout
    shown = bellhop.run("delivery", "show", delivery).stdout
    assert "pending" in shown and "500" in shown and "in 60 min" in shown.replace("59 min", "60 min").replace("1 h", "60 min")
    retried = bellhop.run("delivery", "retry", delivery, "--wait")
    assert "delivered" in retried.stdout and retried.stderr == ""
    whole = bellhop.run("delivery", "show", delivery, "--json", json_output=True)
    assert whole["delivery"]["state"] == "delivered" and len(whole["attempts"]["data"]) == 2
    refused = bellhop.run("delivery", "cancel", delivery, check=False)
    assert refused.returncode == 1 and "409 conflict" in refused.stderr


# --- Order, rates, TLS; enabling, recovering, replaying ------------------------------------------


def set_webhook(bellhop, webhook, *options):
    return bellhop.run("webhook", "set", webhook, *options, "--json", json_output=True)


def test_the_pace_of_a_webhook_is_set_and_taken_back(bellhop, site, receiver):
    made = bellhop.run("webhook", "add", "--manager", "7", "--url", receiver.url(), "--order-by", "contract_uid", "--coalesce", "30s",
                       "--coalesce-by", "property, room_uid", "--rate", "60/1m", "--json", json_output=True)  # fmt: skip
    webhook = made["id"]
    assert made["order_by"] == "contract_uid" and made["coalesce"] == {"seconds": 30, "fields": ["property", "room_uid"]}
    assert made["rate_limit"] == {"requests": 60, "seconds": 60}
    shown = bellhop.run("webhook", "show", webhook).stdout
    for words in ("one after the other for each contract_uid", "with the same property and room_uid, only the newest within 30 s is sent", "at most 60 requests a minute"):
        assert words in shown
    assert set_webhook(bellhop, webhook, "--coalesce", "90")["coalesce"] == {"seconds": 90, "fields": ["property", "room_uid"]}
    assert set_webhook(bellhop, webhook, "--coalesce-by", "property")["coalesce"] == {"seconds": 90, "fields": ["property"]}
    off = set_webhook(bellhop, webhook, "--no-order", "--no-coalesce", "--no-rate")
    assert (off["order_by"], off["coalesce"], off["rate_limit"]) == (None, None, None)
    wrong = bellhop.run("webhook", "set", webhook, "--order-by", "a b", check=False)
    assert wrong.returncode == 1 and "/order_by" in wrong.stderr
    assert bellhop.run("webhook", "add", "--url", receiver.url(), "--coalesce", "30s", check=False).returncode == 2


def certificate(folder, name, days=365):
    """A certificate that signs itself, and its key."""
    files = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj", f"/CN={name}",
                    "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)  # fmt: skip
    return [str(file) for file in files]


def test_a_webhook_has_tls_of_its_own(bellhop, site, receiver, tmp_path):
    (ca, _), (client, key), (soon, soon_key) = certificate(tmp_path, "ca"), certificate(tmp_path, "client"), certificate(tmp_path, "soon", days=10)
    made = bellhop.run("webhook", "add", "--url", receiver.url(), "--tls-ca", ca, "--tls-cert", client, "--tls-key", key, "--json", json_output=True)
    assert made["tls"]["key"] == {"set": True} and made["warnings"] == []
    shown = bellhop.run("webhook", "show", made["id"])
    assert re.search(r"trusts +certificate authorities of its own only; good until \d{4}-", shown.stdout)
    assert re.search(r"client certificate +shown to the receiver; good until", shown.stdout) and "PRIVATE KEY" not in shown.stdout + str(made)
    other = bellhop.run("webhook", "set", made["id"], "--tls-key", soon_key, check=False)
    assert other.returncode == 1 and "/tls/" in other.stderr
    changed = bellhop.run("webhook", "set", made["id"], "--tls-cert", soon, "--tls-key", "-", input=open(soon_key).read()).stdout
    assert re.search(r"client certificate +.*\(in 9 d\)", changed) and re.search(r"warning +\w", changed)
    off = set_webhook(bellhop, made["id"], "--no-tls-cert")
    assert off["tls"]["certificate"] is None and off["tls"]["ca"] and off["warnings"] == []
    assert not (set_webhook(bellhop, made["id"], "--no-tls-ca")["tls"] or {}).get("ca")


def test_test_and_enable(bellhop, site, receiver):
    webhook = site.webhook(receiver.url())["id"]
    bellhop.run("webhook", "set", webhook, "--disable")
    events = [site.send() for _ in range(3)]
    receiver.script = answers(reply(500), reply(200))
    failed = bellhop.run("webhook", "test", webhook, "--enable", check=False)
    assert failed.returncode == 1 and f"webhook {webhook} stays disabled" in failed.stdout and "500" in failed.stdout
    assert [row["state"] for row in site.get(f"/v1/deliveries?webhook_id={webhook}&state=held").ok()["data"]] == ["held"] * 3
    done = bellhop.run("webhook", "test", webhook, "--enable", "--held", "newest")
    assert f"webhook {webhook} is enabled again. Of what it held only the newest is sent." in done.stdout
    wait_state(site, events[2], "delivered")
    wait_state(site, events[0], "cancelled")
    again = bellhop.run("webhook", "test", webhook, "--enable", check=False)
    assert again.returncode == 1 and "409" in again.stderr and "enabled already" in again.stderr


@pytest.fixture
def one_try(install):
    """A Bellhop that gives a delivery up after its first attempt."""
    bellhop = install(settings={"retry_schedule": "", "breaker_attempts": "1000000"}).start()
    bellhop.site.manager("7")
    bellhop.site.property("12", "7")
    return bellhop


def test_what_failed_is_recovered(one_try, receiver):
    site = one_try.site
    receiver.script = answers(*[reply(500)] * 3, reply(200))
    webhook = site.webhook(receiver.url())["id"]
    events = [site.send() for _ in range(3)]
    for event in events:
        wait_state(site, event, "exhausted")
    assert one_try.run("recover", webhook, "--since", "1h", "--dry-run").stdout == f"3 deliveries of webhook {webhook} would be sent again\n"
    assert one_try.run("recover", webhook, "--since", "1h", "--dry-run", "--json", json_output=True) == {"count": 3, "more": False}
    done = one_try.run("recover", webhook, "--since", "1h")
    recovery = re.search(r"rec_\w{13}", done.stdout).group()
    assert f"recovery {recovery} is done: 3 deliveries on the way again" in done.stdout
    for event in events:
        wait_state(site, event, "delivered")
    assert re.search(rf"{recovery} +{webhook} +done +3 +3 ", one_try.run("recovery", "list", "--webhook", webhook).stdout)
    assert re.search(r"state +done", one_try.run("recovery", "show", recovery).stdout)
    assert one_try.run("recovery", "cancel", recovery, check=False).returncode == 1
    none = one_try.run("recover", webhook, "--since", "1h", "--dry-run")
    assert none.returncode == 0 and none.stdout.startswith("nothing to recover")
    assert one_try.run("recover", webhook, "--since", "1h").stdout == none.stdout
    early = one_try.run("recover", webhook, "--since", "30d", check=False)
    assert early.returncode == 1 and "/since" in early.stderr
    one_try.run("webhook", "set", webhook, "--disable")
    refused = one_try.run("recover", webhook, "--since", "1h", check=False)
    assert refused.returncode == 1 and "webhook_disabled" in refused.stderr and "--enable" in refused.stderr


def test_a_recovery_under_way_is_left_and_cancelled(one_try, receiver):
    site = one_try.site
    receiver.script = answers(*[reply(500)] * 30, reply(200))
    webhook = site.webhook(receiver.url())["id"]
    events = [site.send() for _ in range(30)]
    for event in events:
        wait_state(site, event, "exhausted")
    command = [str(BINARY), "recover", webhook, "--since", "1h", "--rate", "1", "--data-dir", str(one_try.data)]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    recovery = re.search(r"rec_\w{13}", watching.stdout.readline()).group()
    busy = one_try.run("recover", webhook, "--since", "1h", check=False)
    assert busy.returncode == 1 and "409" in busy.stderr
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=30)
    assert watching.returncode == 1 and f"recovery {recovery} goes on" in out and f"bellhop recovery cancel {recovery}" in err
    assert "running" in one_try.run("recovery", "show", recovery).stdout
    cancelled = one_try.run("recovery", "cancel", recovery, "--json", json_output=True)
    assert cancelled["state"] == "cancelled" and cancelled["recovered"] < 30
    assert len(site.get(f"/v1/deliveries?webhook_id={webhook}&state=exhausted").ok()["data"]) == 30 - cancelled["recovered"]


def test_an_event_is_replayed_to_whoever_should_have_it_now(bellhop, site, receiver, make_receiver):
    webhook = site.webhook(receiver.url())["id"]
    event = site.send()
    wait_state(site, event, "delivered")
    late = make_receiver()
    newer = site.webhook(late.url(), name="Made later")["id"]
    replayed = bellhop.run("event", "replay", event).stdout
    assert replayed.startswith(f"replayed event {event}\n") and webhook in replayed and newer in replayed and "replay 1" in replayed
    wait_for(lambda: len(receiver.of(event)) == 2 and len(late.of(event)) == 1, "both to get it")
    only = bellhop.run("event", "replay", event, "--webhook", newer, "--json", json_output=True)
    assert only["event_id"] == event and [row["webhook_id"] for row in only["data"]] == [newer]
    wait_for(lambda: len(late.of(event)) == 2, "the newer one to get it again")
    explained = bellhop.run("explain", event).stdout
    assert len(re.findall(webhook, explained)) == 2 and len(re.findall(newer, explained)) == 2 and "replay 2" in explained
    assert bellhop.run("event", "replay", "evt_0000000000000", check=False).returncode == 1


def test_what_waits_in_order_says_so(install, receiver, listen):
    bellhop = install(settings={"retry_schedule": "1h"}).start()
    site = bellhop.site
    site.manager("7")
    site.property("12", "7")
    receiver.script = answers(reply(500), reply(200))
    webhook = site.webhook(receiver.url(), order_by="contract_uid")["id"]
    first, second = (site.send("booking_added", '{"property_uid":12,"contract_uid":4711,"n":%d}' % n) for n in (1, 2))
    one = wait_for(lambda: [d for d in site.get(f"/v1/deliveries?event_id={first}").ok()["data"] if d["attempts"] == 1], "an attempt")[0]["id"]
    listed = bellhop.run("delivery", "list", "--webhook", webhook).stdout
    assert "SEQ" in listed and re.search(r"pending +0 .* 2 +It waits until an earlier one with the order key \".*4711.*\" has ended\.", listed)
    assert "It waits until an earlier one" in bellhop.run("explain", second).stdout
    other = site.get(f"/v1/deliveries?event_id={second}").ok()["data"][0]["id"]
    shown = bellhop.run("delivery", "show", other).stdout
    assert re.search(r"waits for +an earlier one with the order key", shown) and re.search(r"sequence +2", shown)
    refused = bellhop.run("delivery", "retry", other, check=False)
    assert refused.returncode == 1 and "409 conflict" in refused.stderr and "4711" in refused.stderr

    listener = listen("--count", "2", "--timeout", "60s")
    bellhop.run("webhook", "set", webhook, "--url", listener.url)
    bellhop.run("delivery", "retry", one, "--wait")
    wait_state(site, second, "delivered")
    code, out, _ = listener.ended()
    assert code == 0 and re.search(r"#1 .*\n.*#2 ", out)


def test_what_was_coalesced_names_what_went_instead(bellhop, site, receiver):
    site.webhook(receiver.url(), coalesce={"seconds": 1, "fields": ["property"]})
    events = [site.send("booking_added", '{"property_uid":12,"n":%d}' % n) for n in range(3)]
    wait_state(site, events[2], "delivered")
    wait_state(site, events[0], "coalesced")
    sent = site.get(f"/v1/deliveries?event_id={events[2]}").ok()["data"][0]["id"]
    explained = bellhop.run("explain", events[0]).stdout
    assert re.search(rf"coalesced +coalesced .*in its place: {sent}\.", explained)
    overtaken = site.get(f"/v1/deliveries?event_id={events[0]}").ok()["data"][0]["id"]
    assert re.search(rf"sent in its place +{sent}", bellhop.run("delivery", "show", overtaken).stdout)
    assert len(receiver.requests) == 1


def test_a_key_that_hands_over_too_much_is_told_to_wait(install, tmp_path):
    bellhop = install(settings={"intake_rate": "5"}).start()
    file = tmp_path / "events.ndjson"
    file.write_text('{"type":"booking_added","data":{"property_uid":12}}\n' * 1000)
    for _ in range(2):
        done = bellhop.run("send", "--file", str(file), check=False)
    assert done.returncode == 1 and "429 too_many_events" in done.stderr and "intake_rate" in done.stderr and "Try again in" in done.stderr


# --- Against an API that the test plays ---------------------------------------------------------


@pytest.fixture
def played(make_receiver):
    """An API of canned answers: played({"GET /v1/x": [answer, answer ...]}); the last one of a list goes on for ever."""

    def play(table):
        lock = threading.Lock()
        left = {key: list(value) if isinstance(value, list) else [value] for key, value in table.items()}

        def script(exchange):
            request = exchange.request
            with lock:
                turns = left[f"{request.method} {request.target.split('?')[0]}"]
                answer = turns.pop(0) if len(turns) > 1 else turns[0]
            status, body = answer if isinstance(answer, tuple) else (200, answer)
            exchange.send(reply(status, json.dumps(body).encode(), [("Content-Type", "application/json")]))

        double = make_receiver(script)
        double.bodies_of = lambda path: [json.loads(r.body or b"null") for r in list(double.requests) if r.target.split("?")[0] == path]
        double.options = ["--server", f"http://{double.address}", "--key", "bhk_x"]
        return double

    return play


WEBHOOK, DELIVERY, RECOVERY = "whk_04f2k8m1q7zr0", "dlv_04f2k8m1q7zr1", "rec_04f2k8m1q7zr2"


def recovery(recovered, state="running", total=137):
    return {"id": RECOVERY, "webhook_id": WEBHOOK, "since": "2026-11-25T08:00:00Z", "state": state, "total": total, "recovered": recovered,
            "per_second": 20, "created_at": "2026-11-25T09:00:00Z", "ended_at": None if state == "running" else "2026-11-25T09:01:00Z"}  # fmt: skip


def test_recover_counts_before_anything_is_sent(played):
    double = played({f"POST /v1/webhooks/{WEBHOOK}/recover": [{"count": 137, "more": False}, {"count": 1000000, "more": True}, {"count": 0, "more": False}]})
    first, more, none = (without_server("recover", WEBHOOK, "--since", since, "--dry-run", *double.options) for since in ("2d", "5h", "2026-11-25T09:00:00+01:00"))
    assert first.returncode == 0 and first.stdout == f"137 deliveries of webhook {WEBHOOK} would be sent again\n"
    assert more.stdout.startswith("more than 1000000") and none.stdout.startswith("nothing to recover")
    asked = double.bodies_of(f"/v1/webhooks/{WEBHOOK}/recover")
    assert asked[2] == {"since": "2026-11-25T08:00:00.000000Z", "dry_run": True}
    ago = [datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(body["since"].replace("Z", "+00:00")) for body in asked[:2]]
    assert abs(ago[0] - datetime.timedelta(days=2)) < datetime.timedelta(minutes=2) and abs(ago[1] - datetime.timedelta(hours=5)) < datetime.timedelta(minutes=2)


def test_recover_tells_start_and_end_in_plain_lines(played):
    double = played({
        f"POST /v1/webhooks/{WEBHOOK}/recover": (202, recovery(0)),
        f"GET /v1/recoveries/{RECOVERY}": [recovery(20), recovery(80), recovery(137, "done")],
    })  # fmt: skip
    done = without_server("recover", WEBHOOK, "--since", "2d", "--rate", "20", *double.options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"recovery {RECOVERY}: 137 deliveries of webhook {WEBHOOK} to send again, 20 a second (about 7 s)",
                                        f"recovery {RECOVERY} is done: 137 deliveries on the way again"]  # fmt: skip
    assert done.stderr == f"What becomes of them: bellhop delivery list --webhook {WEBHOOK}\n"
    assert double.bodies_of(f"/v1/webhooks/{WEBHOOK}/recover")[0]["per_second"] == 20


def test_recover_draws_a_bar_on_a_terminal(played):
    double = played({
        f"POST /v1/webhooks/{WEBHOOK}/recover": (202, recovery(0)),
        f"GET /v1/recoveries/{RECOVERY}": [recovery(68), recovery(137, "done")],
    })  # fmt: skip
    shown = on_a_terminal("recover", WEBHOOK, "--since", "2d", *double.options)
    assert "\r[----" in shown and "\r[####" in shown and "68 of 137  about 4 s left\033[K" in shown and "is done" in shown
    plain = on_a_terminal("recover", WEBHOOK, "--since", "2d", *double.options, env={"TERM": "dumb"})
    assert "[#" not in plain and "is done" in plain


def test_recover_goes_on_when_nobody_watches_any_more(played):
    double = played({
        f"POST /v1/webhooks/{WEBHOOK}/recover": (202, recovery(0)),
        f"GET /v1/recoveries/{RECOVERY}": recovery(20),
        f"POST /v1/recoveries/{RECOVERY}/cancel": [recovery(34, "cancelled"), (409, {"code": "conflict", "detail": "It has ended."})],
        "GET /v1/recoveries": {"data": [recovery(34, "cancelled")], "next": None},
    })  # fmt: skip
    watching = subprocess.Popen([str(BINARY), "recover", WEBHOOK, "--since", "2d", *double.options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=environment())  # fmt: skip
    wait_for(lambda: len(double.requests) > 2, "the recovery to be watched")
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=30)
    assert watching.returncode == 1 and f"recovery {RECOVERY} goes on: 20 of 137" in out and f"bellhop recovery cancel {RECOVERY}" in err
    assert not [r for r in double.requests if "cancel" in r.target]

    detached = without_server("recover", WEBHOOK, "--since", "2d", "--detach", *double.options)
    assert detached.returncode == 0 and "is done" not in detached.stdout and RECOVERY in detached.stdout
    cancelled = without_server("recovery", "cancel", RECOVERY, *double.options)
    assert cancelled.returncode == 0 and re.search(r"state +cancelled", cancelled.stdout) and re.search(r"sent again +34", cancelled.stdout)
    assert without_server("recovery", "cancel", RECOVERY, *double.options).returncode == 1
    listed = without_server("recovery", "list", "--webhook", WEBHOOK, *double.options)
    assert RECOVERY in listed.stdout and "cancelled" in listed.stdout and double.requests[-1].target == f"/v1/recoveries?webhook_id={WEBHOOK}&limit=100"


def test_recover_that_somebody_else_cancelled_is_no_success(played):
    double = played({f"POST /v1/webhooks/{WEBHOOK}/recover": (202, recovery(0)), f"GET /v1/recoveries/{RECOVERY}": recovery(34, "cancelled")})
    done = without_server("recover", WEBHOOK, "--since", "2d", *double.options)
    assert done.returncode == 1 and "was cancelled: 34 of 137 sent again" in done.stdout
    told = without_server("recover", WEBHOOK, "--since", "2d", "--json", *double.options)
    assert told.returncode == 1 and json.loads(told.stdout) == recovery(34, "cancelled")


def test_recover_that_can_not_be_watched_goes_on_and_says_so(played):
    double = played({f"POST /v1/webhooks/{WEBHOOK}/recover": (202, recovery(0)), f"GET /v1/recoveries/{RECOVERY}": (503, {"code": "busy", "detail": "It stops."})})
    done = without_server("recover", WEBHOOK, "--since", "2d", *double.options)
    assert done.returncode == 1 and f"cannot watch recovery {RECOVERY}: It stops." in done.stderr and f"Recovery {RECOVERY} goes on all the same" in done.stderr


def test_recover_asks_for_what_it_needs(played):
    double = played({f"POST /v1/webhooks/{WEBHOOK}/recover": (409, {"code": "webhook_disabled", "detail": "It is disabled."})})
    for words, says in [([WEBHOOK], "how far back"), ([WEBHOOK, "--since", "yesterday"], "neither a span"), ([RECOVERY, "--since", "2d"], "is the id of a recovery"),
                        ([WEBHOOK, "--since", "2d", "--rate", "0"], "--rate")]:  # fmt: skip
        done = without_server("recover", *words, *double.options)
        assert done.returncode == 2 and says in done.stderr, done.stderr
    assert not double.requests
    refused = without_server("recover", WEBHOOK, "--since", "2d", *double.options)
    assert refused.returncode == 1 and "409 webhook_disabled" in refused.stderr and "bellhop webhook test WEBHOOK --enable" in refused.stderr


def delivery(state, **more):
    return {"id": DELIVERY, "event_id": "evt_1", "webhook_id": WEBHOOK, "state": state, "attempts": 1, "reason": None, "due_at": None, **more}


def answers_to_test(state, webhook):
    """The answers to `webhook test --enable` of which the test ends in `state`."""
    return {
        f"POST /v1/webhooks/{WEBHOOK}/test": (202, {"event_id": "evt_1", "delivery_id": DELIVERY}),
        f"GET /v1/deliveries/{DELIVERY}": delivery(state, reason=None if state == "delivered" else "It answered 500."),
        f"GET /v1/deliveries/{DELIVERY}/attempts": {"data": [], "next": None},
        f"GET /v1/webhooks/{WEBHOOK}": webhook,
    }


def test_a_test_that_is_delivered_enables(played):
    disabled, enabled = {"id": WEBHOOK, "enabled": False}, {"id": WEBHOOK, "enabled": True}
    double = played(answers_to_test("delivered", [disabled, disabled, enabled]))
    done = without_server("webhook", "test", WEBHOOK, "--enable", "--held", "newest", *double.options)
    assert done.returncode == 0 and f"webhook {WEBHOOK} is enabled again. Of what it held only the newest is sent." in done.stdout
    assert double.bodies_of(f"/v1/webhooks/{WEBHOOK}/test") == [{"enable": True, "held": "newest"}]
    told = json.loads(without_server("webhook", "test", WEBHOOK, "--enable", "--json", *double.options).stdout)
    assert told["webhook"] == enabled and told["settled"] is True and told["data"][0]["delivery"]["state"] == "delivered"


def test_a_test_that_fails_enables_nothing(played):
    double = played(answers_to_test("exhausted", {"id": WEBHOOK, "enabled": False}))
    done = without_server("webhook", "test", WEBHOOK, "--enable", *double.options)
    assert done.returncode == 1 and f"webhook {WEBHOOK} stays disabled" in done.stdout and "exhausted" in done.stdout
    slow = played(answers_to_test("pending", {"id": WEBHOOK, "enabled": False}))
    done = without_server("webhook", "test", WEBHOOK, "--enable", "--timeout", "200ms", *slow.options)
    assert done.returncode == 1 and "not enabled yet" in done.stdout
    assert without_server("webhook", "test", WEBHOOK, "--held", "all", *slow.options).returncode == 2


def test_explain_and_replay_tell_of_what_waits_and_what_went_instead(played):
    verdicts = [
        {"webhook_id": WEBHOOK, "webhook_name": "Rates", "manager_id": "7", "verdict": "coalesced", "sentence": "s", "delivery_id": DELIVERY, "state": "coalesced",
         "superseded_by": "dlv_04f2k8m1q7zr9", "round": 0},
        {"webhook_id": WEBHOOK, "webhook_name": "Rates", "manager_id": "7", "verdict": "triggered", "sentence": "s", "delivery_id": "dlv_2", "state": "pending",
         "superseded_by": None, "round": 1},
    ]  # fmt: skip
    event = {"id": "evt_04f2k8m1q7zr0", "type": "booking_added", "property_id": "12", "accepted_at": "2026-11-25T08:00:00Z"}
    double = played({
        "GET /v1/events/evt_04f2k8m1q7zr0": event,
        "GET /v1/events/evt_04f2k8m1q7zr0/verdicts": {"event": "evt_04f2k8m1q7zr0", "data": verdicts},
        "POST /v1/events/evt_04f2k8m1q7zr0/replay": (202, {"event_id": "evt_04f2k8m1q7zr0", "data": verdicts[1:]}),
        f"GET /v1/deliveries/{DELIVERY}": delivery("coalesced", superseded_by="dlv_04f2k8m1q7zr9"),
        "GET /v1/deliveries/dlv_2": delivery("pending", waits_for_earlier=True, order_key="41"),
    })  # fmt: skip
    explained = without_server("explain", "evt_04f2k8m1q7zr0", *double.options).stdout
    assert re.search(r"coalesced +coalesced .*The newer dlv_04f2k8m1q7zr9 was sent in its place", explained)
    assert re.search(r'replay 1 .*triggered +pending .*waits until an earlier one with the order key "41"', explained)
    replayed = without_server("event", "replay", "evt_04f2k8m1q7zr0", "--webhook", WEBHOOK, *double.options)
    assert replayed.returncode == 0 and replayed.stdout.startswith("replayed event evt_04f2k8m1q7zr0\n") and "dlv_2" in replayed.stdout
    assert double.bodies_of("/v1/events/evt_04f2k8m1q7zr0/replay") == [{"webhook_id": WEBHOOK}]
    assert json.loads(without_server("event", "replay", "evt_04f2k8m1q7zr0", "--json", *double.options).stdout)["data"] == verdicts[1:]


# --- listen and verify --------------------------------------------------------------------------


def test_listen_receives_what_the_engine_sends(bellhop, site, listen, tmp_path):
    secret = tmp_path / "secret"
    webhook = site.webhook("http://127.0.0.1:9/")
    secret.write_text(bellhop.run("webhook", "secret", webhook["id"]).stdout)
    listener = listen("--json", "--secret", f"@{secret}", "--count", "2", "--timeout", "60s")
    bellhop.run("webhook", "set", webhook["id"], "--url", listener.url + "/hook?a=%2F")
    bellhop.run("send", "booking_added", "--data", EXACT, "--wait")
    bellhop.run("webhook", "test", webhook["id"], "--wait")
    code, out, err = listener.ended()
    requests = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(requests) == 2, err
    assert [r["type"] for r in requests] == ["booking_added", "bellhop.test"]
    assert all(r["verified"] is True and r["signature"] == "verified" and r["verb"] == "POST" and r["path"] == "/hook?a=%2F" for r in requests)
    assert EXACT in requests[0]["body"] and requests[0]["since_event_ms"] >= 0 and requests[0]["arrived_us"] > 1.7e15
    assert requests[0]["headers"]["webhook-id"] == requests[0]["webhook_id"]


def test_listen_says_why_something_is_not_verified(bellhop, site, listen):
    listener = listen("--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    site.webhook(listener.url)
    bellhop.run("send", "booking_added", "--property", "12", "--wait")
    code, out, err = listener.stop()
    assert code == 0 and "NOT VERIFIED" in out and "another secret" in out and "0 of them verified" in err


def test_listen_answers_as_it_was_told(bellhop, site, listen):
    listener = listen("--status", "503", "--header", "Retry-After: 7", "--body", "come back", "--delay", "300ms", "--json")
    site.webhook(listener.url)
    event = site.send()
    delivery = wait_for(lambda: [d for d in site.get(f"/v1/deliveries?event_id={event}").ok()["data"] if d["attempts"] > 0], "an attempt")[0]
    attempt = attempts_of(site, delivery["id"])[0]
    assert attempt["status"] == 503 and attempt["response_body"] == "come back" and "Retry-After: 7" in attempt["response"]
    assert attempt["total_us"] >= 300_000
    code, out, _ = listener.stop()
    assert code == 0 and json.loads(out.splitlines()[0])["answered"] == 503


def test_a_slow_answer_holds_up_nobody_else(bellhop, listen):
    listener = listen("--delay", "1s", "--count", "8", "--timeout", "60s", "--json")
    took = []

    def ask():
        done = subprocess.run(["curl", "-sS", "-o", os.devnull, "-w", "%{time_total}", "-d", "x", listener.url], capture_output=True, text=True, timeout=60)
        took.append(float(done.stdout))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    code, out, _ = listener.ended()
    assert code == 0 and len(out.splitlines()) == 8
    assert min(took) >= 1.0 and max(took) < 6.0, took


def test_listen_ends_with_1_when_too_little_came(listen):
    code, _, err = listen("--count", "1", "--timeout", "200ms").ended()
    assert code == 1 and "less than the 1" in err


@pytest.mark.parametrize("hangs_up", [True, False])
def test_listen_stops_while_answers_are_due(listen, hangs_up):
    listener = listen("--delay", "1m", "--json")
    asking = subprocess.Popen(["curl", "-sS", "-d", "x", listener.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert json.loads(listener.process.stdout.readline())["body"] == "x"
    if hangs_up:
        asking.kill()
    code, _, err = listener.stop()
    assert code == 0, err
    assert asking.wait(30) != 0


def test_listen_on_a_port_that_is_taken_says_so(listen):
    port = listen().url.rpartition(":")[2]
    done = without_server("listen", "--port", port)
    assert done.returncode == 1 and "Address already in use" in done.stderr and f"port {port}" in done.stderr


def test_verify_tells_which_check_failed(tmp_path):
    request = tmp_path / "request"
    request.write_text(
        "POST /hook HTTP/1.1\r\nWebhook-Id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\nwebhook-timestamp: 1614265330\r\n"
        "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n\r\n" + '{"test": 2432232314}'
    )
    secret = ["--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "--headers", str(request)]
    good = without_server("verify", *secret, "--no-time-check")
    assert good.returncode == 0 and good.stdout.startswith("verified")
    old = without_server("verify", *secret)
    assert old.returncode == 1 and re.search(r"timestamp +failed", old.stdout) and "--no-time-check" in old.stdout
    body = tmp_path / "body"
    body.write_text('{"test": 2432232314}\n')
    edited = without_server("verify", *secret, "--no-time-check", str(body))
    assert edited.returncode == 1 and re.search(r"signature +failed", edited.stdout) and "line end" in edited.stdout
    told = json.loads(without_server("verify", *secret, "--json").stdout)
    assert told["verified"] is False and told["failed_check"] == "timestamp" and told["result"] == "too_old"
    assert without_server("verify", "--secret", "whsec_", str(body)).returncode == 2
    assert without_server("verify", str(body)).returncode == 2
    from_input = without_server("verify", *secret, "--no-time-check", "-", input='{"test": 2432232314}')
    assert from_input.returncode == 0


# --- config and version --------------------------------------------------------------------------


def test_config_tells_where_a_value_comes_from(tmp_path):
    file = tmp_path / "bellhop.conf"
    file.write_text("lifetime = 9h\n")
    rows = json.loads(without_server("config", "--config", str(file), "--set", "owners=first", "--json", env={"BELLHOP_API_THREADS": "2"}).stdout)["data"]
    sources = {row["name"]: (row["value"], row["source"]) for row in rows}
    assert sources["lifetime"] == ("9h", "file") and sources["owners"] == ("first", "command line") and sources["api_threads"] == ("2", "environment")
    assert sources["listen"][1] == "default" and all(row["help"] for row in rows)
    file.write_text("lifetme = 9h\n")
    wrong = without_server("config", "--config", str(file))
    assert wrong.returncode == 2 and "line 1" in wrong.stderr and "lifetime" in wrong.stderr


def test_config_prints_a_settings_file(tmp_path):
    file, again = tmp_path / "bellhop.conf", tmp_path / "again.conf"
    file.write_text("lifetime = 9h\nallow = 127.0.0.1:9000, 10.0.0.0/8  # the office\n")
    again.write_text(without_server("config", "--config", str(file)).stdout)
    assert f"lifetime = 9h  # {file} line 1\n" in again.read_text()
    one, other = (json.loads(without_server("config", "--config", str(path), "--json").stdout)["data"] for path in (file, again))
    assert [(row["name"], row["value"]) for row in one] == [(row["name"], row["value"]) for row in other]


def test_version():
    assert re.fullmatch(r"bellhop \d+\.\d+\.\d+\n", without_server("version").stdout)
    assert json.loads(without_server("version", "--json").stdout)["version"]
